import pytest
import torch
from mmengine.structures import BaseDataElement

from mmhmc.models import PointsHead


def samples(*scores):
    made = []
    for score in scores:
        sample = BaseDataElement()
        sample.set_field(torch.tensor(score), 'gt_score')
        made.append(sample)
    return made


def test_points_are_learnt_by_their_absolute_difference():
    head = PointsHead(4, 2, 8)
    torch.nn.init.zeros_(head.layers[-1].weight)
    wanted = samples([.5, .5, .5, .7], [.5, .4, .5, .5])
    feats = (torch.zeros(2, 9), torch.randn(2, 4))
    assert head.loss(feats, wanted)['loss'].item() == pytest.approx(0.3 / 8)
    optimizer = torch.optim.Adam(head.parameters(), 0.05)
    for _ in range(60):
        optimizer.zero_grad()
        head.loss(feats, wanted)['loss'].backward()
        optimizer.step()
    found = head.predict(feats, wanted)
    assert found[0].pred_score[3].item() == pytest.approx(0.7, abs=0.05)
    assert found[1].pred_score.shape == (4, )


def test_another_number_of_points_is_refused():
    with pytest.raises(ValueError, match='finds 2 points, .* have 3'):
        PointsHead(4, 2).loss((torch.randn(1, 4), ), samples([0.] * 6))
