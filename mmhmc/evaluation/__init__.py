"""Rate and picture quality, beside the host's metrics."""
from .bitrate_metric import BitrateMetric
from .picture_quality_metric import MSSSIMMetric, PSNRMetric

__all__ = ['BitrateMetric', 'MSSSIMMetric', 'PSNRMetric']
