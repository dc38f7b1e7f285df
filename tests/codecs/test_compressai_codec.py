import copy
import pickle

import compressai.models
import pytest
import torch
from conftest import first_layer, tiny_codec
from torch import nn

from mmhmc.bitstream import BitstreamError, SymbolDecoder, encode_symbols
from mmhmc.codecs import Cheng2020Attention
from mmhmc.codecs.compressai_codec import PointwiseStridedConv2d


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (1, 1)])
@pytest.mark.parametrize('memory_format',
                         [torch.contiguous_format, torch.channels_last])
def test_sliced_pointwise_convolution_equals_the_strided_one(
        size, memory_format):
    x = torch.rand(2, 3, *size).to(memory_format=memory_format)
    strided = nn.Conv2d(3, 8, kernel_size=1, stride=2)
    sliced = PointwiseStridedConv2d(3, 8, kernel_size=1, stride=2)
    sliced.load_state_dict(strided.state_dict())
    torch.testing.assert_close(sliced(x), strided(x))


def test_every_strided_pointwise_convolution_is_sliced():
    codec = Cheng2020Attention(8)
    pointwise = [
        m for m in codec.modules()
        if isinstance(m, nn.Conv2d) and m.kernel_size == (
            1, 1) and m.stride != (1, 1)
    ]
    assert len(pointwise) == 3
    assert all(isinstance(m, PointwiseStridedConv2d) for m in pointwise)


def test_scale_gets_the_table_that_is_nearest_by_logarithm():
    codec = tiny_codec('MeanScaleHyperprior')
    table = codec.gaussian_conditional.scale_table
    scales = torch.cat([
        torch.tensor([-1., 0., 1e-3]), table, table * 1.05, table / 1.05,
        torch.rand(500) * 300
    ])
    distance = (scales.clamp(min=1e-3).log()[:, None] -
                table.log()[None]).abs()
    indexes = codec.scale_indexes(scales)
    assert indexes.dtype == torch.int32
    assert torch.equal(indexes.long(), distance.argmin(dim=1))


def test_borders_of_the_levels_are_exact():
    codec = tiny_codec('MeanScaleHyperprior')
    table = codec.gaussian_conditional.scale_table.double()
    borders = (table[:-1] * table[1:]).sqrt().float()
    below = borders.nextafter(torch.tensor(0.))
    above = borders.nextafter(torch.tensor(1e3))
    levels = torch.arange(255, dtype=torch.int32)
    assert torch.equal(codec.scale_indexes(below), levels)
    assert torch.equal(codec.scale_indexes(borders), levels)
    assert torch.equal(codec.scale_indexes(above), levels + 1)


def test_tables_of_compressai_serve_until_they_are_updated():
    codec = tiny_codec('MeanScaleHyperprior')
    assert len(codec.gaussian_conditional.scale_table) == 256
    network = compressai.models.MeanScaleHyperprior(8, 8)
    network.update(force=True, update_quantiles=True)
    codec.load_state_dict(network.state_dict())
    scales = torch.linspace(-1, 300, 99)
    assert len(codec.entropy_tables()['y'].lengths) == 64
    assert codec.scale_indexes(scales).max() == 63
    codec.update_entropy_tables()
    assert len(codec.entropy_tables()['y'].lengths) == 256
    assert codec.scale_indexes(scales).max() == 255


def test_tables_are_the_same_objects_while_nothing_changes():
    codec = tiny_codec('MeanScaleHyperprior')
    tables = codec.entropy_tables()
    for key, table in codec.entropy_tables().items():
        assert table is tables[key]
    # What registered them cannot be copied; copies make their own.
    tables['y'].registered
    for other in (copy.deepcopy(codec), pickle.loads(pickle.dumps(codec))):
        assert other.entropy_tables()['y'] is not tables['y']
        assert other.entropy_tables()['y'].digest == tables['y'].digest


@pytest.mark.parametrize('change', [
    lambda codec: codec.update_entropy_tables(),
    lambda codec: codec.load_state_dict(codec.state_dict()),
    lambda codec: codec.drop_entropy_tables(),
    lambda codec: codec.gaussian_conditional._offset.add_(1),
])
def test_changed_buffers_make_other_tables(change):
    codec = tiny_codec('MeanScaleHyperprior')
    before = codec.entropy_tables()['y']
    change(codec)
    after = codec.entropy_tables()['y']
    assert after is not before
    assert torch.equal(after.offsets, codec.gaussian_conditional._offset)


def test_tables_made_in_inference_mode_serve_outside_it():
    codec = tiny_codec('MeanScaleHyperprior')
    with torch.inference_mode():
        codec.update_entropy_tables()
    tables = codec.entropy_tables()
    assert codec.entropy_tables()['y'] is tables['y']
    codec.train().update_entropy_tables()


def test_absurd_size_is_refused_before_anything_of_it_is_made(monkeypatch):
    codec = tiny_codec('MeanScaleHyperprior')
    z = torch.zeros(1, 8, 2, 3)
    tables = codec.entropy_tables()['z']
    payload = encode_symbols(codec.bottleneck_symbols(z), tables)
    assert codec.read_bottleneck(SymbolDecoder(payload, tables),
                                 (2, 3)).shape == z.shape
    monkeypatch.setattr(codec, '_bottleneck_indexes', None)
    with pytest.raises(BitstreamError, match='symbols are said to come'):
        codec.read_bottleneck(SymbolDecoder(payload, tables), (1 << 12, 999))


def test_weights_that_the_mask_hides_do_not_tell_codecs_apart():
    codec = tiny_codec('JointAutoregressive')
    before = codec.weights_hash()
    with torch.no_grad():
        conv = codec.context_prediction
        conv.weight.add_(1 - conv.mask)
    assert codec.weights_hash() != before
    codec.update_entropy_tables()
    assert codec.weights_hash() == before


def test_tables_follow_the_weights():
    codec = tiny_codec('FactorizedPrior')
    before = codec.entropy_tables()['y'].cdf
    first_layer(codec.entropy_bottleneck, 'bias').data.add_(1)
    assert torch.equal(codec.entropy_tables()['y'].cdf, before)
    codec.update_entropy_tables()
    after = codec.entropy_tables()['y'].cdf
    assert after.shape != before.shape or not torch.equal(after, before)


def test_quantiles_are_solved_for():
    codec = tiny_codec('ScaleHyperprior')
    bottleneck = codec.entropy_bottleneck
    first_layer(bottleneck, 'bias').data.add_(1)
    assert bottleneck.loss() > 1
    codec.update_entropy_tables()
    # Logits of the quantiles, at -21.4, 0 and 21.4, for 8 channels.
    logits = bottleneck._logits_cumulative(
        bottleneck.quantiles, stop_gradient=True)
    assert (logits - bottleneck.target).abs().max() < 0.05
