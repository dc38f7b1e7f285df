"""EfficientNet-Lite0 computes what the weights of its package were made for.
"""
import pytest
import torch
from conftest import LITE0_BLOCKS, smooth_images
from mmengine.registry import DefaultScope
from torch.nn import functional as F

from mmhmc.apis import read_config
from mmhmc.checkpoints import read_checkpoint
from mmhmc.models import EfficientNetLite0
from mmhmc.registry import MODELS


def expected_features(state, x):
    """Outputs of stem, blocks and head, by the names of the package."""

    def conv(x, conv, norm, stride=1, groups=1):
        weight = state[f'{conv}.weight']
        kernel, pads = weight.shape[-1], []
        # TensorFlow's padding: as many outputs as strides fit.
        for side in (x.shape[-1], x.shape[-2]):
            pad = max((-(-side // stride) - 1) * stride + kernel - side, 0)
            pads += [pad // 2, pad - pad // 2]
        x = F.conv2d(F.pad(x, pads), weight, None, stride, groups=groups)
        mean, var, scale, shift = (
            state[f'{norm}.{name}']
            for name in ('running_mean', 'running_var', 'weight', 'bias'))
        return F.batch_norm(x, mean, var, scale, shift, eps=1e-3)

    x = F.relu6(conv(x, '_conv_stem', '_bn0', 2))
    outputs = [x]
    for i, (_, before, after, stride, widening) in enumerate(LITE0_BLOCKS):
        block, shortcut = f'_blocks.{i}.', x
        if widening > 1:
            x = F.relu6(conv(x, f'{block}_expand_conv', f'{block}_bn0'))
        x = F.relu6(
            conv(x, f'{block}_depthwise_conv', f'{block}_bn1', stride,
                 x.shape[1]))
        x = conv(x, f'{block}_project_conv', f'{block}_bn2')
        if stride == 1 and before == after:
            x = x + shortcut
        outputs.append(x)
    return [*outputs, F.relu6(conv(x, '_conv_head', '_bn1'))]


@torch.no_grad()
def test_every_layer_computes_what_the_package_says(lite0):
    backbone = EfficientNetLite0(out_indices=range(18)).eval()
    prefix = 'backbone.'
    backbone.load_state_dict({
        key[len(prefix):]: value
        for key, value in read_checkpoint(lite0.address)['state_dict'].items()
        if key.startswith(prefix)
    })
    x = smooth_images(1, 61, 90) * 2 - 1
    found, expected = backbone(x), expected_features(lite0.state, x)
    assert len(found) == len(expected)
    for one, other in zip(found, expected):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_classifier_of_the_config_takes_all_weights(lite0):
    pytest.importorskip('mmpretrain')
    cfg = read_config('efficientnet-lite0_imagenet-sample')
    with DefaultScope.overwrite_default_scope('mmpretrain'):
        model = MODELS.build(cfg.model).eval()
    model.load_state_dict(read_checkpoint(cfg.load_from)['state_dict'])
    x = smooth_images(1, 64, 64) * 2 - 1
    last = expected_features(lite0.state, x)[-1].mean((2, 3))
    logits = F.linear(last, lite0.state['_fc.weight'], lite0.state['_fc.bias'])
    torch.testing.assert_close(model(x), logits)


@pytest.mark.parametrize('layers', [(), (18, ), (-1, )])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(ValueError, match='among the layers 0 to 17'):
        EfficientNetLite0(out_indices=layers)
