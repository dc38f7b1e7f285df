import pytest
import torch
from conftest import smooth_images, tiny_codec

from mmhmc.codecs import Cheng2020Anchor, Cheng2020Attention

both = pytest.mark.parametrize('codec_class',
                               [Cheng2020Anchor, Cheng2020Attention])


@both
def test_latent_has_as_many_channels_as_the_hidden_layers(codec_class):
    assert codec_class(8).latent_channels == 8
    assert codec_class(8, latent_channels=8).latent_channels == 8


@both
def test_latent_may_have_channels_of_its_own(codec_class):
    codec = tiny_codec(codec_class.__name__, latent_channels=12)
    x = smooth_images(1, 128, 64)
    with torch.no_grad():
        output = codec(x)
    assert codec.latent_channels == 12
    assert output.y_hat.shape == (1, 12, 8, 4)
    assert output.x_hat.shape == x.shape
    stream, = codec.compress(x)
    assert torch.equal(codec.read(stream), output.y_hat)


@both
def test_hidden_layers_keep_their_width(codec_class):
    narrow, wide = codec_class(8), codec_class(8, latent_channels=12)
    shapes = {
        name
        for name, value in narrow.state_dict().items()
        if value.shape != wide.state_dict()[name].shape
    }
    latent = ('context_prediction', 'entropy_parameters', 'h_a.0', 'h_s.8',
              'g_s.0', 'g_s.1', 'g_s.2', 'g_a.6', 'g_a.7', 'g_a.8')
    assert all(name.startswith(latent) for name in shapes)


@both
def test_decoder_does_not_narrow_the_latent_before_it_upsamples(codec_class):
    codec = codec_class(8, latent_channels=12).double()
    jacobian = torch.autograd.functional.jacobian(
        codec.g_s, torch.randn(1, 12, 1, 1, dtype=torch.double))
    assert torch.linalg.matrix_rank(jacobian.reshape(-1, 12)) == 12


def test_attention_equals_that_of_compressai():
    from compressai.layers import AttentionBlock
    codec, block = Cheng2020Attention(8), AttentionBlock(8)
    ours = codec.g_a[-1]
    block.load_state_dict(ours.state_dict())
    x = torch.randn(1, 8, 5, 6)
    assert torch.equal(ours(x), block(x))
