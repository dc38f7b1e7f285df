"""Rate against accuracy: every codec, rate, data set and task of a config.

Results go to WORK_DIR/results.jsonl, curves, tables and a page beside it.
Started by torchrun or srun, the processes share the work.
"""

from mmhmc.apis.command import run_tool, tool_parser
from mmhmc.apis.config_files import OptionsAction
from mmhmc.machine import tune_cpu


def main() -> int:
    """Run and report; 1 if something failed."""
    parser = tool_parser(__doc__)
    parser.add_argument('config', help='benchmark config')
    parser.add_argument(
        '--resume',
        action='store_true',
        help='keep what was made under the same settings')
    parser.add_argument(
        '--jobs', type=int, default=1, help='processes (default: 1)')
    parser.add_argument('--work-dir', help='other folder of the results')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=OptionsAction,
        help='settings of the config to override, as KEY=VALUE')
    args = parser.parse_args()
    tune_cpu()
    from mmhmc.apis.benchmark import load_plan, run_benchmark
    from mmhmc.apis.benchmark.report import report_run
    plan = load_plan(args.config, args.cfg_options, args.work_dir)
    outcome = run_benchmark(plan, args.resume, args.jobs)
    if outcome.rank == 0:
        print(report_run(plan, outcome))
    # Another rank must not end the first before it has reported.
    return 1 if outcome.failures and outcome.rank == 0 else 0


if __name__ == '__main__':
    run_tool(main)
