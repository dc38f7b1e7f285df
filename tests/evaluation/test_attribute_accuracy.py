import pytest
import torch

from mmhmc.evaluation import AttributeAccuracy


def test_accuracy_is_the_share_of_right_attributes():
    wanted = torch.tensor([[1., 0.], [1., 0.], [1., 1.], [0., 1.]])
    found = torch.tensor([[.9, .4], [.2, .4], [.5, .6], [.1, .1]])
    metric = AttributeAccuracy()
    metric.process(
        None, [dict(gt_score=w, pred_score=f) for w, f in zip(wanted, found)])
    # Six of eight; three of four have the first, two the second.
    assert metric.evaluate(4) == {
        'attributes/accuracy': pytest.approx(0.75),
        'attributes/majority': pytest.approx((0.75 + 0.5) / 2)
    }
