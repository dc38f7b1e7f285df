import warnings

import numpy as np
import pytest
from PIL import Image

from mmhmc.visualization import Instances, PanelRow, draw_panel

CLASSES = ('disc', 'a $quare')


def objects(height, width, scores=None):
    masks = np.zeros((2, height, width), bool)
    masks[0, 5:20, 5:20] = masks[1, 30:40, 10:50] = True
    return Instances(
        boxes=np.array([[5, 5, 20, 20], [10, 30, 50, 40.]]),
        labels=np.array([0, 1]),
        masks=masks,
        scores=scores)


def make_row(height=48, width=64, **kwargs):
    rng = np.random.default_rng(0)
    image, x_hat, x_bar = rng.integers(
        0, 256, (3, height, width, 3), dtype=np.uint8)
    return PanelRow(image, x_hat, bpp=0.25, x_bar=x_bar, **kwargs)


def full_row(**kwargs):
    return make_row(
        bits=np.linspace(0, 1, 12).reshape(3, 4),
        ground_truth=objects(48, 64),
        predictions=dict(x_bar=objects(48, 64, np.array([0.9, 0.1]))),
        **kwargs)


def drawn(path):
    with Image.open(path) as file:
        return np.array(file.convert('RGB'))


def test_panel_has_a_cell_for_each_part_of_each_row(tmp_path):
    path = tmp_path / 'new/panel.png'
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert draw_panel([full_row(), full_row()], CLASSES, path) == path
    # 6 cells of 5 * 64 pixels and the bar; 2 rows of 5 * 48 and a title.
    assert drawn(path).shape == (12 + 2 * (26 + 240 + 12),
                                 12 + 6 * (320 + 12) + 64, 3)
    assert list(path.parent.iterdir()) == [path]


def test_pixels_are_shown_as_squares(tmp_path):
    row = make_row()
    panel = drawn(draw_panel([row], CLASSES, tmp_path / 'panel.png'))
    cell = panel[12 + 26:12 + 26 + 240, 12:12 + 320]
    # Two pixels of the axes' frame lie over the border.
    shown = cell[2::5, 2::5]
    np.testing.assert_array_equal(shown[1:-1, 1:-1], row.image[1:-1, 1:-1])


def test_rows_may_differ_in_size_and_parts(tmp_path):
    rows = [full_row(), make_row(32, 80)]
    panel = drawn(draw_panel(rows, CLASSES, tmp_path / 'panel.png'))
    assert panel.shape == (12 + 26 + 4 * 48 + 12 + 26 + 4 * 32 + 12,
                           12 + 6 * (320 + 12) + 64, 3)
    # The second row has no bits, objects or predictions.
    assert (panel[-140:, 12 + 3 * 332:] == 255).all()


def test_unsure_predictions_are_left_out(tmp_path):
    sure, unsure = (
        make_row(
            predictions=dict(image=objects(48, 64, np.array([0.9, score]))))
        for score in (0.9, 0.2))
    panels = [
        drawn(draw_panel([row], CLASSES, tmp_path / 'panel.png'))
        for row in (sure, unsure)
    ]
    differs = np.nonzero((panels[0] != panels[1]).any(axis=(1, 2)))[0]
    # Only rows of the second object, with its name above it.
    assert 12 + 26 + 5 * 20 < differs.min()
    assert differs.max() <= 12 + 26 + 5 * 40 + 2


def test_padding_of_the_bits_map_is_cut_off(tmp_path):
    padded = np.zeros((4, 4))
    padded[:3, :] = np.linspace(0, 1, 12).reshape(3, 4)
    panels = [
        drawn(
            draw_panel([make_row(bits=bits, bits_size=size)], CLASSES,
                       tmp_path / 'panel.png'))
        for bits, size in ((padded, (64, 64)), (padded[:3], None))
    ]
    np.testing.assert_array_equal(*panels)


def test_image_without_objects_or_bits_is_drawn(tmp_path):
    nothing = Instances(np.zeros((0, 4)), np.zeros(0, int))
    row = make_row(ground_truth=nothing, bits=np.zeros((3, 4)))
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        draw_panel([row], CLASSES, tmp_path / 'panel.png')


def test_failed_drawing_keeps_the_earlier_panel(tmp_path, monkeypatch):
    from matplotlib.figure import Figure
    path = draw_panel([make_row()], CLASSES, tmp_path / 'panel.png')
    before = path.read_bytes()

    def fail(self, name, **kwargs):
        name.write_bytes(b'half')
        raise OSError('disk full')

    monkeypatch.setattr(Figure, 'savefig', fail)
    with pytest.raises(OSError, match='disk full'):
        draw_panel([make_row()], CLASSES, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match='nothing to draw'):
        draw_panel([], CLASSES, tmp_path / 'panel.png')


@pytest.mark.parametrize(
    'change, message', [
        (dict(x_hat=np.zeros((48, 64, 3))), 'uint8'),
        (dict(x_bar=np.zeros((48, 60, 3), np.uint8)),
         r'got uint8 \(48, 60, 3\)'),
        (dict(ground_truth=objects(40, 64)), r'`masks` must have shape'),
        (dict(predictions=dict(y=objects(48, 64))), "got 'y'"),
        (dict(ground_truth=Instances(np.zeros((1, 4)), np.array([2]))),
         r'must be in \[0, 1\]'),
    ],
    ids=['type', 'size', 'masks', 'source', 'label'])
def test_parts_that_do_not_fit_are_refused(tmp_path, change, message):
    row = make_row()
    for name, value in change.items():
        setattr(row, name, value)
    with pytest.raises(ValueError, match=message):
        draw_panel([row], CLASSES, tmp_path / 'panel.png')
