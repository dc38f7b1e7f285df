"""Two optimizers of which one steps at a time."""
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Optional

from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapperDict
from torch import Tensor, nn

from mmhmc.registry import OPTIM_WRAPPER_CONSTRUCTORS

PARTS = ('generator', 'discriminator')


class AlternatingOptimWrapper(OptimWrapperDict):
    """Optimizers of which the model says whose turn it is.

    The model has ``turn``, the name of the optimizer that learns from the
    next batch. So ``train_step`` of mmengine's models and of its wrapper for
    several processes work as they are.
    """

    _turn: Optional[str] = None

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Around the forward of a batch; notes whose turn it is.

        Args:
            model: Model with ``turn``, wrapped or not.
        """
        inner = model.module if is_model_wrapper(model) else model
        self._turn = inner.turn
        with self[self._turn].optim_context(model):
            yield

    def update_params(self, loss: Tensor, *args, **kwargs) -> None:
        """Let the optimizer step whose turn it was in the forward.

        Args:
            loss: Of that part only.
            *args: See :meth:`mmengine.optim.OptimWrapper.update_params`.
            **kwargs: As well.

        Raises:
            RuntimeError: If there was no forward within ``optim_context``.
        """
        if self._turn is None:
            raise RuntimeError('Whose turn it is becomes known in '
                               '`optim_context`; run the forward within it.')
        self[self._turn].update_params(loss, *args, **kwargs)


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
                 paramwise_cfg: Optional[dict] = None) -> None:
        generator = dict(optim_wrapper_cfg)
        discriminator = {**generator, **generator.pop('discriminator', {})}
        discriminator.pop('discriminator', None)
        self.constructors = dict(
            generator=DefaultOptimWrapperConstructor(generator, paramwise_cfg),
            discriminator=DefaultOptimWrapperConstructor(discriminator))

    def __call__(self, model: nn.Module) -> AlternatingOptimWrapper:
        """Build the optimizers.

        Args:
            model: Model, wrapped or not, with ``codec`` and, unless it is
                None, ``discriminator``.
        """
        model = model.module if is_model_wrapper(model) else model
        parts = dict(generator=model.codec, discriminator=model.discriminator)
        return AlternatingOptimWrapper(
            **{
                name: self.constructors[name](part)
                for name, part in parts.items() if part is not None
            })
