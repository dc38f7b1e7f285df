"""Write tables of results into pages, from the weights alone.

A page says where. Between

    <!-- results: CONFIG KIND [anchor=CODEC] [DATASET/METRIC ...] -->
    <!-- end of results -->

goes what the benchmark CONFIG finds, on these data sets by these metrics, or
on all by all. KIND is `points` (rate and quality of each), `deltas` (BD-rates
with intervals, those of published curves too) or `summary` (BD-rates alone),
against the anchor of CONFIG or another codec. Or it is `tests`, and CONFIG
lists models that are tested (`mmhmc.apis.tested_models`). Results of the same
settings are kept.
"""
import sys
from pathlib import Path

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.machine import tune_cpu


def main(argv=None) -> None:
    """Run what the pages name, and write it into them."""
    parser = tool_parser(__doc__)
    parser.add_argument('pages', nargs='+', type=Path, help='Markdown files')
    parser.add_argument(
        '--config', help='only the tables of this benchmark config')
    parser.add_argument(
        '--check',
        action='store_true',
        help='change nothing; status 1 if a table would change')
    parser.add_argument(
        '--jobs', type=int, default=1, help='processes (default: 1)')
    args = parser.parse_args(argv)
    if argv is None:
        tune_cpu()
    from mmhmc.apis.result_pages import write_tables
    changed = write_tables(args.pages, args.config, args.check, args.jobs)
    print('Changed: ' +
          ', '.join(map(str, changed)) if changed else 'Nothing changed.')
    if args.check and changed:
        sys.exit(1)


if __name__ == '__main__':
    run_tool(main)
