"""Weights that CompressAI publishes, by name: ``compressai://...``.

Addresses and sizes are those of the installed CompressAI; nothing of them is
copied here.
"""
import re
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

COMPRESSAI = 'compressai://'

#: The codec of this package for each of CompressAI's architectures.
CODECS = {
    'bmshj2018-factorized': 'FactorizedPrior',
    'bmshj2018-hyperprior': 'ScaleHyperprior',
    'mbt2018-mean': 'MeanScaleHyperprior',
    'mbt2018': 'JointAutoregressive',
    'cheng2020-anchor': 'Cheng2020Anchor',
    'cheng2020-attn': 'Cheng2020Attention',
    'bmshj2018-hyperprior-vbr': 'ScaleHyperpriorVBR',
    'mbt2018-mean-vbr': 'MeanScaleHyperpriorVBR',
    'mbt2018-vbr': 'JointAutoregressiveVBR',
}
#: Those whose step of the hyper-latent follows the rate.
_VARIABLE_STEP = ('bmshj2018-hyperprior-vbr', 'mbt2018-mean-vbr')
#: Modules of CompressAI with the tables; older releases lack the second.
_MODULES = ('compressai.zoo.image', 'compressai.zoo.image_vbr')
_TABLES = ('_quantized_cdf', '_cdf_length', '_offset')
_NEW_TABLES = '/new-tables'
#: As many as codecs of this package have.
_SCALE_LEVELS = 256
_HASH = re.compile(r'[-_]([0-9a-f]{8,64})\.')


@dataclass(frozen=True)
class CompressAIWeights:
    """One entry of CompressAI's model zoo.

    Args:
        name: Address, ``compressai://ARCHITECTURE/METRIC/QUALITY``; without
            the quality if one file has all rates.
        architecture: CompressAI's name of the network.
        widths: What CompressAI builds the network with: its N, and M if that
            is another number.
        url: Where CompressAI has the file.
        weights: Name of the file.
        sha256: First digits of its SHA-256, which are in its name.
        new_tables: Whether entropy tables are made anew instead of taken
            from the file.
        size: Bytes of the file; None if that is not known.
    """

    name: str
    architecture: str
    widths: tuple[int, ...]
    url: str
    weights: str
    sha256: str
    new_tables: bool = False
    size: int | None = None

    @property
    def codec(self) -> dict[str, Any]:
        """Config of the codec, with these weights as its ``init_cfg``.

        Raises:
            ValueError: If this package has no such codec.
        """
        if self.architecture not in CODECS:
            raise ValueError(
                f'{self.name}: mmhmc has no codec for the architecture '
                f'{self.architecture} yet; it has one for '
                f'{", ".join(CODECS)}.')
        address = self.name + _NEW_TABLES * self.new_tables
        return dict(
            type=f'mmhmc.{CODECS[self.architecture]}',
            **self.channels,
            init_cfg=dict(type='Pretrained', checkpoint=address))

    @property
    def channels(self) -> dict[str, int]:
        """The widths by the names that codecs of this package give them."""
        return dict(zip(('hidden_channels', 'latent_channels'), self.widths))

    def complete(self, state: dict[str, Any]) -> dict[str, Any]:
        """Weights by the names of the installed CompressAI, with tables.

        Args:
            state: State dict as CompressAI publishes it. Tables that it lacks
                are made from its quantiles, whose medians are kept.

        Raises:
            ValueError: If it is of another network.
        """
        from compressai.zoo import load_state_dict as renamed

        # CompressAI leaves this out, too.
        state = {k: v for k, v in renamed(state).items() if k != 'QuantOffset'}
        steps = self.architecture in _VARIABLE_STEP
        if not self.new_tables and not steps and _has_tables(state):
            return state
        from compressai.models.base import get_scale_table
        network = self._network(state)
        network.update(get_scale_table(levels=_SCALE_LEVELS), force=True)
        device = next(iter(state.values())).device
        return {
            key: value.to(device)
            for key, value in {
                **network.state_dict(),
                **(_tables_of_rates(network) if steps else {})
            }.items()
        }

    def _network(self, state: dict[str, Any]):
        architectures = {
            name: network
            for module in _modules()
            for name, network in module.model_architectures.items()
        }
        steps = dict(vr_entbttlnck=True) \
            if self.architecture in _VARIABLE_STEP else {}
        network = architectures[self.architecture](*self.widths, **steps)
        if steps:
            # Of one rate, and CompressAI does not load them.
            empty = network.entropy_bottleneck.state_dict()
            state = dict(state)
            state.update((f'entropy_bottleneck.{name}', empty[name])
                         for name in _TABLES)
        try:
            network.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            # A headline, then one line for each tensor.
            first = str(error).splitlines()[1:2] or [str(error)]
            raise ValueError(f'{self.name} does not hold the weights of '
                             f'{self.architecture} of width {self.widths}: '
                             f'{first[0].strip()}') from error
        return network


