"""Functions and classes that tools and users call.

The names below are loaded when they are first used: ``mmhmc doctor``, which
is in this package, has to run where nothing else is installed.
"""
from importlib import import_module

from mmhmc.former_names import former_attribute

_PUBLIC = {
    'codec_loading': ('CodecSource', 'load_codec'),
    'coding': ('Outcome', 'Report', 'decode_bitstreams', 'encode_images'),
    'config_files': ('read_config', ),
    'host_reader': ('HostReader', ),
    'importance_files': ('read_importance', ),
    'inference_inputs': ('EncodedImage', ),
    'inferencer': ('HMCInferencer', ),
    'layer_choice': ('choose_layers', ),
    'mixing': ('mix_codec', ),
    'rate_control': ('RateTarget', 'code_to_target'),
    'stream_info': ('describe_bitstream', 'format_description'),
    'training': ('load_config', ),
    'zoo': ('ZooModel', 'download_model', 'fetch_weights', 'find_model',
            'list_models'),
}
_MODULE_OF = {name: module for module in _PUBLIC for name in _PUBLIC[module]}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str):
    if name in _MODULE_OF:
        return getattr(import_module(f'{__name__}.{_MODULE_OF[name]}'), name)
    return former_attribute(__name__)(name)
