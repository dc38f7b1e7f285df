"""Take a codec out of a checkpoint of the authors of MPA or TinyLIC.

python tools/model_converters/from_authors.py --from mpa IN OUT.safetensors

IN is what the authors' own code saves; OUT.safetensors gets the weights by
the names used here, with entropy tables, and OUT.py a config of the codec
that names them: `mmhmc encode photo.png -o DIR --codec OUT.py`.
"""
import sys
from pathlib import Path

from mmhmc.apis.authors_weights import (METHODS, TINYLIC_WARNING,
                                        export_authors_weights)
from mmhmc.apis.command import run_tool, tool_parser


def main() -> None:
    """Convert one checkpoint."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument(
        '--from', required=True, choices=METHODS, dest='method')
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    for file in export_authors_weights(args.checkpoint, args.out, args.method):
        print(file)
    if args.method == 'tinylic':
        print(f'Warning: {TINYLIC_WARNING}', file=sys.stderr)


if __name__ == '__main__':
    run_tool(main)
