"""Predictions as plain values, and drawn."""
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.structures import BaseDataElement, InstanceData, PixelData

from mmhmc.apis.predictions import (PredictionPainter, class_colours,
                                    plain_prediction)


def test_objects_have_boxes_and_run_lengths():
    pytest.importorskip('pycocotools')
    from pycocotools.mask import decode
    masks = torch.zeros(2, 4, 5, dtype=torch.bool)
    masks[1, 1:3, 2:] = True
    sample = BaseDataElement(
        pred_instances=InstanceData(
            labels=torch.tensor([0, 2]),
            scores=torch.tensor([.5, .25]),
            bboxes=torch.tensor([[0., 1, 2, 3], [1, 1, 4, 4]]),
            masks=masks))
    found = plain_prediction(sample)
    assert found['labels'] == [0, 2] and found['scores'] == [.5, .25]
    assert found['bboxes'][1] == [1, 1, 4, 4]
    read = json.loads(json.dumps(found))['masks']
    np.testing.assert_array_equal(decode(read[1]), masks[1].numpy())


@pytest.mark.parametrize('key, name, field', [
    ('pred_sem_seg', 'sem_seg', 'data'),
    ('pred_panoptic_seg', 'panoptic_seg', 'sem_seg'),
    ('pred_depth_map', 'depth_map', 'data'),
])
def test_maps_lose_their_first_dimension(key, name, field):
    values = torch.arange(6).view(1, 2, 3)
    sample = BaseDataElement(**{key: PixelData(**{field: values})})
    np.testing.assert_array_equal(
        plain_prediction(sample)[name], values[0].numpy())


def test_scores_name_the_best_class_if_it_is_known():
    sample = BaseDataElement(pred_score=torch.tensor([.25, .75]))
    found = plain_prediction(sample, ['cat', 'dog'])
    assert found == dict(
        pred_scores=[.25, .75], pred_score=.75, pred_label=1, pred_class='dog')
    assert 'pred_class' not in plain_prediction(sample)


def test_tasks_of_one_model_are_under_their_names():
    sample = BaseDataElement(
        hair=BaseDataElement(pred_score=torch.tensor([1., 0.])),
        coding='not a prediction')
    assert plain_prediction(sample)['hair']['pred_label'] == 0
    assert list(plain_prediction(sample)) == ['hair']


def test_colours_of_classes_differ_and_stay():
    colours = class_colours(20)
    assert len(set(colours)) == 20 and class_colours(3) == colours[:3]
    assert all(0 <= part <= 255 for colour in colours for part in colour)


def test_unsure_objects_are_not_drawn():
    pytest.importorskip('mmdet')
    sample = BaseDataElement(
        pred_instances=InstanceData(
            labels=torch.tensor([0]),
            scores=torch.tensor([.5]),
            bboxes=torch.tensor([[4., 4, 30, 20]])))
    painter = PredictionPainter(Config(dict(default_scope='mmdet')), {})
    image = np.full((32, 48, 3), 128, np.uint8)
    assert (painter(image, sample, 0.6) == image).all()
    drawn = painter(image, sample, 0.4)
    assert drawn.shape == image.shape and (drawn != image).any()


def test_backends_of_the_config_get_nothing(tmp_path):
    pytest.importorskip('mmdet')
    backends = [dict(type='WandbVisBackend')]
    cfg = dict(
        default_scope='mmdet',
        visualizer=dict(
            type='DetLocalVisualizer', vis_backends=backends, name='theirs'))
    painter = PredictionPainter(Config(cfg), {})
    assert not painter._visualizer._vis_backends


def test_host_without_a_visualizer_is_named():
    with pytest.raises(ValueError, match="none is known for the scope 'new'"):
        PredictionPainter(Config(dict(default_scope='new')), {})
