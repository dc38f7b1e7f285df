"""Paths of MPA on an image."""
import numpy as np
import pytest
from PIL import Image

from mmhmc.visualization import TaskColumn, draw_task_images, tint_side_path

IMAGE = np.full((6, 10, 3), 100, np.uint8)


def test_side_path_is_tinted_and_the_main_path_is_grey():
    mask = np.array([[1, 0], [0, 1]])
    shown = tint_side_path(IMAGE, mask)
    assert (shown[:3, :5] == 100).all() and (shown[3:, 5:] == 100).all()
    tinted = shown[:3, 5:]
    assert (tinted[..., 0] > 150).all() and (tinted[..., 2] < 50).all()


def test_mask_covers_the_padding_too():
    mask = np.array([[1, 0], [0, 0]])
    shown = tint_side_path(IMAGE, mask, (12, 20))
    assert (shown == 100).all()
    with pytest.raises(ValueError, match=r'\(4, 10\) is smaller than'):
        tint_side_path(IMAGE, mask, (4, 10))


def test_a_column_is_drawn_for_each_way_to_decode(tmp_path):
    columns = [
        TaskColumn('original', IMAGE, dict(g_a=np.ones((3, 5)))),
        TaskColumn('for people', IMAGE)
    ]
    path = draw_task_images(columns, tmp_path / 'tasks.png')
    pixels = np.asarray(Image.open(path).convert('RGB'))
    assert pixels.shape == (12 + 2 * (192 + 12 + 26), 12 + 2 * (320 + 12), 3)
    assert (pixels[300, 170] == 100).all()
    # Under the second image there is no mask.
    assert (pixels[300, 500] == 255).all()


def test_columns_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(ValueError, match='nothing to draw'):
        draw_task_images([], tmp_path / 'tasks.png')
    columns = [TaskColumn('a', IMAGE), TaskColumn('b', IMAGE[:3])]
    with pytest.raises(ValueError, match='must have one size'):
        draw_task_images(columns, tmp_path / 'tasks.png')
