"""A host model as one that will look at decoded images."""
import copy
import inspect
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from numpy import ndarray
from torch import Tensor, nn

from mmhmc.codecs.layers.attention_stage import known_controls
from mmhmc.functional import padded_size
from mmhmc.functional.devices import device_of
from mmhmc.registry import MODELS

#: The model of the zoo to ask where the machine is not known.
MACHINES = 'yolox-nano_coco'
#: Where features may be read.
LAYERS = ('features', 'logits')
#: Names that hosts have for the module that makes logits of features.
_HEADS = ('bbox_head', 'decode_head', 'rpn_head', 'mask_head', 'head')
#: Sides of images that come as they are are padded to multiples of it.
_STRIDE, _GREY = 32, 114.


@MODELS.register_module()
class HostReader:
    """A frozen host as a reader of a refinement.

    .. code-block:: none

        decoded ─► (g_t) ─► resize, crop, pad as the host's test ─► host
                                                        features ◄─┘
        original ─────────► resize, crop, pad ─► host ─► targets

    What the encoder knows are the host and the original, never labels.

    The host's test pipeline may resize, crop, flip and pad; it is imitated
    with gradients. Features are those of ``extract_feat``: outputs of the
    neck, or the decode head's input; of a classifier those of its backbone.

    Args:
        config: Any config of mmdet, mmseg or mmpretrain, with or without a
            codec, also a name, see :func:`~mmhmc.apis.config_files.locate`,
            or ``'machines'``: YOLOX-nano, for a machine that is not known.
            A codec in it is not used, its adapter is.
        checkpoint: The host's weights; None for those of the zoo, or
            ``load_from`` of the config.
        weight: Weight beside those of other readers, positive.
        layers: ``'features'``, or ``'logits'`` for what the head makes of
            them.
        cfg_options: Settings of the config to override, by dotted name.
        at_own_size: Whether images come as the host's pipeline has made
            them, as for a codec in the model; then they stay as they are.

    Raises:
        ValueError: If an argument is unknown or out of range.
    """

    def __init__(self,
                 config: str | Path | dict,
                 checkpoint: str | Path | None = None,
                 weight: float = 1.,
                 layers: str = LAYERS[0],
                 cfg_options: dict | None = None,
                 at_own_size: bool = False) -> None:
        if not 0 < weight < float('inf'):
            raise ValueError('`weight` must be positive and finite, got '
                             f'{weight!r}.')
        if layers not in LAYERS:
            raise ValueError(f'`layers` must be one of {list(LAYERS)}, got '
                             f'{layers!r}.')
        self.config, self.checkpoint = config, checkpoint
        self.weight, self.layers = weight, layers
        self.cfg_options, self.at_own_size = cfg_options, at_own_size
        self._controls: dict = {}

    def under(self, controls: dict) -> 'HostReader':
        """The same host, whose g_t knows how the image is coded.

        Args:
            controls: By name, e.g. the quality; those that g_t does not take
                are left out.
        """
        other = copy.copy(self)
        # One host for all, which a copy would load again.
        other.__dict__.update(_host=self._host, _controls=dict(controls))
        return other

    def check(self, device: torch.device | str = 'cpu') -> None:
        """Load the host, and see that it can be asked.

        Args:
            device: Where it will be.

        Raises:
            OSError: If its weights cannot be read.
            ValueError: If it has no features, or cannot be asked.
        """
        self.features(torch.rand(1, 3, 64, 96).to(device))

    def features(self, x: Tensor) -> list[Tensor]:
        """Feature maps of decoded images, through g_t if there is one.

        Args:
            x: RGB in [0, 1], shape (1, 3, H, W).

        Raises:
            ValueError: If the host has no features, or cannot be asked.
        """
        return self._host.features(x, self._controls)

    def targets(self, x: Tensor) -> list[Tensor]:
        """Feature maps of originals, without g_t."""
        return self._host.features(x, None)

    def settings(self) -> dict:
        """All that decides what is read, for JSON."""
        return self._settings

    @cached_property
    def _settings(self) -> dict:
        from .benchmark.fingerprints import file_hash, fingerprint
        cfg, checkpoint = _config_of(self)
        return dict(
            model=fingerprint({
                key: cfg.get(key)
                for key in ('model', 'data_preprocessor', 'test_dataloader')
            }),
            checkpoint=checkpoint and file_hash(str(checkpoint)),
            weight=self.weight,
            layers=self.layers,
            at_own_size=self.at_own_size)

    @cached_property
    def _host(self) -> '_FrozenHost':
        # Another process has a host of its own.
        return _FrozenHost(self)

    def __getstate__(self) -> dict:
        return {k: v for k, v in self.__dict__.items() if k != '_host'}


