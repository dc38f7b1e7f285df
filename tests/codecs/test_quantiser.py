"""What is decoded in training, and what the rate is of."""
import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec

from mmhmc.codecs import build_codec
from mmhmc.codecs.compressai_codec import QUANTISERS
from mmhmc.registry import MODELS

#: Those that decode noise unless they are asked for something else.
NOISY = ('FactorizedPrior', 'ScaleHyperprior', 'MeanScaleHyperprior',
         'JointAutoregressive', 'Cheng2020Anchor', 'Cheng2020Attention')


def in_training(name, quantiser=None, seed=0):
    """A codec, images, and what training makes of them."""
    asked = {} if quantiser is None else dict(quantiser=quantiser)
    torch.manual_seed(0)
    codec = tiny_codec(name, portable=False, **asked).train()
    x = smooth_images(1, 64, 64)
    torch.manual_seed(seed)
    return codec, x, codec.encode_latents(x)


@pytest.mark.parametrize('name', NOISY)
def test_noise_is_what_a_codec_decodes_unless_asked(name):
    codec, _, output = in_training(name)
    _, _, named = in_training(name, 'noise')
    _, _, other = in_training(name, seed=1)
    assert codec.quantiser == 'noise'
    assert torch.equal(output.y_hat, named.y_hat)
    assert not torch.equal(output.y_hat, other.y_hat)


@pytest.mark.parametrize('name', NOISY)
def test_rounded_latents_are_decoded_and_noise_has_the_rate(name):
    codec, x, output = in_training(name, 'straight_through')
    _, _, noise = in_training(name, 'noise')
    _, _, other = in_training(name, 'straight_through', seed=1)
    # Noise of the hyper-latent does not reach the images any more; that of
    # a serial context does, through the means.
    if name not in ('JointAutoregressive', 'Cheng2020Anchor',
                    'Cheng2020Attention'):
        assert torch.equal(output.y_hat, other.y_hat)
        codec.eval()
        with torch.no_grad():
            tested = codec.encode_latents(x).y_hat
        torch.testing.assert_close(output.y_hat, tested)
    y = codec.g_a(x)
    assert (output.y_hat - y).abs().max() <= 0.5 + 1e-4
    first = next(iter(output.likelihoods))
    assert not torch.equal(output.likelihoods[first], other.likelihoods[first])
    bits, expected = (
        sum(-p.log2().sum() for p in o.likelihoods.values())
        for o in (output, noise))
    torch.testing.assert_close(bits, expected, rtol=0.1, atol=1.)


@pytest.mark.parametrize('name', NOISY)
def test_gradient_of_what_is_decoded_is_that_of_the_identity(name):
    codec, x, _ = in_training(name, 'straight_through')
    y = codec.g_a(x).detach().requires_grad_()
    y_hat = codec.quantise_latent(y).y_hat
    gradient, = torch.autograd.grad(y_hat.sum(), y)
    if name in ('FactorizedPrior', 'ScaleHyperprior'):
        assert torch.equal(gradient, torch.ones_like(gradient))
    # Rounding around a mean, which depends on `y`, takes the mean out again.
    torch.testing.assert_close(
        gradient, torch.ones_like(gradient), rtol=0, atol=1e-4)


def test_weights_are_the_same_for_both():
    one, other = (in_training('MeanScaleHyperprior', q)[0] for q in QUANTISERS)
    assert one.state_dict().keys() == other.state_dict().keys()
    other.load_state_dict(one.state_dict())


@pytest.mark.parametrize('name', sorted(set(CODECS) - set(NOISY)))
def test_codecs_in_steps_always_round(name):
    codec = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name]))
    assert codec.quantiser == 'straight_through'
    with pytest.raises(TypeError, match='quantiser'):
        MODELS.build(
            dict(type=f'mmhmc.{name}', quantiser='noise', **CODECS[name]))


def test_unknown_quantiser_is_refused():
    with pytest.raises(ValueError, match="`quantiser` must be one of .*'ste'"):
        build_codec(dict(type='mmhmc.MeanScaleHyperprior', quantiser='ste'))
