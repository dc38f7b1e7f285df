import pytest
import torch
from conftest import tiny_codec
from torch import nn

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


def test_tables_follow_the_weights():
    codec = tiny_codec('FactorizedPrior')
    before = codec.entropy_tables()['y'].cdf
    codec.entropy_bottleneck._bias0.data.add_(1)
    assert torch.equal(codec.entropy_tables()['y'].cdf, before)
    codec.update_entropy_tables()
    after = codec.entropy_tables()['y'].cdf
    assert after.shape != before.shape or not torch.equal(after, before)


def test_quantiles_are_solved_for():
    codec = tiny_codec('ScaleHyperprior')
    bottleneck = codec.entropy_bottleneck
    bottleneck._bias0.data.add_(1)
    assert bottleneck.loss() > 1
    codec.update_entropy_tables()
    # Logits of the quantiles, at -21.4, 0 and 21.4, for 8 channels.
    logits = bottleneck._logits_cumulative(
        bottleneck.quantiles, stop_gradient=True)
    assert (logits - bottleneck.target).abs().max() < 0.05
