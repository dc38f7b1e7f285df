import copy

import pytest
import torch
from conftest import smooth_images, tiny_codec
from torch import nn

from mmhmc.codecs import mbt2018
from mmhmc.codecs.mbt2018 import _Context


@pytest.fixture(scope='module')
def codec():
    torch.manual_seed(0)
    return tiny_codec('JointAutoregressive')


NARROW = [(h, w) for h in range(1, 6) for w in range(1, 8)]


def wavefronts(codec, size):
    """Each step's positions."""
    return [[*zip(row.tolist(), column.tolist())]
            for row, column in _Context(codec, *size).wavefronts()]


def test_wavefronts_visit_every_position_once(codec):
    for size in NARROW:
        visited = [p for step in wavefronts(codec, size) for p in step]
        everywhere = [(r, c) for r in range(size[0]) for c in range(size[1])]
        assert sorted(visited) == everywhere, size


def test_no_position_comes_before_its_context(codec):
    offsets = (codec.context_prediction.mask[0, 0].nonzero() - 2).tolist()
    # Two rows of five above, and two to the left.
    assert len(offsets) == 12
    for size in NARROW:
        step_of = {
            position: step
            for step, positions in enumerate(wavefronts(codec, size))
            for position in positions
        }
        for (r, c), step in step_of.items():
            assert all(
                step_of.get((r + i, c + j), -1) < step
                for i, j in offsets), (size, r, c)


@pytest.mark.parametrize('size, steps', [((1, 7), 7), ((4, 8), 17),
                                         ((32, 48), 141)])
def test_wavefronts_are_few(codec, size, steps):
    assert len(list(_Context(codec, *size).wavefronts())) == steps


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (5, 1), (3, 4)])
def test_prediction_along_wavefronts_is_the_masked_convolution(codec, size):
    y_hat = 4 * torch.randn(1, 8, *size)
    params = torch.randn(1, 16, *size)
    context, parts = _Context(codec, *size), torch.empty(2, 8, *size)
    with torch.no_grad():
        expected = codec.entropy_parameters(
            torch.cat((params, codec.context_prediction(y_hat)), dim=1))
        for row, column in context.wavefronts():
            parts[0][:, row, column], parts[1][:, row, column] = \
                context.predict(params[0], row, column)
            context.put(row, column, y_hat[0][:, row, column])
    assert torch.equal(context.y_hat, y_hat[0])
    # Integers stand for multiples of 2^-16.
    torch.testing.assert_close(
        parts.flatten(0, 1)[None], expected, rtol=1e-3, atol=1e-3)


def test_evaluation_rates_are_those_of_the_decoder(codec):
    # CompressAI's own evaluation rounds y, its decoder y - means_hat.
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        y = codec.g_a(x)
        output = codec.quantise_latent(y)
        z_hat, _ = codec.entropy_bottleneck(codec.h_a(y))
        scales_hat, means_hat = codec.entropy_parameters(
            torch.cat(
                (codec.h_s(z_hat), codec.context_prediction(output.y_hat)),
                dim=1)).chunk(2, 1)
        _, likelihoods = codec.gaussian_conditional(
            y, scales_hat, means=means_hat)
    torch.testing.assert_close(
        output.likelihoods['y'].log2(), likelihoods.log2(), rtol=0, atol=1e-2)
    assert not torch.equal(output.y_hat, y.round())


def test_context_reaches_what_is_decoded(codec):
    # Otherwise the tests of its order say nothing.
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        y_hat = codec.encode_latents(x).y_hat
        other = tiny_codec('JointAutoregressive')
        other.load_state_dict(codec.state_dict())
        nn.init.zeros_(other.context_prediction.weight)
        assert (other.encode_latents(x).y_hat - y_hat).abs().max() > 0.1


def test_frozen_codec_walks_every_image_of_a_batch(codec):
    x = smooth_images(3, 64, 64)
    with torch.no_grad():
        together = codec(x)
        alone = [codec(image[None]) for image in x]
    assert together.symbols == {}
    for i, output in enumerate(alone):
        torch.testing.assert_close(
            together.y_hat[i:i + 1], output.y_hat, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(
            together.likelihoods['y'][i:i + 1],
            output.likelihoods['y'],
            rtol=1e-3,
            atol=1e-4)


def test_estimate_of_a_frozen_codec_needs_no_walk(codec, monkeypatch):
    x = smooth_images(3, 64, 64)
    with torch.no_grad():
        walked = codec.encode_latents(x)
        monkeypatch.setattr(mbt2018, '_Context', None)
        estimated, y = codec.estimate_latents(x), codec.g_a(x)
    assert estimated.symbols == {}
    # Rounded around means that are nearly those of the walk.
    assert (estimated.y_hat - y).abs().max() < 0.5 + 1e-3
    assert not torch.equal(estimated.y_hat, y.round())
    bits = [
        sum(-p.log2().sum() for p in output.likelihoods.values())
        for output in (estimated, walked)
    ]
    torch.testing.assert_close(*bits, rtol=0.02, atol=0)


def test_estimate_without_a_context_is_the_walk(codec):
    codec, x = copy.deepcopy(codec), smooth_images(2, 64, 64)
    with torch.no_grad():
        nn.init.zeros_(codec.context_prediction.weight)
        estimated, walked = codec.estimate_latents(x), codec.encode_latents(x)
    # Integers stand for multiples of 2^-16.
    torch.testing.assert_close(
        estimated.y_hat, walked.y_hat, rtol=0, atol=1e-3)
    torch.testing.assert_close(
        estimated.likelihoods['y'].log2(),
        walked.likelihoods['y'].log2(),
        rtol=0,
        atol=1e-2)


def test_estimate_in_training_is_what_training_has(codec):
    codec = copy.deepcopy(codec).train()
    x, outputs = smooth_images(1, 64, 64), []
    for encode in (codec.estimate_latents, codec.encode_latents):
        torch.manual_seed(0)
        outputs.append(encode(x).y_hat)
    assert torch.equal(*outputs)
