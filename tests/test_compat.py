"""What is adapted to the lineages, each of them played by fakes."""
import io
import pickle
from collections import Counter, OrderedDict
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


class StandIn:
    """What a file may make, and give a state."""

    def __setstate__(self, state):
        self.state = state


class Reader(compat._DataUnpickler):
    stand_ins = {'there.Class': StandIn}


def read(content):
    return Reader(io.BytesIO(content)).load()


SIZE = b'ctorch\nSize\n'
OBJECT = b'cthere\nClass\n)\x81'


def test_stand_in_is_made_and_gets_its_state():
    assert read(OBJECT + b'K\x05b.').state == 5


@pytest.mark.parametrize(
    'value', [
        Counter(a=2), {1, 2}, 1 + 2j,
        OrderedDict(b=b'\x00'), (None, True, 1.5, 1 << 70)
    ],
    ids=str)
def test_plain_values_are_read_as_they_are(value):
    read_back = read(pickle.dumps(value, 2))
    assert read_back == value and type(read_back) is type(value)


@pytest.mark.parametrize('content', [
    b'cos\nsystem\n.', b'c__builtin__\neval\n.', b'ctorch\nload\n.',
    b'ctorch\nnn.Module\n.', b'ctorch._tensor\n_rebuild_from_type_v2\n.'
])
def test_name_that_is_not_listed_is_refused(content):
    with pytest.raises(pickle.UnpicklingError, match='GLOBAL'):
        read(content)


@pytest.mark.parametrize('content', [
    pytest.param(SIZE + b'}X\x01\x00\x00\x00aK\x01sb.', id='state of a class'),
    pytest.param(
        SIZE + b'N}X\x01\x00\x00\x00aK\x01s\x86b.', id='slots of a class'),
    pytest.param(
        b'ctorch._utils\n_rebuild_tensor\n}b.', id='state of a function'),
    pytest.param(SIZE + b')\x81.', id='object of another class'),
    pytest.param(b'ctorch\nfloat32\n)R.', id='call of a type'),
    pytest.param(
        b'ctorch.storage\nUntypedStorage\nK\x05\x85R.',
        id='call of a storage'),
    pytest.param(OBJECT + b')R.', id='call of an object'),
    pytest.param(b'(X\x06\x00\x00\x00moduleN\x86tQ.', id='reference'),
    pytest.param(
        b'c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00hex\x86R.',
        id='encoding'),
    pytest.param(b'(ios\nsystem\n.', id='INST'),
    pytest.param(b'(' + SIZE + b'o.', id='OBJ'),
    pytest.param(b'P1\n.', id='PERSID'),
    pytest.param(b'\x82\x01.', id='EXT1'),
    pytest.param(b'\x80\x04\x8c\x02os\x8c\x06system\x93.', id='STACK_GLOBAL'),
    pytest.param(SIZE + b')}\x92.', id='NEWOBJ_EX'),
    pytest.param(b'S"a"\n.', id='STRING')
])
def test_instruction_that_data_do_not_need_is_refused(content):
    with pytest.raises(pickle.UnpicklingError):
        read(content)
