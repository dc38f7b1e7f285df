"""Images, curves and tables that show what a codec does."""
from mmhmc.former_names import former_attribute
from .bits_map import bits_map
from .codec_visualization_hook import CodecVisualizationHook, draw_coding
from .coding_figures import layer_figures
from .coding_images import ERROR_GAIN, draw_bits, draw_error
from .curve_plots import axis_label, draw_curves
from .demo_page import DemoFigure, DemoImage, FoundObject, write_demo_page
from .image_grid import draw_image_grid
from .panel import Instances, PanelRow, draw_panel
from .path_masks import TaskColumn, draw_task_images, tint_side_path
from .refinement_figures import refinement_figures
from .report_page import write_report
from .result_tables import (benchmark_table, complexity_table, delta_table,
                            doubt_table, failure_table, point_table)
from .tables import Table
from .training_plots import draw_training, read_scalars
from .worst_images import WorstImage, worst_images

__all__ = [
    'CodecVisualizationHook', 'DemoFigure', 'DemoImage', 'ERROR_GAIN',
    'FoundObject', 'Instances', 'PanelRow', 'Table', 'TaskColumn',
    'WorstImage', 'axis_label', 'benchmark_table', 'bits_map',
    'complexity_table', 'delta_table', 'doubt_table', 'draw_bits',
    'draw_coding', 'draw_curves', 'draw_error', 'draw_image_grid',
    'draw_panel', 'draw_task_images', 'draw_training', 'failure_table',
    'layer_figures', 'point_table', 'read_scalars', 'refinement_figures',
    'tint_side_path', 'worst_images', 'write_demo_page', 'write_report'
]

__getattr__ = former_attribute(__name__)
