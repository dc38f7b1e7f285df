"""What it saves to let a host's heads see the latent.

For each pair of a latent config and the host that it replaces, at equal
heads: multiply-accumulates per pixel and milliseconds from a bitstream to
predictions, decoding an image first or not. Weights are random: the cost
does not depend on them, for heads get as many objects as they may have.
"""
import argparse
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import torch  # noqa: E402
from mmengine.config import ConfigDict  # noqa: E402
from mmengine.registry import DefaultScope  # noqa: E402
from mmengine.structures import BaseDataElement  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from mmhmc.apis import read_config  # noqa: E402
from mmhmc.apis.mixing import host_of  # noqa: E402
from mmhmc.bitstream import Bitstream  # noqa: E402
from mmhmc.codecs import ImageCodec, build_codec  # noqa: E402
from mmhmc.functional import crop_to  # noqa: E402
from mmhmc.input_norm import InputNorm  # noqa: E402
from mmhmc.models import LatentFeatures  # noqa: E402
from mmhmc.registry import MODELS  # noqa: E402
from mmhmc.whole_files import write_whole  # noqa: E402

CONFIGS = Path(__file__).parents[1] / 'configs'
#: Latent config, the host that it replaces, height and width in pixels.
PAIRS = (
    ('mask-rcnn_latent', 'mask-rcnn_r50_fpn', (800, 1344)),
    ('mask-rcnn_latent_sample', 'mask-rcnn_r18_small', (256, 256)),
    ('fcn_latent_sample', 'fcn_r18_small', (256, 256)),
    ('linear_latent_sample', 'resnet18_small', (256, 256)),
    ('layered_parsing_latent', 'face_parsing', (256, 256)),
    ('layered_parts_latent', 'face_parts', (256, 256)),
)
#: Of every latent there is.
STRIDE = 16
STAGES = ('read', 'image', 'features', 'heads')
WAYS = ('decode first', 'latent')


class Meter:
    """Reads a clock, or a counter, between the stages of a prediction."""

    def __init__(self, now: Callable[[], float]) -> None:
        self.now = now
        self.spent = dict.fromkeys(STAGES, 0.)
        self._last = now()

    def mark(self, stage: str) -> None:
        """End a stage."""
        now = self.now()
        self.spent[stage] += now - self._last
        self._last = now


