"""Two optimizers that step on alternate batches."""
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from torch import Tensor, nn

from mmhmc.former_names import former_member
from mmhmc.registry import OPTIM_WRAPPER_CONSTRUCTORS
from .parts import unwrap


class AlternatingOptimWrapper(OptimWrapperDict):
    """Optimizers of which one steps after each batch, by the model's choice.

    The model names it by its attribute ``active_optimizer``. So
    ``train_step`` of mmengine's models and of its wrapper for several
    processes work as they are.
    """

    _active: str | None = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Around the forward of a batch; keeps the active optimizer's name."""
        self._active = former_member(unwrap(model), 'active_optimizer', 'turn')
        with self[self._active].optim_context(model):
            yield

    def update_params(self, loss: Tensor, *args, **kwargs) -> None:
        """Let the optimizer step that was active in the forward.

        See :meth:`mmengine.optim.OptimWrapper.update_params`.

        Raises:
            RuntimeError: If there was no forward within ``optim_context``.
        """
        if self._active is None:
            raise RuntimeError('Which optimizer steps becomes known in '
                               '`optim_context`; run the forward within it.')
        self[self._active].update_params(loss, *args, **kwargs)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class AlternatingOptimWrapperConstructor:
    """Builds an optimizer for the codec and one for the discriminator.

    .. code-block:: python

        optim_wrapper = dict(
            constructor='mmhmc.AlternatingOptimWrapperConstructor',
            optimizer=dict(type='Adam', lr=1e-4),
            clip_grad=dict(max_norm=1.),
            discriminator=dict(clip_grad=None))

    Args:
        optim_wrapper_cfg: Config of optimizer and wrapper, for both; what
            ``discriminator`` has replaces it for the discriminator.
        paramwise_cfg: Rules of mmengine's default constructor, for the
            codec's parameters, by their names within the codec.
    """

    def __init__(self,
                 optim_wrapper_cfg: dict,
                 paramwise_cfg: dict | None = None) -> None:
        generator = dict(optim_wrapper_cfg)
        discriminator = {**generator, **generator.pop('discriminator', {})}
        discriminator.pop('discriminator', None)
        self.constructors = dict(
            generator=DefaultOptimWrapperConstructor(generator, paramwise_cfg),
            discriminator=DefaultOptimWrapperConstructor(discriminator))

    def __call__(self, model: nn.Module) -> AlternatingOptimWrapper:
        """Build the optimizers of ``codec`` and, if any, ``discriminator``."""
        model = unwrap(model)
        parts = dict(generator=model.codec, discriminator=model.discriminator)
        return AlternatingOptimWrapper(
            **{
                name: self.constructors[name](part)
                for name, part in parts.items() if part is not None
            })
