"""A checkpoint is data, whoever reads it and however it is written."""
import ast
import hashlib
import io
import pickle
import tarfile
import threading
from collections import OrderedDict
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import find_spec
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from allpairspy import AllPairs
from conftest import MockTaskModel, make_runner, tiny_codec
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from torch import nn

from mmhmc import checkpoints
from mmhmc.checkpoints import (addresses, in_steps, read_checkpoint,
                               read_trusted_checkpoint, reading,
                               write_safetensors)

checkpoints.use_for_mmengine()
ROOT = Path(__file__).parents[2]


class Reduced:
    """Pickles as a call, and a state that is set on what it returns."""

    def __init__(self, *reduced):
        self.reduced = reduced

    def __reduce__(self):
        return self.reduced


READERS = ['torch', 'own']


@pytest.fixture(params=READERS, autouse=True)
def reader(request, monkeypatch):
    """Who unpickles: torch, or where it is old what stands in for it."""
    if request.param is None:
        return None
    if request.param == 'own':
        monkeypatch.delattr(torch.serialization, 'safe_globals', raising=False)
    elif not hasattr(torch.serialization, 'safe_globals'):
        pytest.skip('torch before 2.5 knows no `safe_globals`')
    return request.param


#: For what unpickles nothing.
without_reader = pytest.mark.parametrize(
    'reader', [None], indirect=True, ids=[''])


@pytest.fixture
def mark(tmp_path):
    """The file that the payload makes."""
    return tmp_path / 'executed'


@pytest.fixture
def payload(mark):
    """Makes a file when it is unpickled, and then becomes a dict."""
    code = f'dict(a=open({str(mark)!r}, "w").close())'
    return Reduced(eval, (code, ))


def hide(payload, place):
    """A runner's checkpoint with the payload somewhere."""
    checkpoint = dict(
        meta=dict(epoch=1, iter=2, seed=0, dataset_meta=dict()),
        state_dict=MockTaskModel().state_dict(),
        message_hub=dict(
            log_scalars=OrderedDict(lr=HistoryBuffer([1.], [1])),
            runtime_info=OrderedDict(),
            resumed_keys=OrderedDict()),
        optimizer=dict(state={}, param_groups=[]),
        param_schedulers=[])
    places = dict(
        meta=lambda: checkpoint['meta']['dataset_meta'].update(deep=[payload]),
        weights=lambda: checkpoint['state_dict'].update(bias=payload),
        optimizer=lambda: checkpoint['optimizer']['state'].update(a=payload),
        logs=lambda: checkpoint['message_hub']['log_scalars'].update(a=payload)
    )
    places[place]()
    return checkpoint


def save_pickle(content, path):
    path.write_bytes(pickle.dumps(content))


def save_pickle_2(content, path):
    path.write_bytes(pickle.dumps(content, protocol=2))


WRITERS = dict(
    zip=('.pth', torch.save),
    legacy=('.pth', partial(torch.save, _use_new_zipfile_serialization=False)),
    protocol_4=('.pth', partial(torch.save, pickle_protocol=4)),
    pickle=('.pkl', save_pickle),
    pickle_2=('.pkl', save_pickle_2))


def by_load_from(path, tmp_path):
    runner = make_runner(MockTaskModel(), tmp_path / 'run')
    runner.load_checkpoint(str(path))


def by_resume(path, tmp_path):
    runner = make_runner(MockTaskModel(), tmp_path / 'run')
    runner.resume(str(path))


def by_pretrained(path, tmp_path):
    init_cfg = dict(type='Pretrained', checkpoint=str(path))
    BaseModule(init_cfg).init_weights()


def by_pretrained_part(path, tmp_path):
    init_cfg = dict(
        type='Pretrained', checkpoint=str(path), prefix='backbone.')
    BaseModule(init_cfg).init_weights()


def by_mmengine(path, tmp_path):
    load_checkpoint(MockTaskModel(), str(path))


