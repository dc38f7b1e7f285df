"""Tests of several models as one table."""
from pathlib import Path

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec

from mmhmc.apis import tested_models
from mmhmc.apis.tested_models import tabulate_tests
from mmhmc.datasets import write_image

CONFIG = str(
    Path(__file__).parents[2] /
    'configs/mean_scale_hyperprior/mean-scale-hyperprior_pictures.py')
NAME = 'MeanScaleHyperprior'


def write_weights(path, seed=1):
    """Those of a small codec behind a `CodecModel`."""
    torch.manual_seed(seed)
    state = tiny_codec(NAME).state_dict()
    torch.save(
        dict(state_dict={
            f'codec.{k}': v
            for k, v in state.items()
        }), path)


@pytest.fixture
def table(tmp_path):
    """Writes a config of two rows, one of which tests another image."""
    options = {
        f'model.codec.{name}': value
        for name, value in CODECS[NAME].items()
    }
    tests = {}
    for row in ('one', 'two'):
        (tmp_path / row).mkdir()
        write_image(tmp_path / row / 'image.png', smooth_images(1, 64, 96)[0])
        write_weights(tmp_path / f'{row}.pth')
        tests[row] = dict(
            config=CONFIG,
            checkpoint=str(tmp_path / f'{row}.pth'),
            cfg_options={
                **options, 'test_dataloader.dataset.data_root':
                str(tmp_path / row)
            })

    def write(**changes):
        content = dict(
            metrics={
                'rate/bpp': 'bpp',
                'quality/psnr': 'PSNR'
            }, tests=tests)
        path = tmp_path / 'rows.py'
        path.write_text('\n'.join(f'{key} = {value!r}' for key, value in {
            **content,
            **changes
        }.items()))
        return path

    return write


def test_rows_are_what_the_tests_find_and_are_not_made_twice(
        table, tmp_path, monkeypatch):
    path = table()
    made = []
    run = tested_models.run_test
    monkeypatch.setattr(
        tested_models, 'run_test',
        lambda cfg, weights: made.append(weights) or run(cfg, weights))
    first = tabulate_tests(path, tmp_path / 'out')
    assert first.header == ('', 'bpp', 'PSNR')
    assert [row[0] for row in first.rows] == ['one', 'two']
    assert all(float(cell) > 0 for row in first.rows for cell in row[1:])
    assert tabulate_tests(path, tmp_path / 'out') == first and len(made) == 2
    # Other weights are another test.
    write_weights(tmp_path / 'two.pth', seed=2)
    tabulate_tests(path, tmp_path / 'out')
    assert [Path(name).stem for name in made] == ['one', 'two', 'two']
    # So is another image under the same name.
    write_image(tmp_path / 'one/image.png', smooth_images(1, 64, 96)[0])
    tabulate_tests(path, tmp_path / 'out')
    assert [Path(name).stem for name in made[3:]] == ['one']
    # What a crash has left of the results is no result.
    store, = (tmp_path / 'out').rglob('rows.json')
    store.write_text(store.read_text()[:20])
    tabulate_tests(path, tmp_path / 'out')
    assert len(made) == 6


def test_a_metric_of_one_row_leaves_a_gap_in_the_others(
        table, tmp_path, monkeypatch):
    monkeypatch.setattr(
        tested_models, 'run_test', lambda cfg, weights: {'rate/bpp': 0.5}
        if weights.endswith('one.pth') else {'mIoU': 50.})
    path = table(metrics={'rate/bpp': 'bpp', 'mIoU': 'mIoU'})
    assert list(tabulate_tests(path, tmp_path / 'out').rows) == [
        ('one', '0.5000', '–'), ('two', '–', '50.0000')
    ]


@pytest.mark.parametrize('changes, message', [
    (dict(tests={}), 'needs `tests`'),
    (dict(metrics={}), 'needs `tests`'),
    (dict(tests=dict(one=dict(config=CONFIG))), "Test 'one' of"),
    (dict(tests=dict(one=3)), "Test 'one' of"),
])
def test_a_config_of_no_table_is_refused(table, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        tabulate_tests(table(**changes), tmp_path / 'out')


def test_a_metric_that_no_test_has_is_refused(table, tmp_path, monkeypatch):
    monkeypatch.setattr(tested_models, 'run_test',
                        lambda *_: {'rate/bpp': 0.5})
    path = table(metrics={'beauty': 'beauty'})
    with pytest.raises(ValueError, match='beauty.*there are rate/bpp'):
        tabulate_tests(path, tmp_path / 'out')
