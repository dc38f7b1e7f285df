"""What trainings logged is read whole, and drawn."""
import json

import pytest
from PIL import Image

from mmhmc.visualization import draw_training, read_scalars


def log(folder, *lines):
    path = folder / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(
        line if isinstance(line, str) else json.dumps(line) for line in lines))


@pytest.fixture
def run(tmp_path):
    """A training that was cut off in a line, and resumed."""
    log(tmp_path / '20260101_000000', dict(loss=4., step=50),
        dict(loss=3., step=100), dict(mIoU=10., step=1), '{"loss": 2')
    log(tmp_path / '20260102_000000', dict(loss=2.5, step=100),
        dict(loss=2., bpp=0.5, step=150))
    return tmp_path


def test_parts_of_a_resumed_training_are_one(run):
    scalars = read_scalars(run)
    assert scalars == dict(
        loss={
            50: 4.,
            100: 2.5,
            150: 2.
        }, mIoU={1: 10.}, bpp={150: 0.5})
    assert list(scalars['loss']) == [50, 100, 150]


def test_each_quantity_has_a_plot(run, tmp_path):
    scalars = read_scalars(run)
    sizes = []
    for number in (1, 2, 4):
        path = draw_training({
            '$a': scalars,
            'none': {}
        }, ['loss', 'bpp', 'mIoU', 'loss'][:number],
                             tmp_path / f'{number}.png')
        sizes.append(Image.open(path).size)
    assert sizes[1][0] == 2 * sizes[0][0] and sizes[2][1] == 2 * sizes[0][1]


@pytest.mark.parametrize('runs, quantities, message', [
    ({}, ['loss'], 'needs a training'),
    (dict(a=dict(loss={1: 1.})), [], 'needs a training'),
    (dict(a=dict(loss={1: 1.})), ['lost'], "logged 'lost'; there are loss"),
])
def test_what_cannot_be_drawn_is_said(runs, quantities, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        draw_training(runs, quantities, tmp_path / 'a.png')


def test_a_folder_without_a_log_is_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match='scalars.json'):
        read_scalars(tmp_path)
