"""Bits per pixel, estimated and real."""
import json
import os
from collections.abc import Sequence

from mmengine.evaluator import BaseMetric

from mmhmc.bitstream import layers_of
from mmhmc.registry import METRICS
from mmhmc.structures import CodedImage
from mmhmc.whole_files import write_whole


@METRICS.register_module()
class BitrateMetric(BaseMetric):
    """Mean over images of their bits per pixel.

    - ``bpp``: real bytes, header included, over the pixels of the original,
      unpadded, unresized image; left out where nothing was written.
    - ``bpp_NAME`` for each named stream that all images have: its bytes,
      without the header, over the same pixels.
    - ``bpp_layer1``, ``bpp_layer2``, ... where all images have several
      layers: the bytes of each, that of the base with the header.
    - ``bpp_estimated``: ``bpp`` of ``-log2`` of the likelihoods instead.
    - ``bpp_coded``, ``bpp_coded_estimated``: both over the pixels that were
      coded (after the host's resize).

    Args:
        out_file: JSON for every image's sizes, bytes, estimated bits, and
            which view of it was coded.
        **kwargs: As of mmengine's ``BaseMetric``; without ``prefix``,
            metrics have ``'rate'`` in front.
    """

    default_prefix = 'rate'
    lower_is_better = ('bpp', )

    def __init__(self, out_file: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.out_file = out_file

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Note the bits of each image.

        Raises:
            KeyError: If a sample has not been coded.
        """
        # One result for each sample, as mmengine counts them.
        self.results.extend(
            [_rates(frame, coding) for frame, coding in coded_images(sample)]
            for sample in data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Means over all images; nothing of none."""
        results = [image for sample in results for image in sample]
        if not results:
            return {}
        if self.out_file is not None:
            os.makedirs(os.path.dirname(self.out_file) or '.', exist_ok=True)
            write_whole(self.out_file, json.dumps(results, indent=1).encode())

        def mean(bits: list[float], size: str) -> float:
            return sum(b / (r[size][0] * r[size][1])
                       for b, r in zip(bits, results)) / len(results)

        estimated = [r['bits_estimated'] for r in results]
        metrics = dict(
            bpp_estimated=mean(estimated, 'original_size'),
            bpp_coded_estimated=mean(estimated, 'coded_size'))
        if all(r['num_bytes'] is not None for r in results):
            real = [8 * r['num_bytes'] for r in results]
            metrics.update(
                bpp=mean(real, 'original_size'),
                bpp_coded=mean(real, 'coded_size'))
        names = [r['stream_bytes'] for r in results]
        for name in names[0]:
            if all(name in lengths for lengths in names):
                bits = [8 * lengths[name] for lengths in names]
                metrics[f'bpp_{name}'] = mean(bits, 'original_size')
        layers = [_layer_bytes(r) for r in results]
        count = min(map(len, layers))
        if count > 1 and count == max(map(len, layers)):
            for i, sizes in enumerate(zip(*layers), 1):
                metrics[f'bpp_layer{i}'] = mean([8 * one for one in sizes],
                                                'original_size')
        return metrics


def _layer_bytes(result: dict) -> list[int]:
    """Bytes of each layer of a real bitstream; else of none."""
    if result['num_bytes'] is None:
        return []
    lengths = result['stream_bytes']
    _, *added = layers_of(lengths)
    sizes = [sum(lengths[name] for name in names) for names in added]
    return [result['num_bytes'] - sum(sizes), *sizes]


def coded_images(sample: dict) -> list[tuple[dict, CodedImage]]:
    """The coded images of a data sample in dictionary form.

    Returns:
        For each image its data sample and its coding. The sample of a video
        holds several images. Images whose coding is not known are left out.

    Raises:
        KeyError: If the sample does not say how its image was coded.
    """
    frames = [
        frame if isinstance(frame, dict) else frame.to_dict()
        for frame in sample.get('video_data_samples', [sample])
    ]
    if any('coding' not in frame for frame in frames):
        raise KeyError(
            'A data sample says nothing about its coding; add '
            "dict(type='mmhmc.RateLossHook') to `custom_hooks`, and give the "
            'model an mmhmc.CodecBackbone.')
    return [(frame, frame['coding']) for frame in frames
            if frame['coding'] is not None]


def _rates(sample: dict, image: CodedImage) -> dict:
    return dict(
        img_id=sample.get('img_id'),
        img_path=sample.get('img_path'),
        original_size=list(image.original_size),
        coded_size=list(image.coded_size),
        view=image.view,
        num_bytes=image.num_bytes,
        stream_bytes=image.stream_bytes,
        bits_estimated=image.bits)
