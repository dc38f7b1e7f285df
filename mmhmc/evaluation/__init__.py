"""Rate, image quality, and how codecs compare over both."""
from mmhmc.former_names import former_attribute
from .attribute_accuracy import AttributeAccuracy
from .benchmark_results import Results
from .bitrate_metric import BitrateMetric
from .bjontegaard_delta import BjontegaardDelta, bd_quality, bd_rate
from .bootstrap import BootstrapInterval, bootstrap_bd
from .coco_score import CocoScore
from .codec_comparison import (Comparison, all_columns, compare_codecs,
                               compare_curves, compare_published, curves_of)
from .complexity import count_kmac, count_parameters, time_coding
from .image_curve import ImageCurve, RDPoint
from .image_quality_metric import MSSSIMMetric, PSNRMetric
from .image_scores import ImageScore, MeanIoUScore, MeanScore
from .inception_metrics import (FIDMetric, KIDMetric, frechet_distance,
                                kernel_distance)
from .lpips_metric import LPIPSMetric
from .metric_direction import lower_is_better
from .points_metric import PointsMetric
from .published_curves import (list_published, published_curve,
                               published_uncompressed)
from .pyiqa_metric import DISTSMetric, NIQEMetric
from .rate_curve import RateCurve
from .results_file import read_results
from .saving_metric import SavingMetric
from .ssim_metric import SSIMMetric

__all__ = [
    'AttributeAccuracy', 'BitrateMetric', 'BjontegaardDelta',
    'BootstrapInterval', 'CocoScore', 'Comparison', 'DISTSMetric', 'FIDMetric',
    'KIDMetric', 'LPIPSMetric', 'MSSSIMMetric', 'MeanIoUScore', 'MeanScore',
    'NIQEMetric', 'PSNRMetric', 'ImageCurve', 'RDPoint', 'ImageScore',
    'PointsMetric', 'RateCurve', 'Results', 'SSIMMetric', 'SavingMetric',
    'all_columns', 'bd_quality', 'bd_rate', 'bootstrap_bd', 'compare_codecs',
    'compare_curves', 'compare_published', 'count_kmac', 'count_parameters',
    'curves_of', 'frechet_distance', 'kernel_distance', 'list_published',
    'lower_is_better', 'published_curve', 'published_uncompressed',
    'read_results', 'time_coding'
]

__getattr__ = former_attribute(__name__)
