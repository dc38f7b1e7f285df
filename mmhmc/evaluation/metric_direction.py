"""Whether a smaller value of a metric is better."""
import re
from collections.abc import Iterable

from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

#: Words in names of metrics that mean: smaller is better. Metrics of ours, of
#: pyiqa, torchmetrics and the hosts have them.
_WORDS = frozenset((
    # errors of numbers and of points
    *('loss', 'error', 'err', 'mse', 'rmse', 'nrmse', 'mae', 'mape', 'nme'),
    *('epe', 'mpjpe', 'failure', 'failures', 'distance', 'perplexity'),
    # perceptual distances, and quality without an original
    *('lpips', 'stlpips', 'dists', 'adists', 'deepdc', 'pieapp', 'gmsd'),
    *('mad', 'niqe', 'ilniqe', 'brisque', 'piqe'),
    # distances of sets of images
    *('fid', 'kid', 'fvd', 'mmd', 'cmmd', 'swd', 'ppl'),
    # rate
    *('bpp', 'bits', 'bytes')))
#: Whole names: depth, pedestrians, tracking and 3D boxes of the hosts, the
#: perceptual index of pyiqa.
_NAMES = frozenset(
    ('abs_rel', 'sq_rel', 'log10', 'silog', 'sad', 'mmr', 'mr', 'fp', 'fn',
     'ml', 'idsw', 'frag', 'mate', 'mase', 'maoe', 'mave', 'maae', 'pi'))
#: `FeatureLoss`, `fid_2000` and `RMSE` fall into words.
_WORD = re.compile(r'[A-Z]?[a-z]+|[A-Z]+(?![a-z])')


def lower_is_better(metric: str) -> bool:
    """Whether a smaller value of a metric is the better one.

    A registered metric says so itself: its class has ``lower_is_better``,
    what it reports of which less is better, without what follows a ``_``.
    Others are known by their names, as pyiqa, torchmetrics and the hosts have
    them.

    Args:
        metric: Its name as in the results, such as ``'psnr'``,
            ``'quality/lpips_alex'`` or ``'coco/bbox_mAP'``.
    """
    key = metric.replace(':', '/').split('/')[-1]
    if any(
            _reports(kind, key)
            for registry in (METRICS, *METRICS.children.values())
            for kind in registry.module_dict.values()):
        return True
    words = {word.lower() for word in _WORD.findall(key)}
    return key.lower() in _NAMES or bool(words & _WORDS)


def lower_of(metrics: Iterable[BaseMetric], names: Iterable[str]) -> list[str]:
    """What metrics have reported of which less is better.

    Args:
        metrics: Those of an evaluator. One that does not say it itself is
            known by the names.
        names: What the evaluator gave, with prefixes.
    """
    metrics = tuple(metrics)
    return [
        name for name in names if lower_is_better(name) or any(
            _reports(metric, name.removeprefix(f'{metric.prefix}/'))
            for metric in metrics)
    ]


def _reports(metric, key: str) -> bool:
    """Whether a metric, or its class, reports a key of which less is better.
    """
    stems = getattr(metric, 'lower_is_better', ())
    return isinstance(stems, tuple) and any(
        key == stem or key.startswith(f'{stem}_') for stem in stems)
