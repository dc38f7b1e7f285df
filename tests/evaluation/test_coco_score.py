"""Against COCOeval itself, on made-up objects and predictions."""
import json

import numpy as np
import pytest

from mmhmc.evaluation import CocoScore

coco = pytest.importorskip('pycocotools.coco')
cocoeval = pytest.importorskip('pycocotools.cocoeval')


def made_up(num_images=6, num_categories=4, seed=0, digits=1):
    """Objects, some crowds, and predictions near some of them."""
    rng = np.random.default_rng(seed)
    data = dict(
        images=[
            dict(id=10 * n + 3, file_name=f'{n}.png', width=100, height=100)
            for n in range(num_images)
        ],
        # The last one has no object, the one before no prediction.
        categories=[
            dict(id=n + 1, name=str(n)) for n in range(num_categories)
        ],
        annotations=[])
    found = []
    for image in data['images']:
        for _ in range(rng.integers(2, 7)):
            category = int(rng.integers(1, num_categories))
            box = [*rng.uniform(0, 60, 2), *rng.uniform(10, 40, 2)]
            data['annotations'].append(
                dict(
                    id=len(data['annotations']) + 1,
                    image_id=image['id'],
                    category_id=category,
                    bbox=box,
                    area=box[2] * box[3],
                    segmentation=[polygon(box)],
                    iscrowd=int(rng.random() < 0.15)))
            for _ in range(rng.integers(0, 4)):
                near = (box + rng.normal(0, 2.5, 4)).tolist()
                found.append(
                    prediction(rng, image['id'], category, near, digits))
            far = [*rng.uniform(0, 60, 2), *rng.uniform(10, 40, 2)]
            found.append(
                prediction(rng, image['id'],
                           rng.choice([1, 2, num_categories]), far, digits))
    for row in data['annotations']:
        if row['iscrowd']:
            row['segmentation'] = dict(size=[100, 100], counts=[0, 10000])
    return data, [
        row for row in found if row['category_id'] != num_categories - 1
    ]


def prediction(rng, image, category, box, digits=1):
    # One digit makes many scores equal.
    return dict(
        image_id=image,
        category_id=int(category),
        bbox=box,
        score=round(float(rng.random()), digits))


def polygon(box):
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def repeated(data, found, indices):
    """A data set that holds each image as often as it is drawn."""
    images, annotations, predictions = [], [], []
    for new, index in enumerate(np.sort(indices)):
        old = data['images'][index]['id']
        images.append(dict(data['images'][index], id=new))
        annotations += [
            dict(row, id=len(annotations) + n + 1, image_id=new)
            for n, row in enumerate(
                row for row in data['annotations'] if row['image_id'] == old)
        ]
        predictions += [
            dict(row, image_id=new) for row in found if row['image_id'] == old
        ]
    return dict(data, images=images, annotations=annotations), predictions


def expected(tmp_path, data, found, iou_type='bbox'):
    path = tmp_path / 'expected.json'
    path.write_text(json.dumps(data))
    truth = coco.COCO(str(path))
    evaluation = cocoeval.COCOeval(truth,
                                   truth.loadRes([dict(row) for row in found]),
                                   iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[0]


def score_of(tmp_path, data, found, iou_type='bbox'):
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(data))
    return CocoScore(path, found, iou_type)


@pytest.mark.parametrize('seed', range(4))
def test_every_image_once_is_cocoeval_to_the_last_bit(tmp_path, seed):
    data, found = made_up(seed=seed)
    value = score_of(tmp_path, data, found).score(np.arange(6))
    assert value == expected(tmp_path, data, found)
    assert 0.05 < value < 0.95


def test_masks_are_those_of_cocoeval_too(tmp_path):
    data, found = made_up()
    found = [
        dict(
            image_id=row['image_id'],
            category_id=row['category_id'],
            score=row['score'],
            segmentation=mask(row['bbox'])) for row in found
    ]
    value = score_of(tmp_path, data, found, 'segm').score(np.arange(6))
    assert value == expected(tmp_path, data, found, 'segm')
    assert value > 0.05


def mask(box):
    pycocotools = pytest.importorskip('pycocotools.mask')
    return pycocotools.frPyObjects([polygon(box)], 100, 100)[0]


@pytest.mark.parametrize('seed', range(4))
def test_image_drawn_twice_counts_as_two_images(tmp_path, seed):
    data, found = made_up(seed=seed, digits=9)
    score = score_of(tmp_path, data, found)
    indices = np.random.default_rng(seed).integers(6, size=6)
    assert score.score(indices) == pytest.approx(
        expected(tmp_path, *repeated(data, found, indices)), abs=1e-14)


def test_order_of_the_drawn_images_does_not_matter(tmp_path):
    score = score_of(tmp_path, *made_up())
    assert score.score(np.array([4, 1, 4])) == score.score(np.array([1, 4, 4]))


def test_images_are_named_in_the_order_of_their_numbers(tmp_path):
    data, found = made_up(3)
    data['images'].reverse()
    assert score_of(tmp_path, data,
                    found).images == ('0.png', '1.png', '2.png')


def test_only_the_images_named_count(tmp_path):
    data, found = made_up()
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(data))
    part = CocoScore(path, found, images=['4.png', '1.png'])
    assert part.images == ('1.png', '4.png')
    assert part.score(np.arange(2)) == CocoScore(path, found).score(
        np.array([1, 4]))
    with pytest.raises(ValueError, match="does not name '9.png'"):
        CocoScore(path, found, images=['1.png', '9.png'])


def test_no_prediction_scores_nothing(tmp_path):
    data, _ = made_up()
    assert score_of(tmp_path, data, []).score(np.arange(6)) == 0


def test_images_without_objects_have_no_score(tmp_path):
    data, found = made_up()
    data['annotations'] = [
        row for row in data['annotations'] if row['image_id'] != 3
    ]
    assert score_of(tmp_path, data, found).score(np.array([0, 0])) == -1


def test_crowded_image_keeps_its_hundred_best(tmp_path):
    data, found = made_up()
    rng = np.random.default_rng(0)
    box = data['annotations'][0]['bbox']
    category = data['annotations'][0]['category_id']
    found += [
        prediction(rng, 3, category, (box + rng.normal(0, 5, 4)).tolist())
        for _ in range(130)
    ]
    assert score_of(tmp_path, data, found).score(np.arange(6)) == expected(
        tmp_path, data, found)


def test_it_prints_nothing_and_changes_no_prediction(tmp_path, capsys):
    data, found = made_up()
    before = json.dumps(found)
    score_of(tmp_path, data, found).score(np.arange(6))
    assert capsys.readouterr().out == ''
    assert json.dumps(found) == before


def test_annotations_without_objects_are_refused(tmp_path):
    data, found = made_up()
    data['annotations'] = []
    with pytest.raises(ValueError, match='holds no object'):
        score_of(tmp_path, data, found)


def test_predictions_of_another_data_set_are_refused(tmp_path):
    data, found = made_up()
    found[0]['image_id'] = 77
    with pytest.raises(ValueError, match='the first is 77'):
        score_of(tmp_path, data, found)


def test_unknown_kind_of_overlap_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'bbox' or 'segm', got 'keypoints'"):
        score_of(tmp_path, *made_up(), 'keypoints')
