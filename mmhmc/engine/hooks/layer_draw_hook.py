"""Trains a codec to code its latent in layers, now and then."""
import random
from collections.abc import Sequence

from mmengine.hooks import Hook

from mmhmc.engine.parts import find_codec_wrappers, unwrap
from mmhmc.registry import HOOKS


@HOOKS.register_module()
class LayerDrawHook(Hook):
    """In a share of the training steps the codec codes in layers.

    A codec whose entropy model predicts some elements from others sees in a
    base coarser values than it was trained with, and pays for it in bytes.
    With this hook it learns from both. Which steps have layers follows from
    the iteration, so all processes, and a run that resumes, agree.

    Args:
        layers: Factors of these steps, see :class:`CompressAICodec`.
        share: Share of the steps that have them, above 0, at most 1.

    Raises:
        ValueError: If the share is out of range.
    """

    def __init__(self, layers: Sequence, share: float = 0.5) -> None:
        if not 0 < share <= 1:
            raise ValueError('`share` must be above 0 and at most 1, got '
                             f'{share}.')
        self.layers = layers
        self.share = share

    def before_train_iter(self, runner, *args, **kwargs) -> None:
        """Choose for this step.

        Raises:
            ValueError: If the codec cannot code in such layers.
        """
        draws = random.Random(runner.iter).random() < self.share
        for wrapper in find_codec_wrappers(unwrap(runner.model)):
            wrapper.codec.layers = self.layers if draws else ()

    def after_train_iter(self, runner, *args, **kwargs) -> None:
        """Leave the codec with one layer, e.g. for a validation."""
        for wrapper in find_codec_wrappers(unwrap(runner.model)):
            wrapper.codec.layers = ()
