import pytest
import torch
from mmengine.registry import MODELS

from mmhmc.input_norm import InputNorm

MEAN, STD = [123.675, 116.28, 103.53], [58.395, 57.12, 57.375]
CONFIGS = [
    dict(type='ImgDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True),
    dict(type='ImgDataPreprocessor', mean=MEAN, std=STD),
    dict(type='ImgDataPreprocessor', mean=MEAN, std=[1., 1., 1.]),
    dict(type='ImgDataPreprocessor', mean=[127.5], std=[127.5]),
    dict(type='ImgDataPreprocessor'),
    dict(type='ImgDataPreprocessor', bgr_to_rgb=True),
    dict(
        type='mmdet.DetDataPreprocessor', mean=MEAN, std=STD, bgr_to_rgb=True),
    dict(
        type='mmdet.DetDataPreprocessor', mean=MEAN, std=STD,
        bgr_to_rgb=False),
    dict(type='mmdet.DetDataPreprocessor'),
]


def loaded():
    """BGR, as every host loads images."""
    return torch.randint(0, 256, (3, 8, 6), dtype=torch.uint8)


def host_inputs(config, bgr):
    """What the host's own data preprocessor makes of an image."""
    if config['type'].startswith('mmdet'):
        pytest.importorskip('mmdet')
    preprocessor = MODELS.build(config)
    return preprocessor(dict(inputs=[bgr], data_samples=None))['inputs']


@pytest.mark.parametrize('config', CONFIGS)
def test_image_is_rgb_between_zero_and_one(config):
    bgr = loaded()
    x = InputNorm.from_preprocessor(config).to_image(host_inputs(config, bgr))
    torch.testing.assert_close(x, bgr.flip(0)[None] / 255, rtol=0, atol=1e-6)


def test_mmpretrain_says_to_rgb():
    bgr = loaded()
    config = dict(mean=MEAN, std=STD)
    rgb = (bgr.flip(0).float() -
           torch.tensor(MEAN).view(3, 1, 1)) / torch.tensor(STD).view(3, 1, 1)
    x = InputNorm.from_preprocessor(dict(config,
                                         to_rgb=True)).to_image(rgb[None])
    torch.testing.assert_close(x, bgr.flip(0)[None] / 255, rtol=0, atol=1e-6)


@pytest.mark.parametrize('config', CONFIGS)
def test_unchanged_image_gives_the_inputs_back_to_the_last_bit(config):
    norm = InputNorm.from_preprocessor(config)
    inputs = host_inputs(config, loaded())
    x = norm.to_image(inputs)
    assert torch.equal(norm.to_inputs(inputs, x, x.clone()), inputs)


@pytest.mark.parametrize('config', CONFIGS)
def test_changed_image_is_normalised_as_the_host_does(config):
    norm = InputNorm.from_preprocessor(config)
    inputs, shown = host_inputs(config, loaded()), loaded()
    seen = norm.to_inputs(inputs, norm.to_image(inputs),
                          shown.flip(0)[None] / 255)
    torch.testing.assert_close(
        seen, host_inputs(config, shown), rtol=1e-5, atol=1e-4)


def test_inputs_of_lower_precision_give_a_float32_image():
    norm = InputNorm(MEAN, STD)
    inputs = torch.rand(1, 3, 4, 4).bfloat16()
    assert norm.to_image(inputs).dtype == torch.float32


def test_nothing_enters_the_state_dict():
    # A host's checkpoint has no such keys.
    norm = InputNorm(MEAN, STD)
    assert norm.state_dict() == {}
    assert dict(norm.named_buffers()).keys() == {'mean', 'std'}


@pytest.mark.parametrize('mean, std', [
    ((0., 0.), (1., 1.)),
    ((0., 0., 0.), (1., 0., 1.)),
    ((0., 0., 0.), (1., -1., 1.)),
    ((0., ) * 4, (1., ) * 4),
])
def test_impossible_normalisation_is_refused(mean, std):
    with pytest.raises(ValueError, match='need three numbers each'):
        InputNorm(mean, std)


def test_unknown_channel_order_is_refused():
    with pytest.raises(ValueError, match="must be 'rgb' or 'bgr', got 'rbg'"):
        InputNorm(channel_order='rbg')


def test_what_is_no_config_is_refused():
    with pytest.raises(TypeError, match='a dictionary with `mean`.* got list'):
        InputNorm.from_preprocessor([MEAN, STD])


def test_channel_order_can_be_said():
    settings = dict(mean=[1., 2., 3.], std=[1.] * 3)
    assert InputNorm.from_preprocessor(settings).flipped
    settings['channel_order'] = 'rgb'
    assert not InputNorm.from_preprocessor(settings).flipped


def test_grey_image_becomes_rgb_and_grey_again():
    norm = InputNorm([33.] * 3, [78.] * 3)
    inputs = (torch.rand(2, 1, 4, 5) * 255 - 33) / 78
    x = norm.to_image(inputs)
    assert x.shape == (2, 3, 4, 5)
    assert torch.equal(x[:, :1].expand_as(x), x)
    assert torch.equal(norm.to_inputs(inputs, x, x), inputs)
    x_bar = x.clone()
    x_bar[:, 0] += 0.3
    changed = norm.to_inputs(inputs, x, x_bar)
    torch.testing.assert_close(changed, inputs + 0.1 * 255 / 78)


@pytest.mark.parametrize('shape', [(3, 8, 8), (1, 4, 8, 8), (1, 2, 3, 8, 8)])
def test_what_is_no_batch_of_images_is_refused(shape):
    with pytest.raises(ValueError, match='must be images of shape'):
        InputNorm().to_image(torch.zeros(shape))
