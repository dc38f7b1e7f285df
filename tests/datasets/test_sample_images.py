import numpy as np
import pytest

from mmhmc.datasets import sample_images
from mmhmc.datasets.sample_images import (BACKGROUNDS, CLASSES,
                                          MIN_VISIBLE_PERCENT, Dice,
                                          draw_image)


def test_dice_follow_the_raw_bits_that_numpy_guarantees():
    # python -c "import numpy as np; print([int(n) % 6 + 1 for n in
    #     np.random.PCG64(np.random.SeedSequence((1, 2))).random_raw(8)])"
    dice = Dice(1, 2)
    assert [dice.between(1, 6) for _ in range(8)] == [1, 6, 6, 2, 1, 3, 4, 2]


def test_rotation_keeps_lengths():
    dice = Dice(0)
    for _ in range(50):
        cosine, sine = dice.rotation()
        assert np.hypot(cosine, sine) == pytest.approx(4096, abs=2)


def test_train_and_val_share_no_photograph():
    pytest.importorskip('skimage')
    photographs = sample_images.photographs()
    contents = {
        split: {photographs[name].tobytes()
                for name in names}
        for split, names in BACKGROUNDS.items()
    }
    assert not contents['train'] & contents['val']
    # The right view of the motorcycle shows what the left one shows.
    assert not any('right' in n for n in sum(BACKGROUNDS.values(), ()))
    textures = {texture for _, texture in CLASSES.values()}
    assert not textures & set(sum(BACKGROUNDS.values(), ()))


@pytest.mark.parametrize('texture', sorted(t for _, t in CLASSES.values()))
def test_train_and_val_share_no_part_of_a_texture(texture):
    pytest.importorskip('skimage')
    parts = [sample_images._texture(texture, s) for s in BACKGROUNDS]
    whole = sample_images.photographs()[texture]
    shrink = sample_images._TEXTURE_SHRINK[texture]
    assert sum(p.shape[1] for p in parts) == whole.shape[1] // shrink
    assert all(p.shape[1] >= 30 for p in parts)


def test_objects_cover_each_other():
    pytest.importorskip('skimage')
    num_covered = 0
    for index in range(20):
        for item in draw_image('train', Dice(7, index))[1]:
            if CLASSES[item.category][0] == 'disc':
                rows, columns = np.nonzero(item.mask)
                diameter = max(np.ptp(rows), np.ptp(columns)) + 1
                num_covered += item.mask.sum() < 0.7 * diameter**2
    assert num_covered >= 3


@pytest.mark.parametrize('shape, area', [('disc', np.pi / 4),
                                         ('square', (5 / 6)**2),
                                         ('triangle', 27**.5 * .29**2),
                                         ('cross', 1 - (5 / 8)**2)])
def test_shape_has_its_area_at_every_angle(shape, area):
    dice = Dice(3)
    for diameter in (24, 61, 110):
        coverage = sample_images._shape_coverage(shape, diameter,
                                                 dice.rotation())
        assert coverage.sum() / 16 == pytest.approx(
            area * diameter**2, rel=0.02)
        # It fits its patch: nothing touches the border.
        assert not coverage[[0, -1]].any() and not coverage[:, [0, -1]].any()


def test_no_object_is_left_with_less_than_it_may_have():
    pytest.importorskip('skimage')
    covered = np.zeros((256, 256), np.int64)
    covered[:200, :200] = 16
    mask = covered >= 8
    other = sample_images.SampleObject('page_triangle', mask)
    dice = Dice(5)
    for _ in range(20):
        coverage = sample_images._place_shape('disc', [other],
                                              [int(mask.sum()) * 2], dice)
        if coverage is None:
            continue
        left = (mask & (coverage < 8)).sum()
        assert left * 100 >= MIN_VISIBLE_PERCENT * mask.sum() * 2


def test_missing_scikit_image_is_named(monkeypatch):
    monkeypatch.setattr(sample_images, 'find_spec', lambda name: None)
    sample_images.photographs.cache_clear()
    with pytest.raises(ModuleNotFoundError, match='pip install scikit-image'):
        sample_images.photographs()


def test_other_photographs_are_refused(monkeypatch):
    pytest.importorskip('skimage')
    monkeypatch.setattr(sample_images, '_PHOTOGRAPHS_SHA256', 'other')
    sample_images.photographs.cache_clear()
    with pytest.raises(RuntimeError, match='expected other'):
        sample_images.photographs()
