"""Rate and accuracy of codecs, tasks and data sets by one config."""
from .plan import PICTURE_METRICS, PROTOCOLS, Plan, load_plan, read_plan
from .report import report_results
from .run import Outcome, run_benchmark

__all__ = [
    'Outcome', 'PICTURE_METRICS', 'PROTOCOLS', 'Plan', 'load_plan',
    'read_plan', 'report_results', 'run_benchmark'
]
