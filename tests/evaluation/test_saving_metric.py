import pytest

from mmhmc.evaluation import SavingMetric
from mmhmc.structures import CodedImage


def measured(num_bytes):
    metric = SavingMetric()
    coding = CodedImage(1., num_bytes, (16, 16), (32, 32))
    metric.process(None, [dict(coding=coding)])
    return metric.evaluate(1)


def test_saving_is_against_24_bits_a_pixel():
    # 96 bits over 1024 pixels.
    assert measured(12) == {'rate/saving': pytest.approx(1 - 96 / 1024 / 24)}


def test_without_real_bytes_there_is_no_saving():
    assert measured(None) == {}