class _FrozenHost:
    """A host, and what stands before it.

    Args:
        reader: What to read, and of which host.
    """

    def __init__(self, reader: HostReader) -> None:
        from mmhmc.engine.parts import find_codec_wrapper
        from .mixing import host_of
        from .model_loading import load_model

        cfg, checkpoint = _config_of(reader)
        self.name = str(reader.config)[:80]
        self.model = load_model(cfg, checkpoint, torch.device('cpu'))
        self.coder = find_codec_wrapper(self.model)
        if not hasattr(self.coder, 'backbone'):
            raise ValueError(f'{self.name} sees latents, and no decoded '
                             'image: refine for a host that sees images.')
        if self.coder.uses_adapter and \
                self.coder.adapter.placement != 'image':
            raise ValueError(
                f'The adapter of {self.name} works on latents, and a search '
                'for a host is by images. Switch it off: cfg_options='
                "{'model.backbone.test_cfg.adapter': False}")
        # What is shown has been coded.
        self.coder.forward = self.coder.backbone.forward
        self.model.requires_grad_(False)
        self.scope, self.layers = host_of(cfg), reader.layers
        self.cfg, self._own_size = cfg, reader.at_own_size
        self._views: dict[tuple[int, int], _View] = {}
        self._is_checked = False

    def features(self, x: Tensor, controls: dict | None) -> list[Tensor]:
        """See :meth:`HostReader.features`; with None without g_t."""
        if next(self.model.parameters()).device != x.device:
            self.model.to(x.device)
        if not self._is_checked:
            self._check(x)
        return self._read(x, controls)

    def _read(self, x: Tensor, controls: dict | None) -> list[Tensor]:
        if controls is not None and self.coder.uses_adapter:
            adapter = self.coder.adapter
            x = adapter(x, **known_controls(adapter, controls)).clamp(0, 1)
        maps = list(_tensors(self._run(self._shown(x))))
        if not maps:
            raise ValueError(f'{self.name} gives no feature maps.')
        return maps

    def _run(self, inputs: Tensor) -> Any:
        from mmengine.registry import DefaultScope
        with DefaultScope.overwrite_default_scope(self.scope):
            owner = _owner_of_features(self.model, self.name)
            stages = inspect.signature(owner.extract_feat).parameters
            if self.layers == 'features' and 'stage' in stages:
                return owner.extract_feat(inputs, stage='backbone')
            maps = owner.extract_feat(inputs)
            if self.layers == 'features':
                return _input_of_head(owner, maps)
            head = next((getattr(owner, name) for name in _HEADS
                         if isinstance(getattr(owner, name, None), nn.Module)),
                        None)
            if head is None:
                raise ValueError(f'{self.name} has no head that makes logits '
                                 "of features: use layers='features'.")
            return head(maps)

    def _shown(self, x: Tensor) -> Tensor:
        """The host's normalised input of an image."""
        size = (x.shape[-2], x.shape[-1])
        if size not in self._views:
            # The last alone: a folder may have images of many sizes.
            self._views = {
                size:
                _View.at_own_size(self, x)
                if self._own_size else _View.by_pipeline(self, size)
            }
        return self._views[size](x)

    @torch.enable_grad()
    def _check(self, x: Tensor) -> None:
        """See that features have a gradient."""
        self._is_checked = True
        probe = x.detach().clone().requires_grad_()
        try:
            maps = self._read(probe, {})
            energy = sum(one.float().square().sum() for one in maps)
            gradient, = torch.autograd.grad(energy, probe)
        except RuntimeError as error:
            raise ValueError(f'{self.name} cannot be differentiated: '
                             f'{error}') from error
        if not gradient.isfinite().all() or not gradient.any():
            raise ValueError(
                f'{self.name} sees no gradient: its features do not depend on '
                'the image, or are not finite.')


