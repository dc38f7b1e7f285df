"""No codec: image in, image out."""
from collections.abc import Iterator

from torch import Tensor

from mmhmc.bitstream import Bitstream
from mmhmc.former_names import former_arguments
from mmhmc.registry import MODELS
from mmhmc.structures import CodecOutput, Condition
from .base import ImageCodec

_NO_BITS = (
    'IdentityCodec writes no bits: there is nothing to store and no image to '
    'decode; use a codec that codes.')


@MODELS.register_module()
class IdentityCodec(ImageCodec):
    """Passes images through, bit for bit, and counts no bits.

    For the uncompressed line of a table and for tests: a wrapped host equals
    the bare one exactly. It writes no stream, so nothing can be decoded.
    """

    @former_arguments(rate='with_likelihoods')
    def encode_latents(self,
                       x: Tensor,
                       condition: Condition = None,
                       with_likelihoods: bool = True) -> CodecOutput:
        """``y_hat`` is ``x`` itself; there are no likelihoods."""
        self.check_input(x, condition)
        return CodecOutput(y_hat=x)

    def decode_latents(self,
                       y_hat: Tensor,
                       condition: Condition = None) -> Tensor:
        """``x_hat`` is ``y_hat`` itself."""
        return y_hat

    def read_latents(self,
                     decoders: dict,
                     coded_size: tuple[int, int],
                     condition: Condition = None) -> Tensor:
        """Refuses: there is nothing to decode.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(_NO_BITS)

    def entropy_tables(self) -> dict:
        """None."""
        return {}

    def decoding_tensors(self) -> Iterator[tuple[str, Tensor]]:
        """None."""
        return iter(())

    def write(self,
              output: CodecOutput,
              size: tuple[int, int],
              condition: Condition = None) -> Bitstream:
        """Refuses: there is nothing to code.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(_NO_BITS)
