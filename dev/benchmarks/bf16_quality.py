"""What transforms in bfloat16 cost in rate and quality: a BD-rate.

    python dev/benchmarks/bf16_quality.py FOLDER --codec CONFIG
        --checkpoints FILE FILE FILE FILE

Codes every image of the folder with each checkpoint, one for each rate,
with g_a and g_s in float32 and in bfloat16 with channels last; decodes it in
the same type to 8 bits, and prints mean bpp of real files, mean PSNR, and the
BD-rate of bfloat16 against float32 by the package `bjontegaard`.
"""
import argparse
import warnings

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu

tune_cpu()  # before torch is loaded

import bjontegaard  # noqa: E402
import torch  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.progress import track  # noqa: E402
from rich.table import Table  # noqa: E402

from mmhmc.apis import load_codec  # noqa: E402
from mmhmc.codecs import ImageCodec  # noqa: E402
from mmhmc.datasets import ImageFolder, read_image  # noqa: E402
from mmhmc.functional import to_8_bits  # noqa: E402

TYPES = {'float32': None, 'bfloat16': torch.bfloat16}


def measure(codec: ImageCodec, x: torch.Tensor) -> tuple[float, float]:
    """bpp and PSNR in dB of one image (3, H, W)."""
    stream, = codec.compress([x])
    x_hat = to_8_bits(codec.decompress([stream])[0])
    mse = (x_hat - x).double().square().mean()
    bpp = 8 * stream.num_bytes / (x.shape[-2] * x.shape[-1])
    return bpp, -10 * mse.log10().item()


def main() -> None:
    """Print a table and the BD-rate."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder')
    parser.add_argument('--codec', required=True)
    parser.add_argument('--checkpoints', nargs='+', required=True)
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    images = [
        read_image(item['img_path'])
        for item in ImageFolder(data_root=args.folder, pipeline=[])
    ]
    curves = {name: [] for name in TYPES}
    for checkpoint in track(args.checkpoints):
        codec = load_codec(args.codec, checkpoint)
        for name, dtype in TYPES.items():
            codec.transform_dtype = dtype
            values = torch.tensor([measure(codec, x) for x in images])
            curves[name].append(values.mean(0).tolist())
    table = Table(
        'checkpoint',
        *(f'{name} {unit}' for name in TYPES for unit in ('bpp', 'dB')))
    for number, checkpoint in enumerate(args.checkpoints):
        points = [curves[name][number] for name in TYPES]
        table.add_row(
            checkpoint,
            *(text for bpp, psnr in points
              for text in (f'{bpp:.4f}', f'{psnr:.3f}')))
    Console(width=110).print(table)
    (rate, quality), (rate16, quality16) = (
        zip(*sorted(curves[name])) for name in TYPES)
    for method in ('cubic', 'pchip', 'akima'):
        change = bjontegaard.bd_rate(
            rate, quality, rate16, quality16, method=method, min_overlap=0)
        print(f'BD-rate of bfloat16 against float32, {method}: {change:+.3f} '
              f'%, {len(images)} images')


if __name__ == '__main__':
    run_tool(main)