class _View:
    """What a host's pipeline and preprocessor make of images of one size.

    .. code-block:: none

        x ─► resize ─► crop ─► flip ─► place on the canvas ─► normalise

    Args:
        host: The host.
        canvas: Its input of a black image, (1, C, H, W).
        resized: Height and width of the resized image.
        crop: First row and column of the resized image, height and width.
        place: First row and column on the canvas.
        flips: Whether rows and columns run backwards.
    """

    def __init__(self, host: _FrozenHost, canvas: Tensor,
                 resized: tuple[int, int], crop: tuple[int, int, int, int],
                 place: tuple[int, int], flips: tuple[bool, bool]) -> None:
        self._norm = host.coder.input_norm
        self._canvas, self._resized = canvas, resized
        self._crop, self._place = crop, place
        self._flips = [axis for axis, is_so in zip((-2, -1), flips) if is_so]

    @classmethod
    def at_own_size(cls, host: _FrozenHost, x: Tensor) -> '_View':
        """Of images that come as the host sees them."""
        size = (x.shape[-2], x.shape[-1])
        norm = host.coder.input_norm
        canvas = torch.full((1, 3, *padded_size(size, _STRIDE)), _GREY)
        canvas[..., :size[0], :size[1]] = 0
        canvas = (canvas - norm.mean.cpu()) / norm.std.cpu()
        return cls(host, canvas, size, (0, 0, *size), (0, 0), (False, False))

    @classmethod
    def by_pipeline(cls, host: _FrozenHost, size: tuple[int, int]) -> '_View':
        """Find out what a pipeline does by ramps.

        Raises:
            ValueError: If it does more than the class can.
        """
        from .host_analysis import HostAnalysis
        analysis = HostAnalysis(host.model, host.coder, host.cfg,
                                device_of(host.model), False)
        black, canvas = analysis.inputs_of(np.zeros((*size, 3), np.uint8))
        white, _ = analysis.inputs_of(np.full((*size, 3), 255, np.uint8))
        ramps, _ = analysis.inputs_of(_ramps(size))
        if black.ndim != 3 or black.shape[-2:] != ramps.shape[-2:]:
            raise ValueError(f'The test pipeline of {host.name} makes several '
                             'images of one: give it one for a single view.')
        # Also where the pipeline normalises, and swaps red and blue.
        inside = (white != black).all(0)
        seen = (ramps - black) / (white - black)
        axes = [
            _fit_axis(seen[i].movedim(i, 0), inside.movedim(i, 0), side,
                      host.name) for i, side in enumerate(size)
        ]
        resized, first, count, place, flip = zip(*axes)
        return cls(host, canvas, resized, (*first, *count), place, flip)

    def __call__(self, x: Tensor) -> Tensor:
        """Show an image (1, 3, H, W), with gradients."""
        if tuple(x.shape[-2:]) != self._resized:
            x = nn.functional.interpolate(
                x, self._resized, mode='bilinear', align_corners=False)
        x = x.flip(self._flips) if self._flips else x
        row, column, height, width = self._crop
        x = x[..., row:row + height, column:column + width]
        canvas = self._canvas.to(x)
        black = canvas.new_zeros(1, 3, *canvas.shape[-2:])
        top, left = self._place
        rest = (canvas.shape[-1] - left - width,
                canvas.shape[-2] - top - height)
        placed = nn.functional.pad(x, (left, rest[0], top, rest[1]))
        return self._norm.to_inputs(canvas, black, placed)


