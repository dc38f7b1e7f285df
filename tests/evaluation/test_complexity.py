"""Costs agree with a count by hand."""
import pytest
import torch
from conftest import smooth_images, tiny_codec
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec, MeanScaleHyperprior
from mmhmc.codecs.layers import NeighbourhoodAttention
from mmhmc.evaluation.complexity import (count_kmac, count_parameters,
                                         time_coding)
from mmhmc.structures import CodecOutput

N, M = 8, 12


@pytest.fixture(scope='module')
def codec():
    return MeanScaleHyperprior(N, M).eval()


def test_parts_add_up_to_all_parameters(codec):
    adapter = DynamicAdaptation(4)
    counts = count_parameters(codec, adapter)
    assert counts['encoder'] == sum(p.numel() for p in codec.g_a.parameters())
    assert counts['decoder'] == sum(p.numel() for p in codec.g_s.parameters())
    assert counts['adapter'] == sum(p.numel() for p in adapter.parameters())
    assert sum(counts.values()) == sum(p.numel() for module in (codec, adapter)
                                       for p in module.parameters())


def test_operations_are_those_counted_by_hand(codec):
    # Taps times channels in and out, over the pixels that one result covers.
    analysis = (25 * 3 * N / 4 + 25 * N * N * (1 / 16 + 1 / 64) +
                25 * N * M / 256)
    norm = N * N * (1 / 4 + 1 / 16 + 1 / 64)
    hyper_analysis = (9 * M * N / 256 + 25 * N * N * (1 / 1024 + 1 / 4096))
    # A transposed convolution: over the pixels that one input covers.
    hyper_synthesis = (25 * N * M / 4096 + 25 * M * (M * 3 // 2) / 1024 + 9 *
                       (M * 3 // 2) * 2 * M / 256)
    kmac = count_kmac(codec, (128, 192))
    assert kmac['encoder'] == pytest.approx((analysis + norm) / 1000)
    assert kmac['decoder'] == pytest.approx((analysis + norm) / 1000)
    assert kmac['hyper'] == pytest.approx(
        (hyper_analysis + hyper_synthesis) / 1000)
    assert kmac['adapter'] == 0


def test_operations_count_over_the_real_pixels(codec):
    padded, whole = (count_kmac(codec, size) for size in ((40, 64), (64, 64)))
    assert padded['encoder'] == pytest.approx(whole['encoder'] * 64 / 40)


@pytest.mark.parametrize('placement', ['image', 'latent'])
def test_adapter_counts_where_it_stands(codec, placement):
    channels, stride = (3, 1) if placement == 'image' else (M, 16)
    adapter = DynamicAdaptation(4, placement, channels)
    by_hand = sum(p.numel() for n, p in adapter.named_parameters()
                  if n.endswith('weight')) / stride**2
    kmac = count_kmac(codec, (64, 64), adapter=adapter)
    assert kmac['adapter'] == pytest.approx(by_hand / 1000)


def test_layers_that_a_codec_calls_one_by_one_count(codec, monkeypatch):
    whole = count_kmac(codec, (64, 64))

    def one_by_one(self, y_hat, condition=None):
        for layer in self.g_s:
            y_hat = layer(y_hat)
        return y_hat

    monkeypatch.setattr(MeanScaleHyperprior, 'decode_latents', one_by_one)
    assert count_kmac(codec, (64, 64)) == pytest.approx(whole)


def test_attention_counts_what_is_attended_to():
    codec = tiny_codec('TinyLIC')
    stage, = [
        m for m in codec.g_a.modules() if isinstance(m, NeighbourhoodAttention)
    ][:1]
    assert stage.count_macs(torch.rand(2, 9, 8, 16)) == \
        2 * 9 * 8 * 16 * (4 * 16 + 2 * 49)
    assert stage.count_macs(torch.rand(1, 2, 8, 16)) == \
        2 * 8 * 16 * (4 * 16 + 2 * 2 * 7)


def test_counting_leaves_no_hooks(codec):
    count_kmac(codec, (64, 64))
    assert not codec.g_a._forward_hooks and not codec.g_s._forward_pre_hooks


def test_times_are_of_a_round_trip():
    codec = tiny_codec('MeanScaleHyperprior')
    cost = time_coding(codec, smooth_images(1, 64, 64), runs=1)
    assert cost['encode_ms'] > 0 and cost['decode_ms'] > 0
    assert cost['peak_mib'] is None or cost['peak_mib'] >= 0


def test_codec_without_weights_costs_none():
    counts = count_parameters(IdentityCodec())
    assert sum(counts.values()) == 0
    kmac = count_kmac(IdentityCodec().eval(), (32, 32))
    assert sum(kmac.values()) == 0 and torch.is_grad_enabled()


class Elsewhere(nn.Module):
    """A codec of two layers, on a device that has no numbers."""

    downsampling_factor = 8

    def __init__(self):
        super().__init__()
        self.g_a = nn.Conv2d(3, 4, 8, 8, device='meta')
        self.g_s = nn.ConvTranspose2d(4, 3, 8, 8, device='meta')

    def encode_latents(self, x, condition=None, with_likelihoods=True):
        return CodecOutput(self.g_a(x))

    def decode_latents(self, y_hat, condition=None):
        return self.g_s(y_hat)


def test_operations_are_counted_where_the_codec_is():
    adapter = nn.Conv2d(3, 3, 1)
    adapter.placement = 'image'
    codec = Elsewhere()
    kmac = count_kmac(codec, (16, 24), adapter=adapter.to('meta'))
    assert kmac['encoder'] == pytest.approx(3 * 4 / 1000)
    assert kmac['adapter'] == pytest.approx(9 / 1000)
