import pytest
import torch
from conftest import CODECS, tiny_codec
from torch import nn

from mmhmc.codecs import (FactorizedPrior, IdentityCodec, ImageCodec,
                          build_codec)


def test_built_codec_is_returned_as_it_is():
    codec = IdentityCodec()
    assert build_codec(codec) is codec


@pytest.mark.parametrize('name', CODECS)
def test_codec_is_built_from_its_config(name):
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))
    assert type(codec).__name__ == name
    assert isinstance(codec, ImageCodec)


@pytest.mark.parametrize('wrong, right', [
    ('mmhmc.MeanScaleHyperpior', 'MeanScaleHyperprior'),
    ('mmhmc.Cheng2020Attn', 'Cheng2020Attention'),
    ('JointAutoregresive', 'JointAutoregressive'),
])
def test_unknown_codec_is_refused_with_a_suggestion(wrong, right):
    with pytest.raises(
            ValueError,
            match=f"no codec '{wrong}'; the codecs are AVIF, .*"
            rf'Did you mean mmhmc\.{right}\?'):
        build_codec(dict(type=wrong))


@pytest.mark.parametrize('name', ['mmhmc.Zzz', 'zzz.ScaleHyperprior'])
def test_unknown_codec_without_a_near_one_lists_them(name):
    with pytest.raises(ValueError, match=f'{name}.* written mmhmc.NAME'):
        build_codec(dict(type=name))


def test_other_module_is_no_codec():
    with pytest.raises(TypeError, match='is a DynamicAdaptation, not a codec'):
        build_codec(dict(type='mmhmc.DynamicAdaptation', width=2))


@pytest.mark.parametrize('codec', [None, 'mmhmc.IdentityCodec', dict(), 5])
def test_what_is_no_codec_and_no_config_is_refused(codec):
    with pytest.raises(TypeError, match='must be an ImageCodec or a config'):
        build_codec(codec)


def test_a_codec_may_override_and_call_methods_by_their_former_names():
    with pytest.warns(FutureWarning, match='`quantise_latent` now'):

        class Former(FactorizedPrior):

            def code_latent(self, y, rate=True):
                return super().quantise_latent(y, rate)

            def encode_latents(self, x, condition=None, rate=True):
                return super().encode_latents(x, condition, rate)

    codec = Former(hidden_channels=8, latent_channels=8).eval()
    codec.update_entropy_tables()
    x = torch.rand(1, 3, 64, 64)
    assert codec.read(*codec.compress(x)).equal(codec(x).y_hat)
    with pytest.warns(FutureWarning, match='`entropy_networks` now'):
        assert codec.prior_networks == ()
    with pytest.warns(FutureWarning, match='`with_likelihoods` now'):
        output = FactorizedPrior.encode_latents(codec, x, rate=False)
    assert not output.likelihoods


def test_codec_must_keep_the_whole_contract():

    class Half(ImageCodec):

        def encode_latents(self, x, condition=None):
            return x

    with pytest.raises(TypeError, match='abstract'):
        Half()


# In integers 2e7 is clamped, with a warning, and decodes everywhere.
@pytest.mark.parametrize('portable, value',
                         [(portable, value) for portable in (True, False)
                          for value in (torch.nan, torch.inf, 1e12, -1e12, 2e7)
                          if not (portable and value == 2e7)])
def test_means_that_are_not_sensible_are_refused_when_encoding(
        portable, value):
    codec = tiny_codec('MeanScaleHyperprior', portable=portable)
    bias = [m for m in codec.h_s if isinstance(m, nn.Conv2d)][-1].bias
    with torch.no_grad():
        # Scales come first.
        bias[len(bias) // 2:] = value
    with pytest.raises(ValueError):
        codec.compress(torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize('kind',
                         [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_any_floating_type_are_coded(kind):
    codec = tiny_codec('MeanScaleHyperprior')
    x = torch.rand(1, 3, 64, 64).to(kind)
    assert codec.compress(x) == codec.compress(x.float())
    with torch.no_grad():
        assert torch.equal(codec(x).x_hat, codec(x.float()).x_hat)
    assert codec.compress(list(x)) == codec.compress(x.float())


def test_empty_batch_is_refused_in_clear_words():
    codec = tiny_codec('MeanScaleHyperprior')
    for call in (codec, codec.encode_latents):
        with pytest.raises(ValueError, match='a batch without images'):
            call(torch.zeros(0, 3, 64, 64))
    # There is nothing to write, and that is what it gives.
    assert codec.compress(torch.zeros(0, 3, 64, 64)) == []
    for call in (codec, codec.compress):
        with pytest.raises(ValueError, match='must be positive, got'):
            call(torch.zeros(1, 3, 0, 64))