def by_us(path, tmp_path):
    read_checkpoint(path)


WAYS = [
    by_us, by_mmengine, by_load_from, by_resume, by_pretrained,
    by_pretrained_part
]
PLACES = ['meta', 'weights', 'optimizer', 'logs']


@pytest.mark.parametrize(
    'read, writer, place, reader',
    AllPairs([WAYS, [*WRITERS], PLACES, READERS]),
    indirect=['reader'])
def test_payload_is_refused_and_never_runs(read, place, writer, payload, mark,
                                           tmp_path):
    suffix, write = WRITERS[writer]
    path = tmp_path / f'bad{suffix}'
    write(hide(payload, place), path)
    with pytest.raises(ValueError, match=f'bad{suffix} is not read: it '):
        read(path, tmp_path)
    assert not mark.exists()


@without_reader
@pytest.mark.parametrize('writer', WRITERS)
def test_payload_would_run(writer, payload, mark, tmp_path):
    suffix, write = WRITERS[writer]
    write(hide(payload, 'meta'), tmp_path / f'bad{suffix}')
    if writer.startswith('pickle'):
        pickle.loads((tmp_path / f'bad{suffix}').read_bytes())
    else:
        read_trusted_checkpoint(tmp_path / f'bad{suffix}')
    assert mark.exists()


def test_refusal_names_the_code_and_the_remedy(payload, tmp_path):
    path = tmp_path / 'with space.pth'
    torch.save(dict(a=payload), path)
    with pytest.raises(ValueError) as info:
        read_checkpoint(path)
    message = str(info.value)
    assert 'asks for `eval`' in message
    assert f"publish.py --trust '{path}' OUT" in message
    assert 'weights_only' not in message
    # Not in a traceback either.
    assert info.value.__suppress_context__


@without_reader
def test_every_scheme_of_mmengine_is_read_by_us():
    loaders = set(CheckpointLoader._schemes.values())
    assert loaders == {checkpoints.load_from_mmhmc}


def test_resumed_run_has_its_logs_and_writes_what_mmengine_does(tmp_path):
    first = make_runner(MockTaskModel(), tmp_path, max_epochs=1)
    first.train()
    path = tmp_path / 'epoch_1.pth'
    second = make_runner(
        MockTaskModel(),
        tmp_path,
        max_epochs=2,
        resume=True,
        load_from=str(path))
    second.train()
    assert second.iter == 4
    old = first.message_hub.log_scalars
    new = second.message_hub.log_scalars
    assert 'train/loss' in old
    for name in old:
        length = len(old[name].data[0])
        assert (new[name].data[0][:length] == old[name].data[0]).all()
    content = read_trusted_checkpoint(tmp_path / 'epoch_2.pth')
    logs = content['message_hub']['log_scalars'].values()
    assert {type(log) for log in logs} == {HistoryBuffer}


ARRAYS = dict(
    float=np.array([1.5, -2.]),
    empty=np.array([]),
    scalar_array=np.array(3),
    fortran=np.asfortranarray(np.arange(6.).reshape(2, 3)),
    big_endian=np.arange(4, dtype='>i4'),
    bool=np.array([[True], [False]]),
    complex=np.array([1j], dtype='c8'),
    half=np.ones(2, 'f2'),
    unsigned=np.array([2**64 - 1], dtype='u8'))


@pytest.mark.parametrize(
    'name, legacy, reader',
    AllPairs([[*ARRAYS], [False, True], READERS]),
    indirect=['reader'])
