"""A synthesis transform for the machine, beside that for people."""
import copy
from typing import Any, Optional

from torch import Tensor, nn

from mmhmc.part_weights import WholeModule, pretrained
from mmhmc.registry import MODELS, build_part


@MODELS.register_module()
class MachineSynthesis(WholeModule):
    """Decodes latents for a machine by a ``g_s`` of its own.

    .. code-block:: none

                 ┌─► g_s of the codec ──► x_hat, for people
        y_hat ──►┤
                 └─► g_s of its own ──► (g_t) ──► x_bar, for the machine

    It begins as the codec's, and learns without changing what people see, nor
    any file: where the machine reads the base layer of a file, it learns what
    the base means.

    Args:
        after: Config of an adapter of images behind it, e.g.
            ``DynamicAdaptation``; None for none.
        init_cfg: mmengine's initialisation.

    Raises:
        ValueError: If the adapter behind it does not work on images.
    """

    #: What it works on: the latent, in place of the codec's synthesis.
    placement = 'synthesis'
    g_s: nn.Module

    def __init__(self,
                 after: dict | nn.Module | None = None,
                 init_cfg: Optional[dict] = None) -> None:
        super().__init__(init_cfg)
        self.after = build_part(after)
        self.num_qualities = getattr(self.after, 'num_qualities', 0)
        if self.after is not None and self.after.placement != 'image':
            raise ValueError(
                '`after` follows a decoded image and must adapt images, got '
                f'placement={self.after.placement!r}.')

    def begin_as(self, g_s: nn.Module) -> None:
        """Take the codec's synthesis, unless weights of its own are coming.

        Args:
            g_s: The codec's; it does not change.
        """
        if not hasattr(self, 'g_s'):
            self.g_s = copy.deepcopy(g_s).requires_grad_(True)
        elif pretrained(self.init_cfg) is None:
            self.g_s.load_state_dict(g_s.state_dict())

    def decode(self,
               codec: nn.Module,
               y_hat: Tensor,
               condition: Any = None) -> Tensor:
        """Decode an image for the machine, without the adapter behind it.

        Args:
            codec: The codec whose latents these are.
            y_hat: Shape (B, M, h, w).
            condition: Controls of the codec.

        Returns:
            RGB, shape (B, 3, H, W), not clamped.
        """
        # All of the codec but its synthesis; the codec itself stays.
        other = copy.copy(codec)
        other._modules = dict(codec._modules, g_s=self.g_s)
        return other.decode_latents(y_hat, condition)