class ReadBackbone(nn.Module):
    """In place of a backbone: begins with bytes instead of images.

    Args:
        codec: That wrote them.
        data: Bytes of one image.
        backbone: What sees the decoded image; None: nothing is decoded.
    """

    def __init__(self, codec: ImageCodec, data: bytes, backbone=None) -> None:
        super().__init__()
        self.codec = codec
        self.data = data
        self.backbone = backbone
        self.input_norm = InputNorm([123.675, 116.28, 103.53],
                                    [58.395, 57.12, 57.375])
        self.meter = None

    def forward(self, inputs: Tensor):
        """Features of what is read; ``inputs`` only has a size."""
        stream = Bitstream.from_bytes(self.data)
        y_hat = self.codec.read(stream)
        self.meter.mark('read')
        if self.backbone is None:
            rows, columns = (-(-side // STRIDE) for side in stream.size)
            return LatentFeatures.over([y_hat[..., :rows, :columns]],
                                       stream.size)
        x = crop_to(self.codec.decode_latents(y_hat), stream.size).clamp(0, 1)
        x = (x * 255 - self.input_norm.mean) / self.input_norm.std
        self.meter.mark('image')
        return self.backbone(x)


def keep_all_objects(model: dict) -> None:
    """Give the heads of a two-stage detector as many objects as they take.

    Random weights would leave a random number, and the mask head without
    work.
    """
    test_cfg = model.get('test_cfg', {})
    if 'rpn' in test_cfg:
        test_cfg.rpn.nms.iou_threshold = 1.
        test_cfg.rcnn.nms.iou_threshold = 1.
        test_cfg.rcnn.score_thr = 0.


def build_pair(leaf: str, host: str, size: tuple[int,
                                                 int]) -> dict[str, nn.Module]:
    """Both ways from the same bytes to the same heads.

    Args:
        leaf: Name of a latent config.
        host: Name of the task model that it replaces the backbone of.
        size: Height and width in pixels.

    Returns:
        A model for each of :data:`WAYS`.
    """
    cfg = read_config(CONFIGS / f'compressed_domain/{leaf}.py')
    plain = read_config(CONFIGS / f'_base_/task_models/{host}.py').model
    codec = build_codec(ConfigDict(cfg.model.backbone.codec, init_cfg=None))
    codec.eval().update_entropy_tables()
    # Overlaps would be counted against the way that decodes.
    codec.tile_size = None
    stream, = codec.compress(torch.rand(1, 3, *size))
    plain.backbone.init_cfg = None
    models = {}
    with DefaultScope.overwrite_default_scope(host_of(cfg)):
        for way, model in zip(WAYS, (plain, cfg.model)):
            keep_all_objects(model)
            built = MODELS.build(deepcopy(model)).eval()
            inner = built.backbone if way == 'decode first' else None
            built.backbone = ReadBackbone(codec, stream.to_bytes(), inner)
            built.scope = host_of(cfg)
            models[way] = built
    heads = ({
        name: tuple(p.shape)
        for name, p in model.named_parameters()
        if not name.startswith(('backbone.', 'neck.'))
    } for model in models.values())
    if next(heads) != next(heads):
        raise ValueError(f'{leaf} and {host} have different heads.')
    return models


def predict(model: nn.Module, size: tuple[int, int],
            now: Callable[[], float]) -> dict[str, float]:
    """One prediction.

    Args:
        model: Of :func:`build_pair`.
        size: Height and width in pixels.
        now: Clock or counter.

    Returns:
        What passed on it in each stage.
    """
    extract = type(model).extract_feat
    meter = model.backbone.meter = Meter(now)

    def extract_feat(*args, **kwargs):
        features = extract(model, *args, **kwargs)
        meter.mark('features')
        return features

    model.extract_feat = extract_feat
    sample = BaseDataElement(
        metainfo=dict(
            img_shape=size,
            ori_shape=size,
            scale_factor=(1., 1.),
            batch_input_shape=size))
    # The other hosts make their own.
    samples = [sample] if model.scope == 'mmdet' else None
    with torch.no_grad(), \
            DefaultScope.overwrite_default_scope(model.scope):
        model(torch.zeros(1, 3, *size), samples, mode='predict')
    meter.mark('heads')
    return meter.spent


def kmacs(model: nn.Module, size: tuple[int, int]) -> dict[str, float]:
    """Thousand multiply-accumulates per pixel in each stage."""
    with FlopCounterMode(display=False) as counter:
        # It counts a multiplication and an addition as two.
        spent = predict(model, size, lambda: counter.get_total_flops() / 2)
    return {s: n / 1000 / (size[0] * size[1]) for s, n in spent.items()}


def milliseconds(models: dict[str, nn.Module], size: tuple[int, int],
                 repeats: int) -> dict[str, dict[str, float]]:
    """Each stage of each way, the quickest of several runs, in turns."""
    runs = {way: [] for way in models}
    for repeat in range(repeats + 1):
        for way, model in models.items():
            spent = predict(model, size, time.perf_counter)
            # The first warms up.
            if repeat:
                runs[way].append(spent)
    return {
        way: {
            stage: 1000 * min(spent[stage] for spent in several)
            for stage in STAGES
        }
        for way, several in runs.items()
    }


def rows_of(unit: str, spent: dict[str, dict[str, float]]) -> list[str]:
    """Lines of a table: a way each."""
    whole = {way: sum(stages.values()) for way, stages in spent.items()}
    saved = 1 - whole['latent'] / whole['decode first']
    lines = []
    for way, stages in spent.items():
        cells = [f'{stages[stage]:.1f}' for stage in STAGES]
        last = f'{100 * saved:.0f} %' if way == 'latent' else ''
        lines.append(f'| {unit} | {way} | {" | ".join(cells)} | '
                     f'**{whole[way]:.1f}** | {last} |')
    return lines


def measure(leaf: str, host: str, size: tuple[int, int],
            repeats: int) -> list[str]:
    """Section of the page for one pair."""
    torch.manual_seed(0)
    models = build_pair(leaf, host, size)
    counted = {way: kmacs(model, size) for way, model in models.items()}
    timed = milliseconds(models, size, repeats)
    codec = type(models['latent'].backbone.codec).__name__
    return [
        f'## {leaf}', '',
        f'{size[0]}x{size[1]} pixels, {codec}; the image would be seen by '
        f'`{host}`.', '',
        f'| unit | way | {" | ".join(STAGES)} | all | saved |',
        '|---|---|' + '---:|' * (len(STAGES) + 2),
        *rows_of('KMAC/px', counted), *rows_of('ms', timed), ''
    ]


INTRODUCTION = '''# Analysis in the compressed domain: what it saves

A `LatentBackbone` shows the latent y_hat to the host's heads, through a
`CompressedDomainNeck`. No image is decoded for the machine. This command
writes the page:

<!-- test: dry takes minutes on the full models -->
```bash
python dev/latent_cost.py --repeats {repeats}
```

It measures the way from a bitstream of one image to predictions, in four
stages:

- **read**: entropy decoding and what chooses its tables, bytes to y_hat;
- **image**: g_s on the whole image at once, and the host's normalisation
  (large images are otherwise decoded in tiles, whose overlaps cost more);
- **features**: backbone and neck of the host, or the `CompressedDomainNeck`;
- **heads**: the same both ways, with all proposals and objects that the config
  lets through.

KMAC/px are thousand multiply-accumulates per pixel, half of what torch's
`FlopCounterMode` counts. It counts convolutions and matrix products, not
entropy coding, NMS or RoIAlign. Milliseconds are those of the quickest of
{repeats} runs, after one to warm up, both ways in turns: float32, one CPU
thread, torch {torch}. Compare the ratios: the machine had other work, too. The
configs are in `configs/compressed_domain/`. This trains one:

```bash
python tools/train.py configs/compressed_domain/mask-rcnn_latent_sample.py
```

**Accuracy was not measured.** The weights are random. A network on the latent
is another network, and has to be trained before it can be compared. Times on a
GPU were not measured either.
'''


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        '--configs',
        nargs='+',
        default=[pair[0] for pair in PAIRS],
        choices=[pair[0] for pair in PAIRS])
    parser.add_argument('--repeats', type=int, default=9)
    parser.add_argument('--out', default='docs/compressed_domain.md')
    args = parser.parse_args()
    torch.set_num_threads(1)
    lines = [
        INTRODUCTION.format(
            repeats=args.repeats, torch=torch.__version__.split('+')[0])
    ]
    for pair in PAIRS:
        if pair[0] in args.configs:
            section = measure(*pair, args.repeats)
            print('\n'.join(section), flush=True)
            lines.extend(section)
    write_whole(args.out, '\n'.join(lines).encode())


if __name__ == '__main__':
    run_tool(main)
