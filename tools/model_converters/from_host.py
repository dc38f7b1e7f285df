"""Take the weights out of a host's checkpoint.

python tools/model_converters/from_host.py IN OUT.safetensors
    [--only PART,PART] [--rename OLD=NEW] [--trust]

IN is a checkpoint of mmdet, mmseg or mmpretrain, old or new, or of any torch
model: a file, or an address such as torchvision://resnet18. Optimizer, logs
and running averages go; what needs its code to be run is refused, unless
--trust says that the file is yours.

`load_from` takes a host's checkpoint as it is. --rename is for the rest:
backbone.=backbone.backbone. puts a detector's backbone behind a codec, and
=backbone.backbone. does so for weights of a backbone alone.
"""
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.publishing import only_weights
from mmhmc.checkpoints import (read_checkpoint, read_trusted_checkpoint,
                               write_safetensors)


def main() -> None:
    """Convert one checkpoint."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint')
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--only',
        type=lambda text: text.split(','),
        default=[],
        metavar='PART,PART')
    parser.add_argument('--rename', metavar='OLD=NEW')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run the code in the checkpoint: only for a file that you know')
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    if args.rename is not None:
        old, equals, new = args.rename.partition('=')
        if not equals or old == new:
            parser.error(f'--rename must be OLD=NEW, got {args.rename}')
        args.rename = old, new
    read = read_trusted_checkpoint if args.trust else read_checkpoint
    checkpoint = read(args.checkpoint)
    meta = getattr(checkpoint.get('meta'), 'get', lambda key: None)
    write_safetensors(
        only_weights(checkpoint, args.only, args.rename), args.out,
        meta('dataset_meta'))


if __name__ == '__main__':
    run_tool(main)
