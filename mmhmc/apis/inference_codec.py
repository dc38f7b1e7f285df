"""Images to bitstreams and back, as an inferencer wants them."""
from dataclasses import asdict, replace

import torch
from torch import Tensor

from mmhmc.bitstream import Bitstream, BitstreamError
from mmhmc.codecs.streams import as_stored
from mmhmc.functional import (count_bits, crop_to, extend_edges, padded_size,
                              to_8_bits)
from mmhmc.models import ImageCoding
from mmhmc.models.condition_choice import ConditionChoice
from mmhmc.models.image_coding import keep_layers
from mmhmc.refinement import LatentRefinement
from mmhmc.structures import CodecOutput, CodingCondition
from .host_analysis import DecodedImage, HostAnalysis
from .inference_inputs import EncodedImage, InputItem, load_image, load_stream


class InferenceCodec:
    """The codec of a model.

    Args:
        coder: The module of the model that encodes and decodes.
        device: Where it is.
        condition: Controls of the codec, over those of the config.
        layers: After how many layers each file is cut; None: it is left
            whole, unless the model's ``test_cfg`` says otherwise.

    Raises:
        ValueError: If the codec refuses the condition.
    """

    def __init__(self,
                 coder: ImageCoding,
                 device: torch.device,
                 condition: dict,
                 layers: int | None = None) -> None:
        self.coder, self.codec, self.device = coder, coder.codec, device
        self._condition = condition
        self.layers = coder.test_cfg['layers'] if layers is None else layers
        self._host: HostAnalysis | None = None
        self.choose_condition(None)

    def show_to(self, host: HostAnalysis) -> None:
        """Decode for a host, too."""
        self._host = host

    def image_to_code(self, x: Tensor) -> Tensor:
        """An image (3, H, W) as it is encoded: resized by a host, or as it is.

        Returns:
            Shape (1, 3, h, w).
        """
        if self._host is not None and self._host.in_model:
            return self._host.image_to_code(x)
        return x[None]

    def choose_condition(self,
                         condition: dict | None) -> CodingCondition | None:
        """Controls of a call, else those of the class, else of the config.

        Raises:
            ValueError: If the codec refuses them.
        """
        own = self.coder.choose_condition(False)
        given = {
            **(asdict(own) if own else {}),
            **self._condition,
            **(condition or {})
        }
        given = {name: one for name, one in given.items() if one is not None}
        chosen = as_stored(ConditionChoice(given)(False))
        self.codec.check_images(
            torch.zeros(1, 3, 1, 1, device=self.device), chosen)
        return chosen

    def compress(
            self, x: Tensor, condition: CodingCondition | None
    ) -> tuple[CodecOutput, Bitstream]:
        """Encode one image (1, 3, H, W) at its own size."""
        size = x.shape[-2], x.shape[-1]
        target = padded_size(size, self.codec.downsampling_factor)
        output = self.codec.encode_latents(
            extend_edges(x.to(self.device), [size], target), condition)
        return output, self.codec.write(output, size, condition)

    def load(self, item: InputItem) -> EncodedImage:
        """The bitstream of an item, cut after the layers to keep.

        Raises:
            ValueError: If it is none, or has fewer layers.
        """
        return self._cut(load_stream(item))

    def _cut(self, encoded: EncodedImage) -> EncodedImage:
        if self.layers is None:
            return encoded
        stream = encoded.bitstream.keep_layers(self.layers)
        return replace(
            encoded, bitstream=stream, num_bytes=self.codec.num_bytes(stream))

    @torch.no_grad()
    def encode(self,
               item: InputItem,
               condition: CodingCondition | None,
               refinement: LatentRefinement | None = None) -> EncodedImage:
        """The bitstream of an item; an image is encoded."""
        if item.is_stream:
            return self.load(item)
        x = load_image(item)
        original_size = x.shape[-2], x.shape[-1]
        seen, bits = self.image_to_code(x), None
        if refinement is not None:
            stream, = self.codec.compress(
                seen.to(self.device), condition, refinement)
            return self._cut(
                EncodedImage(item.name,
                             Bitstream.from_bytes(stream.to_bytes()),
                             original_size, self.codec.num_bytes(stream)))
        output, stream = self.compress(seen, condition)
        if output.likelihoods:
            covered = stream.coded_size
            kept = keep_layers(output, self.layers)
            bits = float(
                count_bits(kept.likelihoods, [covered], covered).sum())
        if self.layers is not None:
            stream = stream.keep_layers(self.layers)
        # What is analyzed has gone through real bytes.
        stream = Bitstream.from_bytes(stream.to_bytes())
        return self._cut(
            EncodedImage(item.name, stream, original_size,
                         self.codec.num_bytes(stream), bits))

    @torch.no_grad()
    def decode(self, encoded: EncodedImage, condition: CodingCondition | None,
               wants_image: bool) -> DecodedImage:
        """Decode what people see, if anybody asks, and what the host sees.

        Args:
            encoded: From :meth:`encode`.
            condition: Controls of the codec; the quality is that of the
                bitstream.
            wants_image: Whether an image is needed if the host sees latents.

        Returns:
            The latent and the images, without a prediction.

        Raises:
            BitstreamError: With the name of the image.
        """
        stream = encoded.bitstream
        if stream.quality is not None:
            condition = replace(
                condition or CodingCondition(), quality=stream.quality)
        try:
            y_hat = self.codec.read(stream, condition)
        except BitstreamError as error:
            raise BitstreamError(
                f'{encoded.path or encoded.name}: {error}') from error
        machine_layers = self.coder.machine_layers
        seen_latent = y_hat
        if machine_layers is not None and machine_layers < len(stream.layers):
            seen_latent = self.codec.read(
                stream.keep_layers(machine_layers), condition)
        encoded = replace(encoded, num_bytes=self.codec.num_bytes(stream))
        decoded = DecodedImage(encoded, seen_latent)
        sees_images = self._host is not None and not self._host.sees_latents
        if wants_image or sees_images:
            whole = self.codec.decode_latents(y_hat, condition)
            decoded.x_hat = crop_to(whole, stream.size).clamp(0, 1)
        if sees_images:
            if seen_latent is not y_hat:
                whole = self.codec.decode_latents(seen_latent, condition)
            # In the model the adapter sees the codec's padding, too; before
            # the pipeline it sees a file, of 8 bits.
            seen = whole if self._host.in_model else to_8_bits(
                crop_to(whole, stream.size).clamp(0, 1))
            seen = self.coder.adapt(seen_latent, seen, condition)
            decoded.x_bar = crop_to(seen, stream.size).clamp(0, 1)
        return decoded
