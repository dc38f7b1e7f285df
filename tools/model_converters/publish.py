"""Make a checkpoint fit to be given away.

python tools/model_converters/publish.py IN OUT.safetensors
    [--config CONFIG [--cfg-options KEY=VALUE ...]] [--only PART,PART]
    [--half EFFECT | --eight-bits EFFECT [--but PART,PART]] [--trust]

Keeps the weights (optimizer, logs and averages go) in a file that cannot hold
code, and prints its row for a metafile of the model zoo, with size and
SHA-256; replace each '?' and commit OUT to model_zoo/. With --config the
codec is tried, and gets the entropy tables if it lacks them.

--only keeps parts, as backbone.codec,backbone.adapter. --half stores weights
as float16; EFFECT is what that costs, measured, as '-0.01 dB on Kodak', and
goes into the row; --eight-bits stores large weights in 8 bits and the others,
and the parts of --but, as --half does. A file that needs its code to be run is
refused, unless --trust says that it is yours.
"""
import sys
from pathlib import Path

import yaml

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import OptionsAction
from mmhmc.apis.publishing import (MAX_BYTES, in_eight_bits, in_half,
                                   only_weights, publish_weights)
from mmhmc.checkpoints import read_checkpoint, read_trusted_checkpoint

#: By option: name in the metafile, and what makes weights smaller.
_SMALLER = {
    'half': ('Half precision', in_half),
    'eight-bits': ('Eight bits', in_eight_bits),
}


def main() -> None:
    """Publish one checkpoint."""
    parser = tool_parser(__doc__)
    parser.add_argument('checkpoint', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--config', help='of the model')
    parser.add_argument('--cfg-options', nargs='+', action=OptionsAction)
    parser.add_argument(
        '--only',
        type=lambda text: text.split(','),
        default=[],
        metavar='PART,PART')
    parser.add_argument(
        '--but',
        type=lambda text: text.split(','),
        default=[],
        metavar='PART,PART',
        help='layers that --eight-bits leaves in float16')
    smaller = parser.add_mutually_exclusive_group()
    for name in _SMALLER:
        smaller.add_argument(f'--{name}', metavar='EFFECT')
    parser.add_argument(
        '--trust',
        action='store_true',
        help='run the code in the checkpoint: only for a file that you know')
    args = parser.parse_args()
    if args.out.suffix != '.safetensors':
        parser.error(f'`out` must end in .safetensors, got {args.out}')
    if args.but and not args.eight_bits:
        parser.error('--but needs --eight-bits')
    for name in _SMALLER:
        effect = getattr(args, name.replace('-', '_'))
        if effect is not None and not effect.strip():
            parser.error(f'--{name} needs its measured effect')
    read = read_trusted_checkpoint if args.trust else read_checkpoint
    checkpoint = read(args.checkpoint)
    weights = only_weights(checkpoint, args.only)
    costs = {}
    for name, (label, make) in _SMALLER.items():
        effect = getattr(args, name.replace('-', '_'))
        if effect:
            but = [args.but] if args.but else []
            weights, costs[label] = make(weights, *but), effect
    meta = getattr(checkpoint.get('meta'), 'get', lambda key: None)
    row = publish_weights(weights, args.out, args.config, args.cfg_options,
                          meta('dataset_meta'))
    row['Metadata'].update(costs)
    print(yaml.safe_dump([row], sort_keys=False, allow_unicode=True), end='')
    if row['Size'] > MAX_BYTES:
        print(
            f'{args.out} has {row["Size"] / 1e6:.1f} MB, more than the '
            f'{MAX_BYTES / 1e6:.0f} that a repository should hold. Keep '
            'what is needed by --only, or think of --half and '
            '--eight-bits.',
            file=sys.stderr)


if __name__ == '__main__':
    run_tool(main)
