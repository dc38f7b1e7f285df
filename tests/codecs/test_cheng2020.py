import pytest
import torch

from mmhmc.codecs import Cheng2020Anchor, Cheng2020Attention


@pytest.mark.parametrize('codec_class', [Cheng2020Anchor, Cheng2020Attention])
def test_latent_has_as_many_channels_as_the_hidden_layers(codec_class):
    assert codec_class(8).latent_channels == 8
    assert codec_class(8, latent_channels=8).latent_channels == 8
    with pytest.raises(ValueError, match='got 16 and 8. Leave `latent_chan'):
        codec_class(8, latent_channels=16)


def test_attention_equals_that_of_compressai():
    from compressai.layers import AttentionBlock
    codec, block = Cheng2020Attention(8), AttentionBlock(8)
    ours = codec.g_a[-1]
    block.load_state_dict(ours.state_dict())
    x = torch.randn(1, 8, 5, 6)
    assert torch.equal(ours(x), block(x))
