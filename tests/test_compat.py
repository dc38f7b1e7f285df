"""What is adapted to the lineages, each of them played by fakes."""
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from mmengine.config import utils

from mmhmc import compat


class Distribution:
    """Metadata of mmhmc, in a folder that may hold the package, too."""

    def __init__(self, folder):
        self.folder = folder

    def locate_file(self, name):
        return self.folder / name


@pytest.fixture
def table(monkeypatch):
    """mmengine's table as it comes."""
    table = dict(mmdet='mmdet', mmseg='mmsegmentation')
    monkeypatch.setattr(utils, 'MODULE2PACKAGE', table)
    return table


def install(monkeypatch, **distributions):

    def find(name):
        if name not in distributions:
            raise compat.PackageNotFoundError(name)
        return distributions[name]

    monkeypatch.setattr(compat, 'distribution', find)


@pytest.mark.parametrize('editable', [False, True])
def test_bases_resolve_for_either_kind_of_install(table, tmp_path, monkeypatch,
                                                  editable):
    if not editable:
        (tmp_path / 'mmhmc').mkdir()
    install(monkeypatch, mmhmc=Distribution(tmp_path))
    compat.let_mmengine_resolve_configs()
    # A module, not a distribution, is looked up as Python does it.
    assert table['mmhmc'] == ('mmhmc.version' if editable else 'mmhmc')


def test_bases_resolve_without_an_install(table, monkeypatch):
    install(monkeypatch)
    compat.let_mmengine_resolve_configs()
    assert table['mmhmc'] == 'mmhmc'


@pytest.mark.parametrize('order', [('mmhmc', 'mmengine.config'),
                                   ('mmengine.config', 'mmhmc')])
def test_bases_resolve_whichever_is_imported_first(order):
    code = (f'import sys, {order[0]}\n'
            'assert "mmengine" not in sys.modules or sys.argv[1] == "1"\n'
            f'import {order[1]}\n'
            'from mmengine.config.utils import MODULE2PACKAGE\n'
            'assert "mmhmc" in MODULE2PACKAGE')
    subprocess.run([
        sys.executable, '-W', 'ignore', '-c', code,
        str(order.index('mmhmc'))
    ],
                   check=True,
                   cwd=Path(__file__).parents[1])


@pytest.mark.parametrize('name', ['mmsegmentation', 'onedl-mmsegmentation'])
def test_mmseg_is_known_by_a_name_that_is_there(table, monkeypatch, name):
    install(monkeypatch, **{name: None})
    compat.let_mmengine_resolve_configs()
    assert table['mmseg'] == (name if name == 'mmsegmentation' else 'mmseg')


@pytest.mark.parametrize('here', ['_{}{}', '{}s.{}'])
@pytest.mark.parametrize('there', ['_{}{}', '{}s.{}', '_{}s.{}'])
def test_bottleneck_gets_the_names_that_it_has_here(here, there):
    plural = dict(matrixs='matrices', biass='biases', factors='factors')

    def spell(pattern, kind, number):
        name = pattern.format(kind, number)
        for wrong, right in plural.items():
            name = name.replace(wrong, right)
        return name

    kinds = [(kind, n) for kind in ('matrix', 'bias', 'factor')
             for n in range(2)]
    names = [spell(here, *kind) for kind in kinds] + ['quantiles']
    state = {f'p.{spell(there, *kind)}': kind for kind in kinds}
    state.update({'p.quantiles': 1, 'p._offset': 2, 'g._bias0': 3})
    compat.respell_bottleneck(state, 'p.', names)
    expected = {f'p.{spell(here, *kind)}': kind for kind in kinds}
    expected.update({'p.quantiles': 1, 'p._offset': 2, 'g._bias0': 3})
    assert state == expected


class Batches:
    """Counts what was loaded."""

    def __init__(self):
        self.loaded = 0

    def __iter__(self):
        return self

    def __next__(self):
        self.loaded += 1
        return self.loaded


def test_replayed_batches_are_loaded_before_the_call():
    batches, seen = Batches(), []
    loop = SimpleNamespace(dataloader_iterator=batches)
    compat.call_after_replay(loop, 2, lambda: seen.append(batches.loaded))
    assert seen == []
    assert [next(loop.dataloader_iterator) for _ in range(4)] == [1, 2, 3, 4]
    assert seen == [2]


def test_call_is_made_at_once_where_nothing_is_replayed():
    loops = [SimpleNamespace(), SimpleNamespace(dataloader_iterator=Batches())]
    loops[1].dataloader_iterator.skip_iter = None
    for loop in loops:
        before, seen = vars(loop).copy(), []
        compat.call_after_replay(loop, 2, lambda: seen.append(1))
        assert seen == [1] and vars(loop) == before
