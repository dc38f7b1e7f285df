"""Images in; bitstreams, images and predictions out."""
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import torch
from mmengine.logging import print_log
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import interpolate

from mmhmc.bitstream import Bitstream
from mmhmc.engine.parts import find_codec_wrapper
from mmhmc.former_names import former_arguments
from mmhmc.functional import to_pixels
from mmhmc.models import CodecModel, LatentBackbone
from mmhmc.progress import progress
from mmhmc.refinement import LatentRefinement, build_refinement
from mmhmc.structures import CodecOutput, CodingCondition
from .codec_loading import allow_bf16
from .config_files import locate
from .host_analysis import PROTOCOLS, DecodedImage, HostAnalysis
from .inference_codec import InferenceCodec
from .inference_inputs import EncodedImage, Inputs, list_items, to_bgr
from .model_loading import ModelConfig, choose_device, load_model
from .predictions import PredictionPainter, plain_prediction
from .result_writer import ResultWriter
from .training import load_config


class HMCInferencer:
    """A codec, and the host model that sees its images, if there is one.

    .. code-block:: none

        image ─► encode ─► bitstream ─┬─► decode ──► image, for people
                                        └─► analyze ─► predictions
        inferencer(image) = encode, then analyze and decode from the bytes

    Images are given as files, folders, globs, BGR arrays (H, W, 3) uint8 as
    mmcv reads them, or lists of those; arrays that come back are BGR, too,
    but for drawings, which are RGB as the hosts' inferencers give them.

    Where an image is coded is ``protocol``:

    - ``'before the pipeline'``: at its own resolution, so that the file is
      one for people; what is decoded goes through the adapter, is rounded to
      8 bits, and passes the host's pipeline and its bare backbone. The
      default, except for a ``LatentBackbone``, whose heads then see latents
      of the image's own resolution.
    - ``'in the model'``: as the host's pipeline has resized or cropped it,
      which is what training does. The default of a ``LatentBackbone``.

    A batch holds images of one size, so that padding changes no prediction;
    every image is coded for itself.

    Text that checkpoints hold as a config is never run.

    Args:
        model: Name of a model, ``compressai://NAME``, config file,
            ``PACKAGE::FILE``, ``Config`` or dict, see
            :func:`mmhmc.apis.config_files.locate`, with a ``CodecBackbone``,
            a ``LatentBackbone``, or a codec alone (``CodecModel``, or just
            ``codec``), which analyzes nothing.
        checkpoint: Its weights, a file, an address or the name of a model;
            None for those that come with a name, or ``load_from`` of the
            config.
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:1'``; None for a GPU if there
            is one.
        options: Settings of the config to override, by dotted name.
        condition: Run-time controls of the codec, ``quality``, ``task``,
            ``alpha``, ``beta``, over those of the config.
        protocol: ``'before the pipeline'`` or ``'in the model'``; None for
            the default.
        bf16: Let the codec's transforms compute in bfloat16 where the device
            does so natively, see :mod:`mmhmc.machine`.
        layers: After how many layers each file is cut, of a codec in layers;
            None for ``test_cfg`` of the config, or whole files.

    Raises:
        OSError: If a file cannot be read or downloaded.
        ValueError: If the zoo has no such model, there are no weights or they
            do not fit, the device is not there, or the codec refuses the
            condition.
    """

    def __init__(self,
                 model: ModelConfig,
                 checkpoint: str | Path | None = None,
                 device: str | None = None,
                 options: dict | None = None,
                 condition: dict | None = None,
                 protocol: str | None = None,
                 bf16: bool = False,
                 layers: int | None = None) -> None:
        if protocol not in (None, *PROTOCOLS):
            raise ValueError(f'`protocol` must be one of {list(PROTOCOLS)}, '
                             f'got {protocol!r}.')
        self.device = choose_device(device)
        self.cfg = load_config(model, options)
        checkpoint = checkpoint or locate(model).checkpoint
        self.model = load_model(self.cfg, checkpoint, self.device)
        self.coder = find_codec_wrapper(self.model)
        self.codec = self.coder.codec
        if bf16:
            chosen = allow_bf16(self.codec, self.device)
            print_log(f'The codec computes in {chosen}')
        self.dataset_meta = self.model.dataset_meta
        self._coding = InferenceCodec(self.coder, self.device, condition or {},
                                      layers)
        sees_latents = isinstance(self.coder, LatentBackbone)
        self.protocol = protocol or PROTOCOLS[sees_latents]
        self._host: HostAnalysis | None = None
        if not isinstance(self.model, CodecModel):
            self._host = HostAnalysis(self.model, self.coder, self.cfg,
                                      self.device,
                                      self.protocol == PROTOCOLS[1])
            self._coding.show_to(self._host)
        elif protocol == PROTOCOLS[1]:
            raise ValueError("`protocol='in the model'` needs a host model "
                             'behind the codec; this is a codec alone.')
        self._painter: PredictionPainter | None = None

    @property
    def has_task(self) -> bool:
        """Whether there is a host, which :meth:`analyze` needs."""
        return self._host is not None

    @former_arguments(return_pictures='return_images')
    def __call__(self,
                 inputs: Inputs,
                 out_dir: str | Path | None = None,
                 batch_size: int = 1,
                 condition: dict | None = None,
                 pred_score_thr: float = 0.3,
                 return_vis: bool = False,
                 return_images: bool = False,
                 return_datasamples: bool = False,
                 show_progress: bool = True,
                 force: bool = False) -> dict[str, list]:
        """Encode images, and analyze and decode their bitstreams.

        Bitstreams among the inputs are analyzed and decoded as they are. A
        ``LatentBackbone`` decodes images only for ``out_dir``,
        ``return_vis`` and ``return_images``.

        Args:
            inputs: Images and bitstreams, see the class; a folder gives its
                images, or else its ``.hmc`` files.
            out_dir: Folder for ``streams/a.png.hmc``, ``images/a.png``
                (decoded, for people), ``vis/a.png`` (predictions drawn on
                it), ``preds/a.png.json``; None writes nothing.
            batch_size: Images that the host sees at once.
            condition: As of the class, for this call.
            pred_score_thr: Objects that are less sure are not drawn.
            return_vis: Whether to return drawings.
            return_images: Whether to return decoded images.
            return_datasamples: Whether predictions are the host's data
                samples, else plain values, see
                :func:`~mmhmc.apis.predictions.plain_prediction`.
            show_progress: Whether to show progress on stderr.
            force: Whether to replace files that exist and differ.

        Returns:
            Lists with an entry for each input, or none if it was not asked
            for: ``predictions``; ``visualization``, RGB; ``bitstreams``;
            ``rates``, see :attr:`EncodedImage.rate`; ``images``, BGR.

        Raises:
            BitstreamError: If a bitstream is damaged or of another codec.
            FileExistsError: If a file exists and differs, without ``force``.
            OSError: If a file cannot be read or written.
            ValueError: If an input is none, or an argument does not fit.
        """
        items = list_items(inputs)
        writer = ResultWriter(out_dir, items, force=force)
        draws = self.has_task and (return_vis or writer.writes)
        chosen = self._coding.choose_condition(condition)
        results = dict(
            predictions=[],
            visualization=[],
            bitstreams=[],
            rates=[],
            images=[])
        with progress('inference', len(items), show_progress) as advance:
            encoded = (self._coding.encode(item, chosen) for item in items)
            for one in self._analyzed(encoded, chosen, batch_size, draws
                                      or writer.writes or return_images):
                results['bitstreams'].append(one.encoded.bitstream)
                results['rates'].append(one.encoded.rate)
                writer.stream(one.encoded)
                if return_images:
                    results['images'].append(to_bgr(one.x_hat[0]))
                if one.x_hat is not None:
                    writer.image(one.encoded.name, one.x_hat[0])
                self._keep(one, results, writer,
                           pred_score_thr if draws else None, return_vis,
                           return_datasamples)
                advance()
        return results

    def encode(
        self,
        inputs: Inputs,
        out_dir: str | Path | None = None,
        quality: float | None = None,
        condition: dict | None = None,
        show_progress: bool = True,
        refinement: LatentRefinement | dict | int | None = None,
        force: bool = False,
    ) -> list[EncodedImage]:
        """Encode images.

        Args:
            inputs: Images, see the class.
            out_dir: Folder for ``a.png.hmc``; None writes nothing.
            quality: Short for ``condition=dict(quality=...)``.
            condition: As of the class, for this call.
            show_progress: Whether to show progress on stderr.
            refinement: A search for better latents, its config, or its number
                of steps; see :class:`~mmhmc.refinement.LatentRefinement`.
            force: Whether to replace files that exist and differ.

        Returns:
            The bitstreams, with what they cost.

        Raises:
            FileExistsError: If a file exists and differs, without ``force``.
            OSError: If a file cannot be read or written.
            ValueError: If an input is no image, or the condition does not
                fit the codec.
        """
        if quality is not None:
            condition = dict(condition or {}, quality=quality)
        if refinement is not None:
            refinement = build_refinement(refinement)
        chosen = self._coding.choose_condition(condition)
        items = list_items(inputs, streams=False)
        writer = ResultWriter(out_dir, items, stream='', force=force)
        encoded = []
        with progress('encode', len(items), show_progress) as advance:
            for item in items:
                one = self._coding.encode(item, chosen, refinement)
                encoded.append(writer.stream(one))
                advance()
        return encoded

    @torch.no_grad()
    def decode(self,
               inputs: Inputs,
               out_dir: str | Path | None = None,
               adapted: bool = False,
               condition: dict | None = None,
               show_progress: bool = True,
               force: bool = False) -> list[ndarray]:
        """Decode bitstreams to images.

        Args:
            inputs: What :meth:`encode` gave, bitstreams, their bytes, or
                ``.hmc`` files, folders and globs of such.
            out_dir: Folder for ``a.png``; None writes nothing.
            adapted: Whether to give what the machine sees, behind the
                adapter, else what people see.
            condition: As of the class, for this call; the quality is that of
                the bitstream.
            show_progress: Whether to show progress on stderr.
            force: Whether to replace files that exist and differ.

        Returns:
            BGR, uint8, (H, W, 3), each of the size that was coded.

        Raises:
            BitstreamError: If a bitstream is damaged or of another codec.
            FileExistsError: If a file exists and differs, without ``force``.
            OSError: If a file cannot be read or written.
            ValueError: If there is no adapter, or an input is no bitstream.
        """
        if adapted and not self.has_adapter:
            raise ValueError('There is no adapter, or it is switched off: '
                             'the machine sees the decoded image or the '
                             'latent. Leave out `adapted`.')
        chosen = self._coding.choose_condition(condition)
        items = list_items(inputs, images=False)
        writer = ResultWriter(out_dir, items, image='', force=force)
        images = []
        with progress('decode', len(items), show_progress) as advance:
            for item in items:
                one = self._coding.decode(
                    self._coding.load(item), chosen, True)
                x = one.x_bar if adapted else one.x_hat
                images.append(to_bgr(x[0]))
                writer.image(item.name, x[0])
                advance()
        return images

    def analyze(self,
                inputs: Inputs,
                out_dir: str | Path | None = None,
                batch_size: int = 1,
                condition: dict | None = None,
                pred_score_thr: float = 0.3,
                return_vis: bool = False,
                return_datasamples: bool = False,
                show_progress: bool = True,
                force: bool = False) -> dict[str, list]:
        """Predict from bitstreams alone.

        Of an image that was coded in the model, a bare bitstream does not
        say the original size: coordinates are then those of the image that
        was coded. What :meth:`encode` gave knows it.

        Args:
            inputs: As of :meth:`decode`.
            out_dir: Folder for ``vis/a.png`` and ``preds/a.png.json``; None
                writes nothing.
            batch_size: See :meth:`__call__`; so are the others.
            condition: As of the class, for this call.
            pred_score_thr: Objects that are less sure are not drawn.
            return_vis: Whether to return drawings.
            return_datasamples: Whether predictions are data samples.
            show_progress: Whether to show progress on stderr.
            force: Whether to replace files that exist and differ.

        Returns:
            ``predictions`` and ``visualization``, see :meth:`__call__`.

        Raises:
            BitstreamError: If a bitstream is damaged or of another codec.
            FileExistsError: If a file exists and differs, without ``force``.
            OSError: If a file cannot be read or written.
            RuntimeError: If the model is a codec alone.
            ValueError: If an input is no bitstream, or was coded elsewhere
                than ``protocol`` says.
        """
        if not self.has_task:
            raise RuntimeError(
                'This is a codec alone, with no model to analyze images by: '
                'use `decode`, or give a config with a host behind the codec.')
        chosen = self._coding.choose_condition(condition)
        items = list_items(inputs, images=False)
        writer = ResultWriter(out_dir, items, force=force)
        draws = return_vis or writer.writes
        results = dict(predictions=[], visualization=[])
        with progress('analyze', len(items), show_progress) as advance:
            encoded = map(self._coding.load, items)
            for one in self._analyzed(encoded, chosen, batch_size, draws):
                self._keep(one, results, writer,
                           pred_score_thr if draws else None, return_vis,
                           return_datasamples)
                advance()
        return results

    def analyze_images(self, images: Sequence[ndarray]) -> list:
        """Predict from images as they are, past codec and adapter.

        For the original, or for what another codec has decoded.

        Args:
            images: BGR, uint8, (H, W, 3).

        Returns:
            The host's data samples, on the CPU.

        Raises:
            RuntimeError: If there is no host, or it sees latents only.
        """
        if not self.has_task or self.sees_latents:
            raise RuntimeError(
                'There is no model here that sees images: give a config with '
                'a host behind a `CodecBackbone`.')
        return [self._host.predict_image(image) for image in images]

    @property
    def has_adapter(self) -> bool:
        """Whether an adapter stands between codec and host."""
        return self.has_task and self.coder.uses_adapter

    @property
    def sees_latents(self) -> bool:
        """Whether the host sees latents, and no decoded image."""
        return self.has_task and self._host.sees_latents

    def coded_image(self, x: Tensor) -> Tensor:
        """An image as it is coded: resized by the host or as it is.

        Args:
            x: RGB in [0, 1], shape (3, H, W).

        Returns:
            RGB in [0, 1], shape (1, 3, h, w).
        """
        return self._coding.image_to_code(x)

    @torch.no_grad()
    def code(self,
             x: Tensor,
             condition: dict | None = None) -> tuple[CodecOutput, Bitstream]:
        """Encode one image at its own size, to look into a codec.

        Args:
            x: RGB in [0, 1], shape (1, 3, H, W).
            condition: As of the class, for this call.

        Returns:
            What the codec made of the image, padded to its stride, with
            likelihoods; and the bitstream of that.
        """
        return self._coding.compress(x,
                                     self._coding.choose_condition(condition))

    def _analyzed(self, encoded: Iterable[EncodedImage],
                  condition: CodingCondition | None, batch_size: int,
                  wants_images: bool) -> Iterator[DecodedImage]:
        if batch_size < 1:
            raise ValueError('`batch_size` must be 1 or more, got '
                             f'{batch_size}.')
        waiting: list[tuple[DecodedImage, dict]] = []
        for one in encoded:
            decoded = self._coding.decode(one, condition, wants_images)
            if not self.has_task:
                yield decoded
                continue
            item = self._host.prepare(decoded)
            if waiting and (len(waiting) == batch_size
                            or waiting[0][1]['inputs'].shape
                            != item['inputs'].shape):
                yield from self._predicted(waiting)
                waiting = []
            waiting.append((decoded, item))
        if waiting:
            yield from self._predicted(waiting)

    def _predicted(
        self, waiting: Sequence[tuple[DecodedImage,
                                      dict]]) -> Iterator[DecodedImage]:
        images, items = zip(*waiting)
        samples = self._host.predict(items, images)
        for one, sample in zip(images, samples):
            one.sample = sample
            yield one

    def _keep(self, one: DecodedImage, results: dict, writer: ResultWriter,
              score_thr: float | None, return_vis: bool,
              return_datasamples: bool) -> None:
        if one.sample is None:
            return
        plain = plain_prediction(one.sample, self.dataset_meta.get('classes'))
        results['predictions'].append(
            one.sample if return_datasamples else plain)
        writer.prediction(one.encoded, plain)
        if score_thr is None:
            return
        if self._painter is None:
            self._painter = PredictionPainter(self.cfg, self.dataset_meta)
        x_hat, size = one.x_hat, tuple(one.encoded.original_size)
        if tuple(x_hat.shape[-2:]) != size:
            x_hat = interpolate(x_hat, size, mode='bilinear', antialias=True)
        drawing = self._painter(to_pixels(x_hat[0]), one.sample, score_thr)
        writer.drawing(one.encoded.name, drawing)
        if return_vis:
            results['visualization'].append(drawing)