def test_numbers_of_numpy_are_what_numpy_reads(name, legacy, tmp_path):
    array = ARRAYS[name]
    content = dict(
        array=array,
        nested=[(array, dict(a=array))],
        scalars=list(array.ravel()),
        dtype=array.dtype)
    path = tmp_path / 'a.pth'
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    read, expected = read_checkpoint(path), read_trusted_checkpoint(path)
    inner, = read['nested']
    for copy in (read['array'], inner[0], inner[1]['a']):
        assert type(copy) is np.ndarray and copy.flags.writeable
        assert copy.dtype == array.dtype
        np.testing.assert_array_equal(copy, array, strict=True)
    assert read['dtype'] == array.dtype
    assert read['scalars'] == expected['scalars']
    assert [type(s) for s in read['scalars']
            ] == [type(s) for s in expected['scalars']]


def replace_in_pickle(path, old, new):
    """Rewrite the names in a checkpoint."""
    with ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with ZipFile(path, 'w') as file:
        for name, content in members.items():
            if name.endswith('/data.pkl'):
                assert old in content
                content = content.replace(old, new)
            file.writestr(name, content)


def test_arrays_by_the_other_major_version_of_numpy_are_read(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(dict(a=np.arange(3.), b=np.float32(2)), path)
    names = [b'numpy._core.multiarray', b'numpy.core.multiarray']
    with ZipFile(path) as file:
        content = file.read('a/data.pkl')
    replace_in_pickle(path, *sorted(names, key=lambda n: n not in content))
    read = read_checkpoint(path)
    np.testing.assert_array_equal(read['a'], np.arange(3.), strict=True)
    assert read['b'] == np.float32(2)


def forged(field):
    """A dtype of numbers with a field, as no writer writes it.

    If the field is an object, numpy takes the numbers for addresses.
    """
    state = (3, '<', None, ('a', ), {'a': (np.dtype(field), 0)}, 8, 1, 0)
    return Reduced(np.dtype, ('f8', False, True), state)


def test_forged_dtype_gives_plain_numbers(tmp_path):
    # What makes stand-ins necessary: numpy believes it.
    assert pickle.loads(pickle.dumps(forged('O'))).names == ('a', )
    torch.save(dict(a=forged('f8')), tmp_path / 'a.pth')
    assert read_checkpoint(tmp_path / 'a.pth')['a'] == np.dtype('f8')


REFUSED = dict(
    forged_dtype=forged('O'),
    dtype_of_objects=np.dtype('O'),
    dtype_of_bytes=np.dtype('V8'),
    dtype_by_fields=Reduced(np.dtype, ([('a', 'O')], )),
    array_of_objects=np.array([object]),
    array_of_records=np.array([('a', 1)], dtype='U1,i8'),
    array_of_text=np.array(['text']),
    scalar_object=Reduced(np.float64(0).__reduce__()[0], (np.dtype('O'), [1])))


@pytest.mark.parametrize('name', REFUSED)
def test_other_things_of_numpy_are_refused(name, tmp_path):
    torch.save(dict(a=REFUSED[name]), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth is not read: it '):
        read_checkpoint(tmp_path / 'a.pth')


def test_array_shorter_than_its_shape_is_unreadable(tmp_path):
    rebuild, args, state = np.arange(3.).__reduce__()
    torch.save(
        dict(a=Reduced(rebuild, args, (state[0], (10**12, ), *state[2:]))),
        tmp_path / 'a.pth')
    with pytest.raises(
            ValueError, match='cannot be read .ValueError: cannot '
            'reshape'):
        read_checkpoint(tmp_path / 'a.pth')


def test_statistics_of_all_logs_stay_as_they_are(tmp_path):
    history = HistoryBuffer([1., 2., 3.], [1, 1, 1])
    path = tmp_path / 'a.pth'
    torch.save(dict(a=history), path)
    replace_in_pickle(path, b'current', b'maximum')
    before = dict(HistoryBuffer._statistics_methods)
    read = read_checkpoint(path)['a']
    assert HistoryBuffer._statistics_methods == before
    assert type(read) is HistoryBuffer
    assert read.statistics('mean', 2) == 2.5
    assert read.max_length == history.max_length


def test_getattr_reaches_nothing_but_logs(tmp_path):
    torch.save(
        dict(a=Reduced(getattr, (OrderedDict, '__init__'))),
        tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='it has a call of `getattr`'):
        read_checkpoint(tmp_path / 'a.pth')


def test_nothing_stays_admitted_after_reading(reader, tmp_path):
    if reader == 'own':
        pytest.skip('nothing is told to torch')
    before = set(torch.serialization.get_safe_globals())
    torch.save(dict(a=np.arange(3)), tmp_path / 'a.pth')
    read_checkpoint(tmp_path / 'a.pth')
    assert set(torch.serialization.get_safe_globals()) == before
    with pytest.raises(pickle.UnpicklingError):
        torch.load(tmp_path / 'a.pth', weights_only=True)


def test_list_that_holds_itself_is_read(tmp_path):
    content = [np.arange(3)]
    content.append(content)
    torch.save(dict(a=content), tmp_path / 'a.pth')
    read = read_checkpoint(tmp_path / 'a.pth')['a']
    assert read[1] is read and type(read[0]) is np.ndarray


def test_tuples_of_one_tuple_are_read_once_each(tmp_path):
    content = (np.arange(3), )
    for _ in range(60):
        content = (content, content)
    torch.save(dict(a=content), tmp_path / 'a.pth')
    read = read_checkpoint(tmp_path / 'a.pth')['a']
    while len(read) == 2:
        assert read[0] is read[1]
        read = read[0]
    assert type(read[0]) is np.ndarray


def test_nesting_without_end_is_unreadable(tmp_path):
    depth = 5000
    torch.save(dict(a='deep'), tmp_path / 'a.pth')
    # Empty lists, each put into the one before.
    replace_in_pickle(tmp_path / 'a.pth', b'X\x04\x00\x00\x00deep',
                      b']' * depth + b'a' * (depth - 1))
    with pytest.raises(ValueError, match='cannot be read .RecursionError'):
        read_checkpoint(tmp_path / 'a.pth')


#: Files of both kinds, one of which is read by a package of its own.
FILES = ['a.pth', *['a.safetensors'] * (find_spec('safetensors') is not None)]


def cut(path):
    path.write_bytes(path.read_bytes()[:-200])


SPOILT = dict(
    cut=cut,
    empty=lambda path: path.write_bytes(b''),
    page=lambda path: path.write_text('<html>not found</html>'),
    noise=lambda path: path.write_bytes(bytes(range(256)) * 8))


@pytest.mark.parametrize(
    'how, name, reader',
    AllPairs([[*SPOILT], FILES, READERS]),
    indirect=['reader'])
def test_damaged_file_is_unreadable(name, how, tmp_path):
    path = tmp_path / name
    torch.save(dict(a=torch.ones(100)), path)
    SPOILT[how](path)
    with pytest.raises(ValueError, match=f'{name} (cannot be|is not) read'):
        read_checkpoint(path)


def test_legacy_file_cut_short_is_unreadable(tmp_path):
    path = tmp_path / 'a.pth'
    torch.save(
        dict(a=torch.ones(100)), path, _use_new_zipfile_serialization=False)
    cut(path)
    with pytest.raises(ValueError, match='a.pth cannot be read'):
        read_checkpoint(path)


def test_archives_that_old_torch_would_run_are_refused(tmp_path):
    torch.jit.script(nn.Linear(1, 1)).save(tmp_path / 'script.pth')
    with tarfile.open(tmp_path / 'tar.pth', 'w') as file:
        file.add(tmp_path / 'script.pth', 'pickle')
    for name, kind in dict(script='TorchScript', tar='tar').items():
        with pytest.raises(ValueError, match=f'it is a {kind} archive'):
            read_checkpoint(tmp_path / f'{name}.pth')


@without_reader
@pytest.mark.parametrize('name', FILES)
def test_missing_file_is_not_found(name, tmp_path):
    with pytest.raises(FileNotFoundError, match=name):
        read_checkpoint(tmp_path / name)


def test_checkpoint_that_is_no_dict_is_refused(tmp_path):
    torch.save(torch.ones(1), tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='a.pth holds a Tensor; a checkpoint'):
        read_checkpoint(tmp_path / 'a.pth')


@without_reader
def test_safetensors_are_read_with_their_metadata_and_by_mmengine(tmp_path):
    torch_files = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'a.safetensors'
    model = MockTaskModel()
    torch_files.save_file(model.state_dict(), path, dict(epoch='3'))
    checkpoint = read_checkpoint(path)
    assert checkpoint['meta'] == dict(epoch='3')
    assert set(checkpoint['state_dict']) == set(model.state_dict())
    other = MockTaskModel()
    load_checkpoint(other, str(path), strict=True)
    assert other.head.weight.equal(model.head.weight)


@without_reader
def test_entropy_tables_come_back_from_less_than_they_are(tmp_path):
    pytest.importorskip('safetensors')
    state = tiny_codec('MeanScaleHyperprior').state_dict()
    tables = [state[key] for key in state if key.endswith('_quantized_cdf')]
    assert sum(table.numel() for table in tables) > 100_000
    path = tmp_path / 'a.safetensors'
    write_safetensors(state, path)
    assert path.stat().st_size < max(t.nbytes for t in tables) / 2
    again = read_checkpoint(path)['state_dict']
    assert again.keys() == state.keys()
    assert all(torch.equal(again[key], state[key]) for key in state)


@without_reader
@pytest.mark.parametrize('table, lengths', [
    (torch.zeros(0, dtype=torch.int), torch.zeros(0, dtype=torch.int)),
    (torch.tensor([[1, 2, 0]]), torch.tensor([2])),
    (torch.tensor([[1, 2, 3], [4, 5, 6]]), torch.tensor([3, 2])),
    (torch.tensor([[1, 2]]), torch.tensor([2, 2])),
    (torch.tensor([[0, 40000, 65536], [1 << 20, 0, 0]
                   ]).int(), torch.tensor([3, 1])),
    (torch.tensor([[0, 65535, 65536], [5, 9, 0]]).int(), torch.tensor([3, 2])),
    (torch.tensor([[0, 65536, 65537], [9, 5, 0]]).int(), torch.tensor([3, 2])),
])
def test_tables_of_any_kind_come_back_as_they_were(table, lengths, tmp_path):
    pytest.importorskip('safetensors')
    state = dict(_quantized_cdf=table, _cdf_length=lengths)
    write_safetensors(state, tmp_path / 'a.safetensors')
    again = read_checkpoint(tmp_path / 'a.safetensors')['state_dict']
    assert again['_quantized_cdf'].dtype == table.dtype
    assert torch.equal(again['_quantized_cdf'], table)


@without_reader
@pytest.mark.parametrize('lengths', [[3, 3], [6, -1], [[2, 3]]])
def test_rows_of_a_table_with_other_lengths_are_unreadable(lengths, tmp_path):
    torch_files = pytest.importorskip('safetensors.torch')
    torch_files.save_file(
        dict(
            _quantized_cdf=torch.arange(5), _cdf_length=torch.tensor(lengths)),
        tmp_path / 'a.safetensors')
    with pytest.raises(ValueError, match='cannot be read'):
        read_checkpoint(tmp_path / 'a.safetensors')


@without_reader
def test_weights_in_8_bits_come_back_as_numbers(tmp_path):
    pytest.importorskip('safetensors')
    weight = torch.tensor([[1., -127.], [0., 0.], [254., 2.]])
    steps, size = in_steps(weight)
    assert steps.dtype == torch.int8
    write_safetensors({
        'a': steps,
        'a@step': size,
        'b': steps
    }, tmp_path / 'a.safetensors')
    state = read_checkpoint(tmp_path / 'a.safetensors')['state_dict']
    assert list(state) == ['a', 'b']
    assert torch.equal(state['a'], weight)
    assert torch.equal(state['b'], steps)


@without_reader
@pytest.mark.parametrize('state', [
    {
        'a@step': torch.ones(1)
    },
    {
        'a@step': torch.ones(1),
        'a': torch.ones(1)
    },
    {
        'a@step': torch.ones(2),
        'a': torch.ones(1, dtype=torch.int8)
    },
])
def test_steps_that_belong_to_no_weight_are_unreadable(state, tmp_path):
    pytest.importorskip('safetensors')
    write_safetensors(state, tmp_path / 'a.safetensors')
    with pytest.raises(ValueError, match='a@step does not fit a'):
        read_checkpoint(tmp_path / 'a.safetensors')


@without_reader
def test_safetensors_go_to_a_device_only(tmp_path):
    torch_files = pytest.importorskip('safetensors.torch')
    path = tmp_path / 'a.safetensors'
    torch_files.save_file(dict(a=torch.ones(1)), path)
    a = read_checkpoint(path, torch.device('meta'))['state_dict']['a']
    assert a.device == torch.device('meta')
    with pytest.raises(TypeError, match='must be a device, got a function'):
        read_checkpoint(path, lambda storage, location: storage)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """Serves what is put into ``server.files``; keeps what was asked."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))

    class Handler(BaseHTTPRequestHandler):

        def do_GET(self):
            self.server.asked.append(self.path)
            content = self.server.files.get(self.path.partition('?')[0])
            self.send_response(200 if content else 404)
            self.end_headers()
            self.wfile.write(content or b'')

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.files, server.asked = {}, []
    server.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, args=(0.01, ))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def saved(content):
    file = io.BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_address_is_downloaded_once(server, tmp_path):
    server.files['/a.pth'] = saved(dict(a=torch.ones(1)))
    for _ in range(2):
        assert read_checkpoint(f'{server.url}/a.pth?x=1') == dict(
            a=torch.ones(1))
    assert len(server.asked) == 1
    kept, = tmp_path.rglob('*.pth')
    assert kept.name.endswith('-a.pth')


def test_addresses_that_end_alike_are_told_apart(server, tmp_path):
    for i, name in enumerate('abc'):
        server.files[f'/{name}/model.pth'] = saved(
            dict(a=torch.full((1, ), i)))
    server.files['/a/net-0123abcd.pth'] = saved(dict(a=torch.ones(1)))
    for _ in range(2):
        for i, name in enumerate('abc'):
            read = read_checkpoint(f'{server.url}/{name}/model.pth')
            assert read['a'] == i
    assert len(server.asked) == 3
    # A name by its content is one file, wherever it comes from.
    read_checkpoint(f'{server.url}/a/net-0123abcd.pth')
    assert 'net-0123abcd.pth' in [p.name for p in tmp_path.rglob('*.pth')]


def test_payload_from_an_address_never_runs(server, payload, mark):
    server.files['/a.pth'] = saved(dict(a=payload))
    for read in (read_checkpoint, partial(load_checkpoint, MockTaskModel())):
        with pytest.raises(ValueError, match='a.pth is not read: it asks'):
            read(f'{server.url}/a.pth')
    assert not mark.exists()


@without_reader
def test_missing_address_is_an_os_error(server):
    with pytest.raises(OSError, match='404'):
        read_checkpoint(f'{server.url}/a.pth')


def test_other_hash_is_refused_before_anything_is_kept(server, tmp_path):
    content = saved(dict(a=torch.ones(1)))
    server.files['/a.pth'] = content
    with pytest.raises(ValueError, match='invalid hash value'):
        read_checkpoint(f'{server.url}/a.pth', sha256='0' * 64)
    assert not [*tmp_path.rglob('*.pth*')]
    right = hashlib.sha256(content).hexdigest()
    read_checkpoint(f'{server.url}/a.pth', sha256=right.upper())


@without_reader
def test_other_hash_of_a_file_is_refused_before_reading(tmp_path):
    path = tmp_path / 'a.pth'
    path.write_bytes(b'no checkpoint')
    with pytest.raises(ValueError, match='has SHA-256 .*, expected 0000'):
        read_checkpoint(path, sha256='0' * 64)
    with pytest.raises(ValueError, match='64 hexadecimal digits'):
        read_checkpoint(path, sha256='abc')


def test_names_of_the_hosts_models_lead_to_addresses(server, monkeypatch):
    server.files['/a.pth'] = saved(
        dict(state_dict={
            'backbone.conv': torch.ones(1),
            'head.fc': torch.ones(1)
        }))
    models = dict(tiny=f'{server.url}/a.pth')
    for name in ('torchvision', 'external', 'mmcls'):
        monkeypatch.setattr(addresses, f'get_{name}_models', lambda: models)
    monkeypatch.setattr(addresses, 'get_deprecated_model_names',
                        lambda: dict(old='tiny'))
    whole = {'backbone.conv', 'head.fc'}
    for name, keys in {
            'torchvision://tiny': whole,
            'modelzoo://tiny': whole,
            'openmmlab://tiny': whole,
            'open-mmlab://old': whole,
            'mmcls://tiny': {'conv'}
    }.items():
        assert set(
            CheckpointLoader.load_checkpoint(name)['state_dict']) == keys, name
    with pytest.raises(ValueError, match="mmcls:// has no model 'big'"):
        read_checkpoint('mmcls://big')


def test_ceph_is_read_as_data(monkeypatch, payload, mark, tmp_path):
    torch.save(dict(a=payload), tmp_path / 'local')

    @contextmanager
    def get_local_path(name, backend_args):
        assert backend_args == dict(backend='petrel')
        yield tmp_path / 'local'

    monkeypatch.setattr(reading, 'get_local_path', get_local_path)
    for name in ('s3://b/a.pth', 'cluster:s3://b/a.pth', 'petrel://b/a.pth'):
        with pytest.raises(ValueError, match='is not read'):
            CheckpointLoader.load_checkpoint(name)
    assert not mark.exists()


@without_reader
def test_unknown_address_is_refused():
    with pytest.raises(ValueError, match='expected mmhmc, http, https'):
        CheckpointLoader.load_checkpoint('pavi://a')


def unpickling(tree):
    """Calls and imports that may run what a file says."""
    for node in ast.walk(tree):
        if isinstance(node,
                      ast.ImportFrom) and node.module in ('pickle', 'torch',
                                                          'dill', 'joblib'):
            yield from (f'{node.module}.{alias.name}' for alias in node.names
                        if alias.name in ('load', 'loads', 'Unpickler'))
        elif isinstance(node, ast.Attribute):
            name = ast.unparse(node)
            if name in ('torch.load', 'pickle.load', 'pickle.loads',
                        'pickle.Unpickler', 'dill.load', 'joblib.load',
                        'torch.hub.load_state_dict_from_url'):
                yield name
        elif isinstance(node, ast.keyword) and node.arg == 'allow_pickle' \
                and ast.unparse(node.value) != 'False':
            yield 'allow_pickle'


@without_reader
@pytest.mark.parametrize('code', [
    'torch.load(f)', 'from pickle import loads', 'np.load(f, allow_pickle=1)',
    'torch.hub.load_state_dict_from_url(u)', 'a = pickle.Unpickler'
])
def test_the_search_for_unpickling_finds_it(code):
    assert list(unpickling(ast.parse(code)))


@without_reader
def test_nothing_else_unpickles():
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ('mmhmc', 'tools', 'configs')
        for path in (ROOT / folder).rglob('*.py') if '.mim' not in path.parts
        and [*unpickling(ast.parse(path.read_text()))]
    }
    assert found == {
        'mmhmc/checkpoints/reading.py', 'mmhmc/checkpoints/old_torch.py'
    }
