"""Encoding and decoding a batch of images of different sizes."""
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from mmhmc.bitstream import Bitstream, layers_of
from mmhmc.codecs import ImageCodec
from mmhmc.codecs.layers.attention_stage import known_controls
from mmhmc.codecs.streams import as_stored
from mmhmc.codecs.variable_rate import what_adapters_know
from mmhmc.functional import (bound, count_bits, crop_to, extend_edges,
                              padded_size, valid_mask)
from mmhmc.functional.devices import ImageSizes
from mmhmc.functional.rate import fills
from mmhmc.registry import build_part, build_refinement
from mmhmc.structures import CodecOutput, CodedBatch, Condition
from .condition_choice import ConditionChoice

Size = tuple[int, int]
Batches = Sequence[tuple[Tensor, Sequence[Size]]]


class ImageCoding:
    """Mixin of codec wrappers: modules that hold a codec and an adapter.

    .. code-block:: none

        x ─► pad ─► codec ─► (bytes ─► codec) ─► x_hat ─► adapter ─► x_bar
                      │        evaluation only     └► people     └► the host
                      └► likelihoods ─► bits

    In training mode a batch is encoded at once and bits are estimated. In
    evaluation mode every image is encoded alone, at its own size, and with
    ``test_cfg['real_bits']`` decoded from a real bitstream.

    The module that mixes this in has ``codec``, ``adapter``,
    ``choose_condition`` and ``test_cfg``. ``RateLossHook`` learns what was
    coded from :meth:`recording`.

    Of a codec in layers the machine may see the first layers of a file alone,
    :attr:`machine_layers`, while people see all, and evaluation may cut files
    after some, ``test_cfg['layers']``.
    """

    codec: ImageCodec
    adapter: nn.Module | None
    choose_condition: ConditionChoice
    test_cfg: dict
    #: How many layers of a file the machine sees; None: all that are there.
    machine_layers: int | None = None
    _recording: '_Recording | None' = None

    @contextmanager
    def recording(self, batches: Batches = ()) -> Iterator[list[CodedBatch]]:
        """Record what is coded within this context.

        A host may call its backbone on several batches in one forward, and on
        crops and other views of them. Sizes hold for the batch that they came
        with and for copies of it. Of any other batch, e.g. a flipped one, the
        whole canvas counts as image.

        Args:
            batches: Inputs of the host, (B, C, H, W), and for each the real
                height and width of its images, as far as they are known.

        Yields:
            The coded batches, which is filled; those of ``batches`` come
            first.

        Raises:
            ValueError: If a batch has not as many sizes as images.
        """
        before, self._recording = self._recording, _Recording(batches)
        try:
            yield self._recording.records
        finally:
            self._recording = before

    def decode_images(self, records: Sequence[CodedBatch]) -> None:
        """Decode images that training has encoded, but not decoded.

        Args:
            records: From :meth:`recording`; ``x_hat`` is filled in.
        """
        for coded in records:
            if coded.x_hat is None and coded.y_hat is not None:
                with self._codec_gradients():
                    x_hat = self.codec.decode_latents(coded.y_hat,
                                                      coded.condition)
                coded.x_hat = crop_to(x_hat, coded.x.shape[-2:])

    def code_images(self,
                    x: Tensor,
                    inputs: Tensor | None = None) -> CodedBatch:
        """Code a batch.

        Args:
            x: RGB, nominally in [0, 1], shape (B, 3, H, W), each image in
                its top left corner.
            inputs: What the host calls this batch, to know it again.

        Returns:
            The coded batch, which a :meth:`recording` gets, too.

        Raises:
            RuntimeError: If a bitstream does not decode to its latents.
            ValueError: If ``x`` is not finite, or sizes do not fit.
        """
        recording = self._recording or _Recording()
        sizes, expected = recording.find_sizes(x, inputs)
        condition = self.choose_condition(
            self.training,
            len(x) if self.codec.mixes_qualities else None)
        if self.training:
            coded = self._code_batch(x, sizes, condition)
        else:
            with _untimed_kernels():
                coded = self._code_each(x, sizes, as_stored(condition))
        recording.add(coded, expected)
        return coded

    def _code_batch(self, x: Tensor, sizes: list[Size],
                    condition: Condition) -> CodedBatch:
        canvas = tuple(x.shape[-2:])
        output, bits, target = self._encode_batch(x, sizes, condition)
        x_hat, losses, seen = None, {}, self._seen_of(output)
        active = self.adapter is not None
        if seen is output.y_hat:
            with self._codec_gradients():
                x_hat, losses = self.codec.decode_with_losses(seen, condition)
        x_bar = self._image_for_machine(seen, x_hat, condition, active)
        real = None if fills(sizes, canvas) else valid_mask(
            sizes, canvas, canvas, x.device)
        # At test time the host sees values in [0, 1], so it must not learn
        # from others: an adapter would soon use them. Augmented images may
        # have values outside themselves, and x_bar may have the same.
        x_bar = bound(crop_to(x_bar, canvas), x.clamp(max=0), x.clamp(min=1))
        return CodedBatch(
            x,
            None if x_hat is None else crop_to(x_hat, canvas),
            x_bar if real is None else torch.where(real, x_bar, x),
            sizes,
            bits,
            [None] * len(x),
            # People's image is decoded if a loss asks for it.
            y_hat=output.y_hat if x_hat is None else None,
            condition=condition,
            extra_losses={
                **output.extra_losses,
                **losses
            },
            real=real,
            rest_bits=self._rest_bits(output, sizes, target))

    def _seen_of(self, output: CodecOutput) -> Tensor:
        """The latent that the machine sees."""
        return latent_of(output, self.machine_layers, 'machine_layers')

    def _image_for_machine(self, seen: Tensor, x_hat: Tensor | None,
                           condition: Condition, active: bool) -> Tensor:
        """What the machine sees of a latent, adapted or not.

        Args:
            seen: The latent.
            x_hat: What it decodes to, if that is known.
            condition: Controls of the codec.
            active: Whether the adapter works.
        """
        if x_hat is None and not (active
                                  and self.adapter.placement != 'image'):
            x_hat = self.codec.decode_latents(seen, condition)
        return self._adapt(seen, x_hat, condition, active)

    def _rest_bits(self, output: CodecOutput, sizes: Sequence[Size],
                   target: Size) -> Tensor | None:
        """Bits of the layers that the machine does not see; None if all."""
        if self.machine_layers is None:
            return None
        rest = layers_of(output.likelihoods)[self.machine_layers:]
        return count_bits(
            {
                name: output.likelihoods[name]
                for name in sum(rest, [])
            }, sizes, target).to(output.y_hat.device)

    def _encode_batch(
            self, x: Tensor, sizes: list[Size],
            condition: Condition) -> tuple[CodecOutput, Tensor, Size]:
        """Latents of a training batch, bits, and the size that was coded."""
        target = padded_size(x.shape[-2:], self.codec.downsampling_factor)
        # A frozen codec needs no symbols.
        encode = self.codec.encode_latents if self.codec.training \
            else self.codec.estimate_latents
        with self._codec_gradients():
            output = encode(extend_edges(x, sizes, target), condition)
        bits = count_bits(output.likelihoods, sizes, target).to(x.device)
        return output, bits, target

    @torch.no_grad()
    def _code_each(self, x: Tensor, sizes: list[Size],
                   condition: Condition) -> CodedBatch:
        # Decoders give values in [0, 1]; x exceeds it by rounding at most.
        x = x.clamp(0, 1)
        x_hat, x_bar = x.clone(), x.clone()
        bits, streams = [], []
        for i, size in enumerate(sizes):
            seen, adapted, estimate, stream = self._code_one(
                x[i:i + 1], size, condition)
            x_hat[i, :, :size[0], :size[1]] = seen
            x_bar[i, :, :size[0], :size[1]] = adapted
            bits.append(estimate)
            streams.append(stream)
        return self._written(x, x_hat, x_bar, sizes, bits, streams, condition)

    def _code_one(self, x: Tensor, size: Size, condition: Condition) -> tuple:
        y_hat, seen, bits, stream = self._code_latent(x, size, condition)
        x_hat = self.codec.decode_latents(y_hat, condition)
        x_bar = self._image_for_machine(seen, x_hat if seen is y_hat else None,
                                        condition, self.uses_adapter)
        return (crop_to(x_hat, size).clamp(0, 1),
                crop_to(x_bar, size).clamp(0, 1), bits, stream)

    def _code_latent(
        self, x: Tensor, size: Size, condition: Condition
    ) -> tuple[Tensor, Tensor, Tensor, Bitstream | None]:
        """Latents of one image that people and the machine see, estimated
        bits, and the bitstream.
        """
        if self.refinement is not None:
            return self._search_latent(x, size, condition)
        target = padded_size(size, self.codec.downsampling_factor)
        output = keep_layers(
            self.codec.encode_latents(
                extend_edges(x, [size], target), condition),
            self.test_cfg['layers'])
        # A real stream codes the image padded to the codec's stride, so
        # that is what its estimate covers.
        bits = count_bits(output.likelihoods, [target], target).to(x.device)
        fewer = self.machine_layers is not None and \
            self.machine_layers <= len(output.y_layers)
        y_hat, stream = output.y_hat, None
        seen = self._seen_of(output) if fewer else y_hat
        if self.test_cfg['real_bits'] and self.codec.entropy_tables():
            stream = self.codec.write(output, size, condition)
            if self.test_cfg['layers'] is not None:
                stream = stream.keep_layers(self.test_cfg['layers'])
            stream = Bitstream.from_bytes(stream.to_bytes())
            y_hat = self._read(stream, size, y_hat, condition)
            seen = y_hat
            if fewer:
                seen = self._read(
                    stream.keep_layers(self.machine_layers), size,
                    self._seen_of(output), condition)
        return y_hat, seen, bits, stream

    def _read(self, stream: Bitstream, size: Size, expected: Tensor,
              condition: Condition) -> Tensor:
        """The latent of a bitstream, which has to be the expected one."""
        y_hat = self.codec.read(stream, condition)
        if not torch.equal(y_hat, expected):
            raise RuntimeError(
                f'A bitstream of {stream.num_bytes} bytes for an image of '
                f'size {size} did not decode to the latents it was made of. '
                'Entropy tables and weights may not belong together: '
                'call `update_entropy_tables()`.')
        return y_hat

    def _search_latent(
            self, x: Tensor, size: Size,
            condition: Condition) -> tuple[Tensor, Tensor, Tensor, Bitstream]:
        """As :meth:`_code_latent`, by a search; bits are real ones."""
        stream, = self.codec.compress(
            crop_to(x, size), condition, self.refinement)
        if self.test_cfg['layers'] is not None:
            stream = stream.keep_layers(self.test_cfg['layers'])
        stream = Bitstream.from_bytes(stream.to_bytes())
        bits = x.new_tensor([8. * self.codec.num_bytes(stream)])
        y_hat = seen = self.codec.read(stream, condition)
        if self.machine_layers is not None and \
                self.machine_layers < len(stream.layers):
            seen = self.codec.read(
                stream.keep_layers(self.machine_layers), condition)
        return y_hat, seen, bits, stream

    @property
    def refinement(self):
        """The search of the ``test_cfg``; None if there is none."""
        given = self.test_cfg.get('refinement')
        if given is not None:
            # It may have been set since.
            given = self.test_cfg['refinement'] = build_refinement(given)
        return given

    def _written(self, x: Tensor, x_hat: Tensor | None, x_bar: Tensor,
                 sizes: list[Size], bits: Sequence[Tensor],
                 streams: Sequence[Bitstream | None],
                 condition: Condition) -> CodedBatch:
        """A batch of which each image may have a bitstream."""
        return CodedBatch(
            x,
            x_hat,
            x_bar,
            sizes,
            torch.cat(tuple(bits)), [
                None if stream is None else self.codec.num_bytes(stream)
                for stream in streams
            ],
            condition=condition,
            stream_bytes=[{} if stream is None else {
                name: len(payload)
                for name, payload in stream.streams.items()
            } for stream in streams])

    def _codec_gradients(self) -> torch.set_grad_enabled:
        """Context with gradients if there are any and the codec trains."""
        trains = any(p.requires_grad for p in self.codec.parameters())
        return torch.set_grad_enabled(torch.is_grad_enabled() and trains)

    @property
    def uses_adapter(self) -> bool:
        """Whether the adapter works at test time."""
        return self.adapter is not None and self.test_cfg['adapter']

    def adapt(self, y_hat: Tensor, x_hat: Tensor,
              condition: Condition) -> Tensor:
        """What a host sees of a decoded image at test time.

        Args:
            y_hat: The latent.
            x_hat: What it decodes to, shape (B, 3, H, W).
            condition: Controls of the codec.
        """
        return self._adapt(y_hat, x_hat, condition, self.uses_adapter)

    def _adapt(self, y_hat: Tensor, x_hat: Tensor | None, condition: Condition,
               active: bool) -> Tensor:
        if not active:
            return x_hat
        return run_adapter(self.adapter, self.codec, y_hat, x_hat, condition)


