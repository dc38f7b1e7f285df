"""Parameters and multiply-accumulates of codecs.

    python tools/analysis_tools/codec_complexity.py
        [--codecs NAME ...] [--size HEIGHT WIDTH]

Counts what one encoding and decoding of an image takes, in thousand products
of convolutions, linear layers and attention for each pixel.
"""
from rich.console import Console
from rich.table import Table

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.codecs import build_codec
from mmhmc.evaluation import count_kmac, count_parameters
from mmhmc.structures import CodingCondition

_MPA = dict(type='mmhmc.MPA', tasks=('mse', 'cls', 'seg'))
#: What is counted: a codec's arguments, and a condition.
ROWS = {
    'DCVC-UF': (dict(type='mmhmc.DCVCUFIntra'), CodingCondition(quality=64)),
    'DCVC-UF, small': (dict(
        type='mmhmc.DCVCUFIntra',
        hidden_channels=128,
        latent_channels=96,
        hyper_channels=64), CodingCondition(quality=64)),
    'ELIC': (dict(type='mmhmc.ELIC'), None),
    'MRIC': (dict(type='mmhmc.MRIC'), None),
    'TinyLIC': (dict(type='mmhmc.TinyLIC'), None),
    'TinyLIC, variable rate': (dict(type='mmhmc.TinyLIC',
                                    variable_rate=True), None),
    'MPA, main paths': (_MPA, CodingCondition(quality=8)),
    'MPA, MSE path': (_MPA, CodingCondition(quality=8, task='mse')),
    'MPA, bottleneck in g_s': (_MPA, CodingCondition(quality=8, task='cls')),
    'MPA, bottleneck in g_a, g_s':
    (_MPA, CodingCondition(quality=1, task='cls')),
}
_PARTS = ('encoder', 'hyper', 'decoder')


def main() -> None:
    """Print a table with a row for each codec."""
    parser = tool_parser(__doc__)
    parser.add_argument(
        '--codecs', nargs='+', choices=ROWS, default=list(ROWS))
    parser.add_argument('--size', type=int, nargs=2, default=(256, 256))
    args = parser.parse_args()
    table = Table(
        'codec',
        'parameters',
        'KMAC / pixel',
        *_PARTS,
        title=f'{args.size[1]} x {args.size[0]} pixels')
    for name in args.codecs:
        config, condition = ROWS[name]
        codec = build_codec(config).eval()
        kmac = count_kmac(codec, tuple(args.size), condition)
        table.add_row(name, f'{sum(count_parameters(codec).values()):,}',
                      f'{sum(kmac.values()):.2f}',
                      *(f'{kmac[part]:.2f}' for part in _PARTS))
    Console(width=120).print(table)


if __name__ == '__main__':
    run_tool(main)
