"""The unpickler for torch before 2.5 reads data and nothing else."""
import io
import pickle
from collections import Counter, OrderedDict

import pytest

from mmhmc.checkpoints import old_torch


class StandIn:
    """What a file may make, and give a state."""

    def __setstate__(self, state):
        self.state = state


class Reader(old_torch.DataUnpickler):
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
