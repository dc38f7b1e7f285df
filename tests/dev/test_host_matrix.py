"""The table of hosts, from rows; the hosts themselves take too long."""
import csv
import importlib
import json
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / 'dev/host_matrix.py'


@pytest.fixture(scope='module')
def tool():
    with pytest.MonkeyPatch.context() as patch:
        # As Python does for a script.
        patch.syspath_prepend(PATH.parent)
        yield importlib.import_module('host_matrix')


@pytest.fixture
def trials(tool):
    return importlib.import_module('host_trials')


def row(family, **known):
    return dict(host='mmdet', family=family, config=f'{family}/a.py', **known)


BOTH = dict(bare_train=True, bare_predict=True, train=True, predict=True)
ROWS = [
    row('works', **BOTH, gradient=True, reason=''),
    row('trains',
        bare_train=True,
        bare_predict=False,
        train=True,
        gradient=True,
        reason='bare prediction: no | data'),
    row('fails',
        **{
            **BOTH, 'train': False
        },
        gradient=False,
        reason='no gradient'),
    row('lacks', bare_train=False, bare_predict=False, reason='no module')
]


def test_counts_are_of_the_families_that_run_bare(tool):
    page = tool.page(ROWS, 'a.csv')
    for name in ('mmdet', 'all'):
        counts = f'| {name} | 4 | 3 | 2 (67 %) | 2 of 3 that train bare |'
        assert counts in page
    assert 'mmseg |' not in page
    assert 'Run bare, but not behind a codec: mmdet/fails.' in page
    assert '[`a.csv`](a.csv)' in page


def test_table_has_every_family_with_its_reason(tool, tmp_path):
    tool.write_csv(ROWS, tmp_path / 'a.csv')
    with open(tmp_path / 'a.csv', newline='') as file:
        rows = {row['family']: row for row in csv.DictReader(file)}
    assert rows['works']['train'] == rows['works']['gradient'] == 'yes'
    assert rows['trains']['reason'] == 'bare prediction: no | data'
    assert rows['trains']['bare_predict'] == 'no'
    assert rows['lacks']['train'] == ''
    assert rows['fails']['config'] == 'a'


def test_rows_of_an_earlier_run_are_read(tool, tmp_path):
    path = tmp_path / 'rows.jsonl'
    assert tool.read_rows(path) == {}
    path.write_text('\n'.join(map(json.dumps, ROWS)))
    assert list(tool.read_rows(path)) == [
        'mmdet/works', 'mmdet/trains', 'mmdet/fails', 'mmdet/lacks'
    ]


def test_small_models_come_first(trials):
    names = ['a_r101', 'yolox_nano', 'pidnet-l_2x', 'a_r50', 'pidnet-s_2x']
    assert sorted(
        names, key=trials._rank) == [
            'yolox_nano', 'pidnet-s_2x', 'a_r50', 'a_r101', 'pidnet-l_2x'
        ]


@pytest.mark.parametrize('does, reason', [('crash', 'process ended with -9'),
                                          ('hang', 'no answer in 0 s'),
                                          ('answer', '')])
def test_family_that_crashes_or_hangs_is_a_row(tool, monkeypatch, does,
                                               reason):

    def try_family(host, family, tell):
        tell(config='b/c.py', bare_train=True)
        if does == 'crash':
            tool.os.kill(tool.os.getpid(), 9)
        while does == 'hang':
            tool.time.sleep(1)
        tell(reason='')

    monkeypatch.setattr(tool, 'try_family', try_family)
    limit = 0.3 if does == 'hang' else 60
    result, = tool._in_processes([('mmdet', 'b')], 1, limit)
    assert result == dict(
        host='mmdet',
        family='b',
        config='b/c.py',
        bare_train=True,
        reason=reason)


def test_broken_config_is_left_out_and_told(trials, tmp_path, monkeypatch,
                                            capsys):
    folder = tmp_path / 'net'
    folder.mkdir()
    (folder / 'a.py').write_text('model = 1 / 0')
    (folder / 'bb.py').write_text('model = dict(type="Net")')
    monkeypatch.setattr(trials, 'configs_of', lambda host: tmp_path)
    assert trials._smallest('mmdet', 'net')[1] == 'net/bb.py'
    told = capsys.readouterr().err
    assert 'a.py is left out: ' in told and 'bb.py' not in told
