"""One training step and one prediction of a host, bare and with a codec."""
import random
import re
import sys
from collections.abc import Callable
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from host_data import batches_for

CODEC = dict(
    type='mmhmc.MeanScaleHyperprior', hidden_channels=8, latent_channels=8)
#: The rate does not pull here: what moves the codec is the host's loss.
LOSSES = dict(lmbda_rate=0., lmbda_distortion=0.)
#: Words in names of configs, small models first.
SIZES = [
    r'atto|femto|pico|nano|xxs|tiny|mini|(^|[-_])t([-_]|$)',
    r'r18|resnet18|18-d8|b0|xs|small|(^|[-_])s([-_]|$)|s12|(^|[-_])t0', r'r34',
    r'r50|resnet50|-b1', r'base|-b2|-b3|(^|[-_])m([-_]|$)',
    r'101|large|-l[-_]', r'huge|giant|w48'
]
#: Settings that make a step long, and what is enough here.
_FEWER = dict(num=32, nms_pre=100, max_per_img=10, num_points=256)


def configs_of(host: str) -> Path:
    folder = Path(find_spec(host).submodule_search_locations[0])
    return folder / '.mim/configs'


def try_family(host: str, family: str, tell: Callable) -> None:
    """Try one config of a family.

    Args:
        host: Module of the host.
        family: Folder of its configs.
        tell: Called with what is known: ``config``; ``bare_train``,
            ``bare_predict``, ``train``, ``predict``, ``gradient``: whether
            they worked; ``reason`` why something did not.
    """
    from mmengine.logging import MessageHub
    from mmengine.registry import DefaultScope

    from mmhmc.apis.mixing import mix_codec
    cfg, path = _smallest(host, family)
    tell(config=path)
    if cfg is None:
        return tell(reason='no config that reads and has a model')
    DefaultScope.get_instance(f'{host}/{family}', scope_name=host)
    # Some hosts ask how far training has come.
    for name, value in dict(
            iter=0, epoch=0, max_iters=9, max_epochs=9).items():
        MessageHub.get_current_instance().update_info(name, value)
    cfg = _without_weights(cfg)
    batches, reasons = None, []
    for batches in batches_for(host, cfg):
        trains, why = _attempt(cfg, batches, 'train')
        tell(bare_train=trains)
        if trains:
            break
        reasons = reasons or [f'bare training: {why}']
    if trains:
        reasons = []
    predicts, why = _attempt(cfg, batches, 'predict')
    tell(bare_predict=predicts)
    if not predicts:
        reasons.append(f'bare prediction: {why}')
    tell(reason='; '.join(reasons))
    if not trains and not predicts:
        return
    try:
        mixed = mix_codec(cfg, CODEC, losses=LOSSES)
    except ValueError as refused:
        return tell(reason=f'{refused}')
    for mode, runs_bare in (('train', trains), ('predict', predicts)):
        if runs_bare:
            works, why = _attempt(mixed, batches, mode, tell)
            tell(**{mode: works})
            reasons += [] if works else [f'mixed: {why}']
    tell(reason='; '.join(reasons))


def _smallest(host: str, family: str) -> tuple:
    """The first config by size that has a model, and its path."""
    from mmengine.config import Config
    files = [
        f for f in (configs_of(host) / family).rglob('*.py')
        if not {'benchmarks', 'deploy'}
        & set(f.parts) and not f.name.startswith('_')
    ]
    for file in sorted(files, key=lambda f: (_rank(f.stem), len(f.stem), f)):
        try:
            cfg = Config.fromfile(file)
        # What a broken config of a host raises is not ours to know.
        except Exception as error:  # noqa: B902
            print(
                f'{file} is left out: {type(error).__name__}: {error}',
                file=sys.stderr)
            continue
        if isinstance(cfg.get('model'), dict):
            return cfg, file.relative_to(configs_of(host)).as_posix()
    return None, ''


def _rank(name: str) -> int:
    found = [i for i, words in enumerate(SIZES) if re.search(words, name)]
    return found[-1] if found else 3


def _without_weights(cfg):
    """A copy that downloads nothing, and looks at fewer candidates."""
    cfg = deepcopy(cfg)

    def clean(part) -> None:
        for key, value in list(part.items()):
            if isinstance(value, int) and key in _FEWER:
                part[key] = min(value, _FEWER[key])
            elif key in ('pretrained',
                         'load_from') or (key == 'init_cfg'
                                          and 'checkpoint' in str(value)):
                part[key] = None
            elif isinstance(value, dict):
                clean(value)
            elif isinstance(value, (list, tuple)):
                for one in value:
                    if isinstance(one, dict):
                        clean(one)

    clean(cfg.model)
    return cfg


def _attempt(cfg,
             batches: Optional[dict],
             mode: str,
             tell: Callable = lambda **known: None) -> tuple:
    """Whether a step works, and why not."""
    batch = (batches or {}).get(mode)
    if batch is None:
        return False, 'no data for it in the config'
    try:
        _step(cfg, deepcopy(batch), mode, tell)
    # Whatever a host raises is what the table is to say.
    except Exception as error:  # noqa: B902
        text = re.sub(r'/\S*/site-packages/', '', ' '.join(str(error).split()))
        return False, f'{type(error).__name__}: {text}'[:160]
    return True, None


def _step(cfg, batch, mode: str, tell: Callable) -> None:
    """One training step or one prediction.

    Raises:
        RuntimeError: If a codec in front gets nothing to do or to learn.
    """
    import numpy as np
    import torch

    from mmhmc.engine import RateLossHook
    from mmhmc.engine.parts import find_codec_wrappers
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model = _build(cfg)
    codecs = []
    if 'CodecBackbone' in str(cfg.model.to_dict()):
        RateLossHook(**LOSSES).attach(model)
        codecs = [wrapper.codec for wrapper in find_codec_wrappers(model)]
    if mode == 'train':
        model.train()
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        loss, _ = model.parse_losses(losses)
        loss.backward()
        if codecs:
            learns = any(
                p.grad is not None and bool(p.grad.abs().sum() > 0)
                for codec in codecs for p in codec.g_a.parameters())
            tell(gradient=learns)
            if 'bpp' not in losses or not learns:
                raise RuntimeError('no gradient reaches the codec')
        return
    model.eval()
    for codec in codecs:
        codec.update_entropy_tables()
    with torch.no_grad():
        samples = model.test_step(batch)
    if codecs and 'coding' not in samples[0]:
        frames = getattr(samples[0], 'video_data_samples', None)
        if not frames or 'coding' not in frames[0]:
            raise RuntimeError('nothing was encoded: no codec is in front of '
                               'the host')


def _build(cfg):
    import torch
    from mmengine.registry import MODELS
    model = deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        # As mmengine's runner does.
        model.setdefault('data_preprocessor', deepcopy(cfg.data_preprocessor))
    # So that memory which a host leaves as it was is NaN, and not by chance.
    torch.use_deterministic_algorithms(True)
    model = MODELS.build(model)
    torch.use_deterministic_algorithms(False)
    model.init_weights()
    _fill(model)
    return model


def _fill(model) -> None:
    """Give weights to what a host begins without.

    That is left uninitialised, or is zero, so that no gradient passes: a
    transformer's head, a residual branch's last scale.
    """
    import torch
    with torch.no_grad():
        for parameter in model.parameters():
            unset = parameter.ndim > 1 and not parameter.any()
            if parameter.requires_grad and unset or \
                    not parameter.isfinite().all():
                parameter.normal_(std=0.02)
