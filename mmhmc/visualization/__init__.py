"""Pictures that show what a codec does to a picture and to a task."""
from .bits_map import bits_map
from .panel import Instances, PanelRow, draw_panel

__all__ = ['Instances', 'PanelRow', 'bits_map', 'draw_panel']