def latent_of(output: CodecOutput,
              layers: int | None,
              name: str = 'layers') -> Tensor:
    """The latent of the first layers of an output.

    Args:
        output: Of a codec.
        layers: How many; None: all.
        name: What an error calls their number.

    Raises:
        ValueError: If there are not so many.
    """
    latents = [*output.y_layers, output.y_hat]
    if layers is None:
        return output.y_hat
    if not 1 <= layers <= len(latents):
        raise ValueError(
            f'`{name}` is {layers}, and what this codec codes has '
            f'{len(latents)} layer(s). Give the codec `layers`, e.g. [3] for '
            'two.')
    return latents[layers - 1]


def keep_layers(output: CodecOutput, layers: int | None) -> CodecOutput:
    """An output without what comes after the first layers.

    Its symbols are those of all layers.

    Raises:
        ValueError: If there are not so many.
    """
    if layers is None:
        return output
    y_hat = latent_of(output, layers, 'test_cfg.layers')
    kept = sum(layers_of(output.likelihoods)[:layers], [])
    return replace(
        output,
        y_hat=y_hat,
        y_layers=output.y_layers[:layers - 1],
        likelihoods={
            name: one
            for name, one in output.likelihoods.items() if name in kept
        })


class _Recording:
    """Batches that are coded, and the sizes of those that are expected."""

    def __init__(self, batches: Batches = ()) -> None:
        for inputs, sizes in batches:
            if len(sizes) != len(inputs):
                raise ValueError(f'{len(sizes)} image sizes came with a batch '
                                 f'of {len(inputs)} images.')
        self._batches = [(inputs, ImageSizes(map(tuple, sizes)))
                         for inputs, sizes in batches]
        self.records: list[CodedBatch] = []
        self._expected = 0

    def add(self, coded: CodedBatch, expected: bool) -> None:
        """Add a batch, in front of those that were not expected if it was."""
        place = self._expected if expected else len(self.records)
        self.records.insert(place, coded)
        self._expected += expected

    def find_sizes(self, x: Tensor,
                   inputs: Tensor | None) -> tuple[ImageSizes, bool]:
        """Sizes of the images of a batch, and whether it was expected."""
        canvas = tuple(x.shape[-2:])
        alike = [(batch, sizes) for batch, sizes in self._batches
                 if len(sizes) == len(x) and tuple(batch.shape[-2:]) == canvas]
        for is_same in (_is_one_memory, _is_equal):
            for batch, sizes in alike:
                if inputs is not None and is_same(inputs, batch):
                    return sizes, True
        whole = ImageSizes([canvas] * len(x))
        return whole, bool(alike) or not self._batches


