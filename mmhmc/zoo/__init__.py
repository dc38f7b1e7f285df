"""The model zoo: its list of models, and downloads of weights."""
from .compressai_zoo import (CompressAIWeights, find_compressai, is_compressai,
                             list_compressai)
from .fetching import fetch_compressai, fetch_weights
from .index import (ZooModel, config_path, find_configs, find_model,
                    is_zoo_name, list_models)

__all__ = [
    'CompressAIWeights', 'ZooModel', 'config_path', 'fetch_compressai',
    'fetch_weights', 'find_compressai', 'find_configs', 'find_model',
    'is_compressai', 'is_zoo_name', 'list_compressai', 'list_models'
]
