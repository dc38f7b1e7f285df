import pytest
import torch

from mmhmc.evaluation import PointsMetric


def test_distance_is_a_share_of_that_of_the_eyes():
    # In pixels of 100 x 200: eyes 50 apart, one of three points 15 off.
    wanted = torch.tensor([.25, .5, .5, .5, .4, .6])
    wanted[::2] *= 0.5
    found = wanted.clone()
    found[-1] += 0.15
    far = wanted + 0.5
    metric = PointsMetric()
    metric.process(None, [
        dict(gt_score=wanted, pred_score=one, img_shape=(100, 400))
        for one in (found, wanted, far)
    ])
    shift = (200**2 + 50**2)**0.5 / 50
    assert metric.evaluate(3) == {
        'points/nme': pytest.approx((15 / 3 / 50 + 0 + shift) / 3, rel=1e-5),
        'points/failures': pytest.approx(1 / 3)
    }
