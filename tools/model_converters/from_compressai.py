"""Take a codec out of a checkpoint of CompressAI.

python tools/model_converters/from_compressai.py IN OUT.safetensors
    --codec CONFIG [--cfg-options KEY=VALUE ...]

IN is what CompressAI's training examples save, or a file of its model zoo,
with the names of any version; CONFIG has the codec with the same sizes, as
configs/_base_/codecs/mean-scale-hyperprior.py. With entropy tables (of
`model.update()`) IN decodes to the same images as in CompressAI; without,
they are made of the quantiles that IN brings. OUT is not kept unless it codes
an image to the same bytes as IN.
"""
import argparse
from pathlib import Path

import torch

from mmhmc.apis import load_codec
from mmhmc.apis.command import run_tool
from mmhmc.apis.config_files import OptionsAction
from mmhmc.checkpoints import write_safetensors


def parse_args() -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--codec', required=True, metavar='CONFIG')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    return args


def main() -> None:
    """Convert one checkpoint.

    Raises:
        RuntimeError: If the result codes otherwise.
    """
    args = parse_args()
    codec = load_codec(
        args.codec,
        args.checkpoint,
        cfg_options=args.cfg_options,
        update_quantiles=False)
    write_safetensors(codec.state_dict(), args.out)
    copy = load_codec(args.codec, args.out, cfg_options=args.cfg_options)
    x = torch.linspace(0, 1, 3 * 128 * 192).reshape(1, 3, 128, 192)
    if copy.compress(x) != codec.compress(x):
        args.out.unlink()
        raise RuntimeError(f'{args.out} does not code as {args.checkpoint}.')
    print(f'{args.out}: codes as {args.checkpoint}')


if __name__ == '__main__':
    run_tool(main)