@contextmanager
def _untimed_kernels() -> Iterator[None]:
    """Let cuDNN choose kernels without timing them.

    With ``cudnn_benchmark=True``, good for crops of one size, it would time
    them again for every image of another size.
    """
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _is_one_memory(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors of equal shape lie in the same place."""
    return one.data_ptr() == other.data_ptr()


def _is_equal(one: Tensor, other: Tensor) -> bool:
    """Whether a tensor is a copy, perhaps of another type."""
    return one.shape == other.shape and torch.equal(
        one.float(),
        other.to(one.dtype).float())


def complete_test_cfg(test_cfg: dict | None,
                      defaults: dict | None = None) -> dict:
    """Fill in missing keys and refuse unknown ones.

    Args:
        test_cfg: ``adapter``: whether x_bar goes through the adapter (the
            bits are the same without); ``real_bits``: whether evaluation
            writes and reads real bitstreams. Both True if left out.
            ``layers``: after how many layers evaluation cuts each file; None,
            the default: it is left whole.
            ``refinement``: a search for better latents, its arguments or its
            number of steps; None if left out.
        defaults: Other keys than these, with their values.

    Returns:
        A new dictionary with every key, and the search built.

    Raises:
        TypeError: If the search is none.
        ValueError: If there is another key, or the search asks for too much.
    """
    complete = dict(
        defaults or dict(adapter=True, real_bits=True),
        layers=None,
        refinement=None)
    unknown = set(test_cfg or {}) - set(complete)
    if unknown:
        raise ValueError(f'`test_cfg` has the unknown keys {sorted(unknown)}; '
                         f'it may have {sorted(complete)}.')
    complete.update(test_cfg or {})
    if complete['refinement'] is not None and not complete['real_bits']:
        raise ValueError('`test_cfg.refinement` compares real files: leave '
                         '`real_bits` True.')
    if complete['refinement'] is not None:
        complete['refinement'] = build_refinement(complete['refinement'])
    return complete


def run_adapter(adapter: nn.Module, codec: ImageCodec, y_hat: Tensor | None,
                x_hat: Tensor | None, condition: Condition) -> Tensor:
    """Adapt what a codec has decoded.

    Args:
        adapter: From :func:`build_adapter`.
        codec: The codec.
        y_hat: The latent, for an adapter that is placed there or decodes it.
        x_hat: What it decodes to, shape (B, 3, H, W), for one that does not.
        condition: Controls of the codec; the adapter gets those that it
            lists as ``controls``.

    Returns:
        Shape of ``x_hat``, or larger by what the codec padded.
    """
    if adapter.placement == 'synthesis':
        x_hat = adapter.decode(codec, y_hat, condition)
        if adapter.after is None:
            return x_hat
        return run_adapter(adapter.after, codec, None, x_hat, condition)
    controls = known_controls(adapter, what_adapters_know(codec, condition))
    adapt = partial(adapter, **controls)
    if adapter.placement == 'latent':
        return codec.decode_latents(adapt(y_hat), condition)
    return adapt(x_hat)


def check_layer_count(machine_layers: int | None,
                      codec: ImageCodec) -> int | None:
    """How many layers the machine sees.

    Raises:
        ValueError: If the codec's files have not so many.
    """
    count = 1 + len(codec.optional_streams)
    if machine_layers is not None and not (isinstance(machine_layers, int)
                                           and 0 < machine_layers <= count):
        raise ValueError(
            f'`machine_layers` must be from 1 to {count}, the layers that '
            f'{type(codec).__name__} codes here, got {machine_layers!r}. A '
            'codec with a Gaussian conditional has more with `layers`, e.g. '
            '[3] for two.')
    return machine_layers


def build_adapter(adapter: dict | None, codec: ImageCodec) -> nn.Module | None:
    """Build an adapter and check that it fits the codec.

    Raises:
        ValueError: If an adapter does not fit the codec's qualities, or a
            latent adapter its latent.
    """
    adapter = build_part(adapter)
    asked = getattr(adapter, 'num_qualities', 0)
    qualities = getattr(codec, 'num_qualities', 0)
    if asked and asked != qualities:
        raise ValueError(
            f'The adapter is of a codec with {asked} qualities, and '
            f'{type(codec).__name__} has {qualities or "one rate"}: set '
            f'`num_qualities={qualities}` of the adapter.')
    if adapter is None or adapter.placement == 'image':
        return adapter
    if adapter.placement == 'synthesis':
        if not hasattr(codec, 'g_s'):
            raise ValueError(f'{type(codec).__name__} has no `g_s` from which '
                             f'{type(adapter).__name__} could begin.')
        adapter.begin_as(codec.g_s)
        return adapter
    channels = getattr(codec, 'latent_channels', None)
    if channels is None:
        raise ValueError(f'{type(codec).__name__} has no latent to adapt; use '
                         "placement='image'.")
    if adapter.in_channels != channels:
        raise ValueError(
            f'The adapter takes latents of {adapter.in_channels} channels, '
            f'those of {type(codec).__name__} have {channels}: set '
            f'`in_channels={channels}`.')
    return adapter