def _ramps(size: tuple[int, int]) -> ndarray:
    """An image whose red and blue say the row, and green the column."""
    height, width = size
    rows = np.linspace(0, 255, height)[:, None].repeat(width, 1)
    columns = np.linspace(0, 255, width)[None].repeat(height, 0)
    return np.stack([rows, columns, rows], -1).round().astype(np.uint8)


def _fit_axis(seen: Tensor, inside: Tensor, side: int,
              name: str) -> tuple[int, int, int, int, bool]:
    """How one axis was resized, cropped and placed.

    Args:
        seen: What became of the ramp along the axis, in [0, 1], the axis
            first, shape (n, m).
        inside: Where the image is, of the same shape.
        side: Pixels of the image along the axis.
        name: Of the host.

    Returns:
        Pixels after the resize; first and number of those that are kept;
        where the first one is on the canvas; whether they run backwards.

    Raises:
        ValueError: If that is not what was done.
    """
    place = torch.nonzero(inside.any(1)).flatten().numpy()
    if not len(place):
        raise ValueError(f'The test pipeline of {name} shows nothing of an '
                         f'image with {side} pixels along a side.')
    across = inside.any(0)
    rows = slice(int(place[0]), int(place[-1]) + 1)
    line = seen[rows][:, across].double().mean(1).numpy()
    other = ValueError(f'The test pipeline of {name} does more to an image '
                       'than resize, crop, flip and pad it.')
    if not inside[rows][:, across].all():
        raise other
    if side == 1 or len(line) < 4:
        return len(line), 0, len(line), rows.start, False
    flip = bool(line[-1] < line[0])
    source = (1 - line if flip else line) * (side - 1)
    # Ends repeat the border.
    inner = slice(len(line) // 10, len(line) - len(line) // 10)
    steps = np.arange(len(line))
    slope, offset = np.polyfit(steps[inner], source[inner], 1)
    error = np.abs(slope * steps + offset - source)[inner].max()
    if slope <= 0 or error > side / 255 + 2 * slope:
        raise other
    resized = max(len(line), round(side / slope))
    first = round((offset + 0.5) * resized / side - 0.5)
    first = min(max(first, 0), resized - len(line))
    return resized, first, len(line), rows.start, flip


def _config_of(reader: HostReader) -> tuple[Config, str | Path | None]:
    """A host's config with a codec that changes nothing, and its weights."""
    from .config_files import locate
    from .mixing import backbone_place, mix_codec
    from .training import load_config
    config = MACHINES if reader.config == 'machines' else reader.config
    cfg = load_config(config, reader.cfg_options)
    checkpoint = reader.checkpoint or locate(config).checkpoint or cfg.get(
        'load_from')
    try:
        backbone_place(cfg)
    except ValueError:
        # With a codec already, or without a backbone, which loading says.
        return cfg, checkpoint
    return mix_codec(cfg, dict(type='mmhmc.IdentityCodec')), checkpoint


def _owner_of_features(model: nn.Module, name: str) -> nn.Module:
    """The outermost module that gives features."""
    for module in model.modules():
        if hasattr(module, 'extract_feat'):
            return module
    raise ValueError(f'{name} has no features: its class '
                     f'{type(model).__name__} has no `extract_feat`.')


def _input_of_head(owner: nn.Module, maps: Any) -> Any:
    """The maps that a segmentor's head sees; of other hosts all of them."""
    head = getattr(owner, 'decode_head', None)
    if isinstance(head, nn.ModuleList):
        # Of a cascade the first one sees the features.
        head = head[0]
    select = getattr(head, '_transform_inputs', None)
    return maps if select is None else select(maps)


def _tensors(value: Any) -> Iterator[Tensor]:
    """All tensors of numbers in nested lists, tuples and dicts."""
    if isinstance(value, Tensor):
        if value.is_floating_point():
            yield value
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _tensors(one)
