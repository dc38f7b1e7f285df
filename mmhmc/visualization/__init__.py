"""Pictures, curves and tables that show what a codec does."""
from .bits_map import bits_map
from .curve_plots import axis_label, draw_curves
from .panel import Instances, PanelRow, draw_panel
from .report_page import write_report
from .result_tables import (benchmark_table, complexity_table, delta_table,
                            doubt_table, failure_table, point_table)
from .tables import Table
from .worst_pictures import WorstPicture, worst_pictures

__all__ = [
    'Instances', 'PanelRow', 'Table', 'WorstPicture', 'axis_label',
    'benchmark_table', 'bits_map', 'complexity_table', 'delta_table',
    'doubt_table', 'draw_curves', 'draw_panel', 'failure_table', 'point_table',
    'worst_pictures', 'write_report'
]
