"""The intra codec of DCVC-UF, against its specification."""
import copy
import math
from dataclasses import replace

import pytest
import torch
from conftest import smooth_images, tiny_codec
from torch import nn
from traced_ops import TracedOps

from mmhmc.bitstream import BitstreamError, SymbolDecoder, encode_symbols
from mmhmc.codecs import DCVCUFIntra, entropy_model_codec
from mmhmc.codecs.dcvc_uf import POSITIONS, spread_step, take_step
from mmhmc.codecs.layers import DepthConvBlock, FactorisedDensity
from mmhmc.codecs.layers.depth_conv import GROUP
from mmhmc.codecs.layers.gain import Gain
from mmhmc.evaluation import count_kmac
from mmhmc.structures import CodingCondition

#: Channels, and what parameters and operations for a pixel they make.
SIZES = {
    (384, 256, 128): (42009856, 172032, 454.35),
    (192, 128, 64): (10719168, 86016, 116.4),
    (128, 128, 64): (7772928, 77824, 71.77)
}
NAMES = ('hidden_channels', 'latent_channels', 'hyper_channels')


def at(quality):
    return CodingCondition(quality=quality)


def gains_of(codec):
    """The tables of the analysis, the synthesis and on either side of y."""
    tables = [p for name, p in codec.named_parameters() if 'gains' in name]
    assert len(tables) == 4
    return tables


