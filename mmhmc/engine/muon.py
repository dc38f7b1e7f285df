"""Muon for weight matrices, AdamW for all other parameters."""
from collections.abc import Iterable

from torch import Tensor
from torch.optim import Optimizer

from mmhmc.registry import OPTIMIZERS

# Smaller sides are channels of images or heads of attention.
_SMALLEST_SIDE = 16


@OPTIMIZERS.register_module()
class Muon:
    """Optimizer whose steps have equal strength in all directions of a matrix.

    Transforms of learned codecs are badly conditioned: Adam spends thousands
    of steps on directions that hardly matter. Muon makes the momentum of each
    weight orthogonal, with kernels flattened to (out, rest). AdamW updates
    all weights with fewer than 16 x 16 channels: biases, the layers that see
    pixels, and entropy bottlenecks.

    .. code-block:: python

        optim_wrapper = dict(
            optimizer=dict(
                _delete_=True, type='mmhmc.Muon', lr=2e-2, adamw_lr=1e-3))

    Groups of ``params`` with a learning rate of their own, as mmengine's
    ``lr_mult`` makes them, change that of AdamW in proportion. Schedules
    that end at a value need ``eta_min_ratio``, since rates differ.

    Reference:
        K. Jordan et al.: "Muon: An optimizer for hidden layers in neural
        networks", 2024. https://kellerjordan.github.io/posts/muon/
    """

    def __new__(cls,
                params: Iterable[Tensor | dict],
                lr: float = 2e-2,
                adamw_lr: float = 1e-3,
                **kwargs) -> Optimizer:
        """Divide the parameters into groups, and build the optimizer.

        Args:
            params: Parameters or groups of them.
            lr: Learning rate of matrices, not negative.
            adamw_lr: Learning rate of the rest, not negative.
            **kwargs: See ``pytorch_optimizer.Muon``.

        Returns:
            ``pytorch_optimizer.Muon``.

        Raises:
            ImportError: If the package ``pytorch_optimizer`` is missing.
        """
        try:
            from pytorch_optimizer import Muon as Base
        except ImportError as error:
            raise ImportError(
                '`mmhmc.Muon` needs the package `pytorch_optimizer`: `pip '
                'install -r requirements/training.txt`.') from error
        groups = []
        for group in _groups_of(params):
            rate = group.get('lr', lr)
            matrices = [p for p in group['params'] if _is_matrix(p)]
            rest = [p for p in group['params'] if not _is_matrix(p)]
            if matrices:
                groups.append(
                    dict(group, params=matrices, lr=rate, use_muon=True))
            if rest:
                rate = adamw_lr * rate / lr if lr else 0.
                groups.append(
                    dict(group, params=rest, lr=rate, use_muon=False))
        optimizer = Base(groups, lr=lr, adamw_lr=adamw_lr, **kwargs)
        # mmengine's logs and schedules read the learning rate there.
        optimizer.defaults['lr'] = lr
        return optimizer


def _groups_of(params: Iterable[Tensor | dict]) -> list[dict]:
    """Groups with lists; single parameters become one group."""
    params = list(params)
    if not params or not isinstance(params[0], dict):
        return [dict(params=params)]
    groups = []
    for group in params:
        own = group['params']
        own = [own] if isinstance(own, Tensor) else list(own)
        groups.append(dict(group, params=own))
    return groups


def _is_matrix(parameter: Tensor) -> bool:
    return parameter.ndim >= 2 and min(parameter.shape[:2]) >= _SMALLEST_SIDE
