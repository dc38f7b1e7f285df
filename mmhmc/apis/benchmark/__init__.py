"""Rate and accuracy of codecs, tasks and data sets by one config."""
from mmhmc.former_names import former_attribute
from .plan import IMAGE_METRICS, PROTOCOLS, Plan, read_plan
from .report import report_results
from .run import Outcome, run_benchmark

__all__ = [
    'Outcome', 'IMAGE_METRICS', 'PROTOCOLS', 'Plan', 'read_plan',
    'report_results', 'run_benchmark'
]

__getattr__ = former_attribute(__name__)