def vary(codec):
    """Give each quality gains and densities of its own."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for table in gains_of(codec):
            table.copy_(0.5 + torch.rand(table.shape, generator=generator))
        matrices = codec.entropy_bottleneck.matrices
        matrices.add_(torch.rand(matrices.shape, generator=generator))
    codec.update_entropy_tables()
    return codec


@pytest.fixture(scope='module')
def codec():
    """Not to be changed."""
    torch.manual_seed(0)
    return vary(tiny_codec('DCVCUFIntra'))


@pytest.fixture(scope='module')
def published():
    """Sizes of the paper and small ones, without values."""
    with torch.device('meta'):
        return {
            sizes: DCVCUFIntra(**dict(zip(NAMES, sizes))).eval()
            for sizes in SIZES
        }


# Sizes.


@pytest.mark.parametrize('sizes', SIZES)
def test_parameters_are_those_of_the_specification(published, sizes):
    parameters = dict(published[sizes].named_parameters())
    tables = sum(p.numel() for name, p in parameters.items()
                 if 'gains' in name or 'entropy_bottleneck' in name)
    networks = sum(p.numel() for p in parameters.values()) - tables
    assert (networks, tables) == SIZES[sizes][:2]


def spent_by(codec):
    """Operations for a pixel, of weights that are all zero."""
    codec = copy.deepcopy(codec).to_empty(device='cpu')
    with torch.no_grad():
        for parameter in codec.parameters():
            parameter.zero_()
    return count_kmac(codec, (64, 64))


@pytest.mark.parametrize('sizes', SIZES)
def test_operations_are_those_of_the_specification(published, sizes):
    assert sum(spent_by(published[sizes]).values()) == pytest.approx(
        SIZES[sizes][2], abs=0.01)


def test_operations_of_each_part_are_those_of_the_specification(published):
    codec = published[384, 256, 128]
    spent = spent_by(codec)
    assert spent['encoder'] == pytest.approx(118, abs=0.5)
    assert spent['decoder'] == pytest.approx(217, abs=0.5)
    # Of what works at the latent's positions, each weight for each of them.
    context = {
        name:
        sum(layer.weight.numel()
            for layer in part.modules() if isinstance(layer, nn.Conv2d)) /
        256e3
        for name, part in codec.named_children()
        if name in ('fusion', 'reduction', 'adaptors', 'spatial')
    }
    assert context['fusion'] + context['reduction'] == pytest.approx(
        23.6, abs=0.05)
    assert context['adaptors'] == pytest.approx(25, abs=0.5)
    assert 3 * context['spatial'] == pytest.approx(68, abs=0.5)
    hyper = spent['hyper'] - sum(context.values()) - 2 * context['spatial']
    assert hyper == pytest.approx(3.4, abs=0.05)


def test_context_adapts_even_at_equal_width(published):
    for codec in published.values():
        assert all(block.adaptor is not None for block in codec.adaptors)


# Blocks.


@pytest.mark.parametrize('options', [
    dict(in_channels=8, channels=8),
    dict(in_channels=8, channels=8, adapts=True),
    dict(in_channels=6, channels=8, skips=True),
    dict(in_channels=8, channels=8, skips=True)
])
def test_block_is_what_the_specification_writes(options):
    block = DepthConvBlock(**options)
    for p in block.parameters():
        nn.init.normal_(p, std=0.3)
    x = torch.randn(2, options['in_channels'], 5, 6)

    def wsilu(t):
        return t * torch.sigmoid(4 * t)

    with torch.no_grad():
        entering = block.adaptor(x) if block.adaptor is not None else x
        first = block.leave(block.depthwise(wsilu(block.enter(entering))))
        out = entering + first
        hidden = wsilu(block.widen(out))
        summed = sum(hidden[:, i::GROUP] for i in range(GROUP))
        out = out + block.narrow(summed)
        if options.get('skips'):
            out = out + entering
        torch.testing.assert_close(block(x), out)


# Steps.


def test_steps_code_every_element_once_in_a_latin_square():
    count = torch.arange(2 * 8 * 4 * 6).float().view(2, 8, 4, 6)
    seen = []
    for step, positions in enumerate(POSITIONS):
        assert sorted(positions) == [0, 1, 2, 3]
        taken = take_step(count, step)
        assert taken.shape == (2, 2, 4, 6)
        for quarter, position in enumerate(positions):
            row, column = divmod(position, 2)
            assert torch.equal(
                taken[..., row::2, column::2],
                count[:, 2 * quarter:2 * quarter + 2, row::2, column::2])
        spread = spread_step(taken, step)
        assert torch.equal(take_step(spread, step), taken)
        assert (spread != 0).sum() <= taken.numel()
        seen.append(spread)
    assert torch.equal(sum(seen), count)
    # Each quarter is at another position in each step.
    assert all(len(set(column)) == 4 for column in zip(*POSITIONS))


def test_first_step_knows_the_hyperprior_only_and_others_what_was_coded(codec):
    params = torch.randn(1, codec.latent_channels, 4, 4)
    shown = []

    def walk_with(values):

        def settle(take, scales, means):
            shown.append((scales, means))
            return take(values)

        return codec.run_context_model(params, settle)

    y = torch.randn(1, codec.latent_channels, 4, 4).round()
    other = y + spread_step(torch.ones(1, codec.latent_channels // 4, 4, 4), 1)
    with torch.no_grad():
        walk_with(y)
        walk_with(other)
    for step in range(4):
        same = all(
            torch.equal(a, b) for a, b in zip(shown[step], shown[4 + step]))
        assert same == (step < 2), step


@pytest.fixture
def levels_of_a_gpu(monkeypatch):
    """Tables are chosen as they are where the scales are not on a CPU."""
    monkeypatch.setattr(
        entropy_model_codec, 'find_levels',
        lambda values, borders: torch.bucketize(
            values, borders, out_int32=True))


def test_no_step_of_the_encoder_waits_for_the_device(codec, levels_of_a_gpu):
    y = torch.randn(1, codec.latent_channels, 4, 8)
    with torch.no_grad():
        codec.quantise_latent(y)  # makes integers of the weights
        with TracedOps() as traced:
            codec.quantise_latent(y, with_likelihoods=False)
    assert traced.waits == {}


def test_step_of_the_decoder_sends_indexes_once_and_waits_for_nothing_else(
        codec, levels_of_a_gpu):
    x = smooth_images(1, 64, 128)
    stream, = codec.compress(x)
    calls = []

    class Decoder(SymbolDecoder):

        def decode(self, indexes):
            with torch.utils._python_dispatch._disable_current_modes():
                calls.append(len(indexes))
                return torch.zeros_like(indexes)

        def require(self, counts):
            pass

    tables = codec.entropy_tables()
    decoders = {
        name: Decoder(payload, tables[name])
        for name, payload in stream.streams.items()
    }
    with torch.no_grad(), TracedOps() as traced:
        codec.read_latents(decoders, (64, 128))
    assert calls == [16] + [64] * 4
    assert traced.waits == {}


# Qualities.


@pytest.mark.parametrize('quality', [1, 1.25, 2, 2.9, 3])
def test_every_quality_decodes_to_what_was_coded(codec, quality):
    x = smooth_images(1, 70, 100)
    stream, = codec.compress(x, at(quality))
    assert stream.quality == pytest.approx(quality, abs=1 / 512)
    y_hat = codec.read(stream)
    x_hat = codec.decompress([stream])
    assert torch.equal(codec.read(stream, at(1)), y_hat)
    assert x_hat.shape == x.shape
    other, = codec.compress(x, at(3 if quality < 2 else 1))
    assert other.streams != stream.streams


def test_quality_between_two_lies_between_their_gains(codec):
    gains = [m for m in codec.modules() if isinstance(m, Gain)]
    assert len(gains) == 4
    for gain in gains:
        low, middle, high = (gain.at(q) for q in (1, 1.5, 2))
        torch.testing.assert_close(middle**2, low * high)
        together = gain.at((1, 1.5, 2))
        assert torch.equal(together, torch.cat((low, middle, high)))


def test_quality_between_two_takes_the_nearer_density(codec):
    z = torch.randn(1, codec.hyper_channels, 1, 2)
    rows = {
        quality: codec.bottleneck_symbols(z, quality=quality).indexes[0]
        for quality in (1, 1.25, 1.5, 2, 2.75, 3)
    }
    c = codec.hyper_channels
    assert list(rows.values()) == [0, 0, c, c, 2 * c, 2 * c]


def test_without_a_quality_the_highest_is_taken(codec):
    x = smooth_images(1, 64, 64)
    assert codec.compress(x) == codec.compress(x, at(3))


@pytest.mark.parametrize('training', [True, False])
def test_images_of_a_batch_have_qualities_of_their_own(codec, training):
    codec = copy.deepcopy(codec).train(training)
    x, qualities = smooth_images(3, 64, 64), (1, 2.5, 3)
    with torch.no_grad():
        y_hat = codec.encode_latents(x, at(qualities)).y_hat
        together = codec.decode_latents(y_hat, at(qualities))
        for i, quality in enumerate(qualities):
            one = codec.encode_latents(x[i:i + 1], at(quality))
            x_hat = codec.decode_latents(one.y_hat, at(quality))
            torch.testing.assert_close(
                y_hat[i:i + 1], one.y_hat, rtol=1e-4, atol=1e-4)
            torch.testing.assert_close(
                together[i:i + 1], x_hat, rtol=1e-3, atol=1e-3)


def test_likelihoods_of_a_batch_are_those_of_each_quality(codec):
    x, qualities = smooth_images(3, 64, 64), (1, 2, 3)
    with torch.no_grad():
        together = codec.encode_latents(x, at(qualities)).likelihoods
        for i, quality in enumerate(qualities):
            alone = codec.encode_latents(x[i:i + 1], at(quality)).likelihoods
            for name in ('y', 'z'):
                torch.testing.assert_close(
                    together[name][i:i + 1], alone[name], rtol=1e-4, atol=1e-6)


def test_every_quality_that_is_drawn_learns_and_no_other(codec):
    codec = copy.deepcopy(codec).train()
    x = smooth_images(2, 64, 64)
    output = codec(x, at((1, 3)))
    rate = sum(-p.log2().sum() for p in output.likelihoods.values())
    (rate + output.x_hat.square().sum()).backward()
    for table in gains_of(codec):
        learnt = table.grad.abs().sum(1) > 0
        assert learnt.tolist() == [True, False, True]
    for parameter in codec.entropy_bottleneck.parameters():
        learnt = parameter.grad.abs().sum((0, 2)) > 0
        assert learnt.tolist() == [True, False, True]


@pytest.mark.parametrize('quality', [0, 0.5, 4, float('nan'), -1])
def test_quality_that_does_not_exist_is_refused(codec, quality):
    x = smooth_images(1, 64, 64)
    for refuses in (codec, codec.compress, codec.encode_latents):
        with pytest.raises(ValueError, match='a number from 1 to 3 for DCVC'):
            refuses(x, at(quality))
    stream, = codec.compress(x)
    if not math.isnan(quality) and quality >= 0:
        with pytest.raises(BitstreamError, match='has the qualities 1 to 3'):
            codec.read(replace(stream, quality=quality))


def test_wrong_number_of_qualities_is_refused(codec):
    with pytest.raises(ValueError, match='2 values for a batch of 3 images'):
        codec(smooth_images(3, 64, 64), at((1, 2)))
    with pytest.raises(ValueError, match='at one quality'):
        codec.compress(smooth_images(2, 64, 64), at((1, 2)))


def test_other_controls_are_refused(codec):
    with pytest.raises(ValueError, match="controls .'quality'., but no `task"):
        codec(smooth_images(1, 64, 64), CodingCondition(task='seg'))


# What is refused.


def test_latent_that_has_no_quarters_is_refused():
    with pytest.raises(ValueError, match='multiple of 4, got 10'):
        DCVCUFIntra(hidden_channels=8, latent_channels=10)


@pytest.mark.parametrize('name', [*NAMES, 'num_qualities'])
@pytest.mark.parametrize('value', [0, -4, 2.5, None])
def test_impossible_count_is_refused(name, value):
    with pytest.raises(ValueError, match=f'`{name}` must be a positive int'):
        DCVCUFIntra(**{name: value})


# The density of z.


def test_density_sums_to_one_and_its_tables_are_near_it():
    density = FactorisedDensity(2, 3)
    for p in density.parameters():
        nn.init.normal_(p, std=0.5)
    density.update()
    k = torch.arange(-400, 401).float().view(1, 1, 1, -1)
    for row in range(2):
        with torch.no_grad():
            mass = density(k.expand(1, 3, 1, -1), torch.tensor([row]))[0, :, 0]
        torch.testing.assert_close(
            mass.sum(-1), torch.ones(3), atol=1e-4, rtol=0)
        for c in range(3):
            index = row * 3 + c
            length = density._cdf_length[index]
            cdf = density._quantized_cdf[index, :length]
            first = density._offset[index].item()
            frequencies = cdf.diff()[:-1] / 65536
            seen = mass[c, 400 + first:400 + first + len(frequencies)]
            assert cdf[0] == 0 and cdf[-1] == 65536
            assert (cdf.diff() > 0).all()
            torch.testing.assert_close(frequencies, seen, atol=1e-3, rtol=0)
            assert seen.sum() > 1 - 1e-4


def test_symbols_drawn_from_the_density_cost_their_entropy(codec):
    density, channels = codec.entropy_bottleneck, codec.hyper_channels
    k = torch.arange(-2000, 2001).float().view(1, 1, 1, -1)
    for quality in (1, 3):
        rows = torch.tensor([quality - 1])
        with torch.no_grad():
            mass = density(k.expand(1, channels, 1, -1), rows)[0, :, 0]
            drawn = torch.multinomial(mass, 1024, replacement=True)
            z = (drawn.float() - 2000).view(1, channels, 32, 32)
            bits = -density(z, rows).log2().sum().item()
        payload = encode_symbols(
            codec.bottleneck_symbols(z, quality=quality),
            codec.entropy_tables()['z'])
        assert bits > 20000
        assert bits - 16 <= 8 * len(payload) <= 1.005 * bits + 8 * 12


def test_a_latent_far_outside_still_learns():
    density = FactorisedDensity(1, 1)
    z = torch.tensor([3e3]).view(1, 1, 1, 1).requires_grad_()
    likelihood = density(z, torch.tensor([0]))
    assert likelihood.item() == pytest.approx(1e-9)


# Colours.


def test_colours_are_luma_and_chroma_around_zero_inside(codec):
    seen = []
    handle = codec.g_a.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    grey = torch.full((1, 3, 64, 64), 0.75)
    with torch.no_grad():
        codec.encode_latents(grey)
    handle.remove()
    expected = torch.tensor([0.25, 0, 0]).view(1, 3, 1, 1)
    torch.testing.assert_close(seen[0], expected.expand(1, 3, 64, 64))


def test_rows_of_the_hyper_latent_end_with_zeros(codec):
    """So that a file of weights can leave them out."""
    density = codec.entropy_bottleneck
    table, lengths = density._quantized_cdf, density._cdf_length[:, None]
    place = torch.arange(table.shape[1])
    assert len(lengths.unique()) > 1
    assert (table[place == lengths - 1] == 1 << 16).all()
    assert not table[place >= lengths].any()