def is_compressai(path: str | Path) -> bool:
    """Whether a path is an address of CompressAI's model zoo."""
    return isinstance(path, str) and path.startswith(COMPRESSAI)


def list_compressai() -> list[str]:
    """Addresses of all weights that the installed CompressAI names."""
    return [COMPRESSAI + name for name in _addresses()]


def find_compressai(address: str) -> CompressAIWeights:
    """An entry of CompressAI's model zoo by its address.

    Args:
        address: ``compressai://ARCHITECTURE/METRIC/QUALITY``, such as
            ``compressai://cheng2020-attn/mse/4``. With ``/new-tables`` behind
            it, entropy tables are made anew, with the file's medians and as
            many scales as codecs of this package have.

    Raises:
        ValueError: If there is no such entry, with the nearest addresses; or
            if its file could not be checked.
    """
    name = address.removeprefix(COMPRESSAI)
    new_tables = name.endswith(_NEW_TABLES)
    name = name.removesuffix(_NEW_TABLES)
    urls = _addresses()
    if name not in urls:
        near = get_close_matches(name, urls, 3, 0.3)
        hint = f'; near it are {", ".join(near)}' if near else ''
        raise ValueError(
            f'CompressAI publishes no {name!r}{hint}. Expected {COMPRESSAI}'
            'ARCHITECTURE/METRIC/QUALITY.')
    url = urls[name]
    weights = Path(urlparse(url).path).name
    digits = _HASH.findall(weights)
    if not digits:
        raise ValueError(
            f'{address} is not used: CompressAI has it at {url}, whose name '
            'has no hash, so that the file cannot be checked. Download it '
            'and give the file.')
    architecture, _, *quality = name.split('/')
    return CompressAIWeights(COMPRESSAI + name, architecture,
                             _widths(architecture, *map(int, quality)), url,
                             weights, digits[-1], new_tables)


def _modules() -> list:
    with warnings.catch_warnings():
        # CompressAI's, on being imported.
        warnings.simplefilter('ignore', FutureWarning)
        return [import_module(name) for name in _MODULES if find_spec(name)]


def _addresses() -> dict[str, str]:
    """Where files are, by ``ARCHITECTURE/METRIC/QUALITY``."""
    urls = {}
    for module in _modules():
        for architecture, metrics in module.model_urls.items():
            for metric, found in metrics.items():
                name = f'{architecture}/{metric}'
                if isinstance(found, str):
                    # One file for all rates.
                    urls[name] = found
                else:
                    urls.update({
                        f'{name}/{quality}': url
                        for quality, url in found.items()
                    })
    return urls


def _widths(architecture: str, quality: int | None = None) -> tuple:
    for module in _modules():
        if architecture in module.cfgs:
            found = module.cfgs[architecture]
            return tuple(found if quality is None else found[quality])
    raise ValueError(f'CompressAI does not say how wide {architecture} is.')


def _has_tables(state: dict[str, Any]) -> bool:
    tables = [
        value for key, value in state.items()
        if key.endswith('._quantized_cdf')
    ]
    return bool(tables) and all(table.numel() for table in tables)


def _tables_of_rates(network) -> dict[str, Any]:
    """Tables of the hyper-latent for every rate, one below the other.

    CompressAI makes those of one rate, when it codes.
    """
    import torch
    bottleneck, tables = network.entropy_bottleneck, []
    for gain in network.Gain.detach().abs():
        network.update(force=True, scale=gain)
        tables.append([getattr(bottleneck, name) for name in _TABLES])
    width = max(cdf.shape[1] for cdf, *_ in tables)
    padded = [(torch.nn.functional.pad(cdf, (0, width - cdf.shape[1])), *rest)
              for cdf, *rest in tables]
    return {
        f'entropy_bottleneck.{name}': torch.cat(parts)
        for name, parts in zip(_TABLES, zip(*padded))
    }
