import copy
import pickle

import pytest
import torch
from compressai.layers import GDN
from conftest import CODECS, smooth_images, tiny_codec
from torch import nn

from mmhmc.codecs.layers import DivisiveNorm

WITH_GDN = ('FactorizedPrior', 'ScaleHyperprior', 'MeanScaleHyperprior',
            'JointAutoregressive', 'Cheng2020Anchor', 'Cheng2020Attention',
            'LayeredGenerative', 'ScaleHyperpriorVBR',
            'MeanScaleHyperpriorVBR', 'JointAutoregressiveVBR')


def norms(inverse):
    theirs = GDN(4, inverse=inverse)
    with torch.no_grad():
        theirs.gamma.add_(0.05 * torch.rand(4, 4))
    return DivisiveNorm(copy.deepcopy(theirs)), theirs


@pytest.mark.parametrize('inverse', [False, True])
def test_result_is_that_of_compressai(inverse):
    ours, theirs = norms(inverse)
    x = torch.randn(2, 4, 5, 6, requires_grad=True)
    assert torch.equal(ours(x), theirs(x))
    assert torch.equal(*(torch.autograd.grad(norm(x).sum(), x)[0]
                         for norm in (ours, theirs)))
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(ours(x.bfloat16()), theirs(x.bfloat16()))


@pytest.mark.parametrize('inverse', [False, True])
def test_large_values_in_float16_are_normalised_as_in_float32(inverse):
    # The square of each is no float16 number.
    ours, theirs = norms(inverse)
    x = 300 * torch.randn(1, 4, 8, 8).sign()
    expected = theirs(x)
    out = ours(x.half())
    assert out.dtype == torch.float16
    torch.testing.assert_close(out.float(), expected, rtol=2e-3, atol=0)
    assert torch.equal(
        copy.deepcopy(ours).half()(x.half()).isfinite(),
        torch.ones_like(x, dtype=torch.bool))


@pytest.mark.skipif(
    not hasattr(torch, 'get_autocast_dtype'),
    reason='autocast of an old torch has no float16 on a CPU')
@pytest.mark.parametrize('name', WITH_GDN)
def test_codec_survives_float16_on_a_large_scale(name):
    codec = tiny_codec(name)
    first = next(m for m in codec.g_a.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        x = smooth_images(1, 64, 64)
        seen = []
        layer = next(m for m in codec.g_a.modules()
                     if isinstance(m, DivisiveNorm))
        handle = layer.register_forward_pre_hook(
            lambda module, args: seen.append(args[0].abs().amax().item()))
        codec.g_a(x)
        for parameter in first.parameters():
            parameter.mul_(600 / seen[0])
        expected = codec.g_a(x)
        with torch.autocast('cpu', torch.float16):
            y = codec.g_a(x)
        handle.remove()
    assert seen[-1] > 256
    assert y.isfinite().all()
    assert (y.float() - expected).abs().mean() < 0.02 * expected.abs().mean()


@pytest.mark.parametrize('name', CODECS)
def test_no_codec_keeps_the_layer_that_overflows(name):
    kinds = {type(m) for m in tiny_codec(name).modules()}
    assert GDN not in kinds
    assert (DivisiveNorm in kinds) == (name in WITH_GDN)


def test_layer_is_fit_for_pickle():
    ours, _ = norms(False)
    x = torch.randn(1, 4, 3, 3)
    assert torch.equal(pickle.loads(pickle.dumps(ours))(x), ours(x))
