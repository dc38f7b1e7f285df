"""Pictures, curves and tables that show what a codec does."""
from .bits_map import bits_map
from .codec_visualization_hook import CodecVisualizationHook, draw_coding
from .coding_pictures import ERROR_GAIN, draw_bits, draw_error
from .curve_plots import axis_label, draw_curves
from .demo_page import DemoFigure, write_demo_page
from .panel import Instances, PanelRow, draw_panel
from .path_masks import TaskColumn, draw_task_pictures, tint_side_path
from .picture_grid import draw_picture_grid
from .report_page import write_report
from .result_tables import (benchmark_table, complexity_table, delta_table,
                            doubt_table, failure_table, point_table)
from .tables import Table
from .training_plots import draw_training, read_scalars
from .worst_pictures import WorstPicture, worst_pictures

__all__ = [
    'CodecVisualizationHook', 'DemoFigure', 'ERROR_GAIN', 'Instances',
    'PanelRow', 'Table', 'TaskColumn', 'WorstPicture', 'axis_label',
    'benchmark_table', 'bits_map', 'complexity_table', 'delta_table',
    'doubt_table', 'draw_bits', 'draw_coding', 'draw_curves', 'draw_error',
    'draw_panel', 'draw_picture_grid', 'draw_task_pictures', 'draw_training',
    'failure_table', 'point_table', 'read_scalars', 'tint_side_path',
    'worst_pictures', 'write_demo_page', 'write_report'
]
