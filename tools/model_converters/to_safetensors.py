"""Keep the weights of a checkpoint, in a file that cannot hold code.

python tools/model_converters/to_safetensors.py IN OUT.safetensors
python tools/model_converters/to_safetensors.py --trust IN OUT.safetensors

Optimizer, logs and metadata are left out. A file that needs its code to be
run is refused, unless --trust says that it is yours.
"""
import argparse
from pathlib import Path

from mmhmc.checkpoints import (read_checkpoint, read_trusted_checkpoint,
                               write_safetensors)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Keep the weights of a checkpoint, in a file that cannot '
        'hold code.')
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run the code in the checkpoint: only for a file that you know')
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    return args


def main() -> None:
    args = parse_args()
    read = read_trusted_checkpoint if args.trust else read_checkpoint
    checkpoint = read(args.checkpoint)
    write_safetensors(checkpoint.get('state_dict', checkpoint), args.out)


if __name__ == '__main__':
    main()
