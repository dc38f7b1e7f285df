"""The model zoo: what it holds, and how its weights get here."""
from .fetching import fetch_weights
from .index import ZooModel, config_path, find_model, list_models

__all__ = [
    'ZooModel', 'config_path', 'fetch_weights', 'find_model', 'list_models'
]
