"""Tasks of MPA that were trained apart, in one checkpoint."""
import pytest
import torch
from conftest import CODECS, smooth_images

from mmhmc.checkpoints import read_checkpoint
from mmhmc.cli import build_parser
from mmhmc.codecs import MPA
from mmhmc.structures import CodingCondition


def merge(*arguments):
    """Run the subcommand; errors are not turned into lines."""
    args = build_parser().parse_args(['export', 'merge', *map(str, arguments)])
    return args.run(args)


def codec(*tasks, **kinds):
    return MPA(kinds or tasks, **CODECS['MPA']).eval()


@pytest.fixture
def files(tmp_path):
    """A base, and two tasks that were trained from it, one in a host."""
    base = codec()
    base.update_entropy_tables()
    torch.save(base.state_dict(), tmp_path / 'base.pth')
    for task in ('mse', 'cls'):
        trained = codec(task)
        trained.load_state_dict(base.state_dict())
        prefix = 'backbone.codec.' if task == 'cls' else ''
        state = {prefix + k: v for k, v in trained.state_dict().items()}
        if task == 'cls':
            state['backbone.conv.weight'] = torch.ones(1)
        torch.save(dict(state_dict=state), tmp_path / f'{task}.pth')
    return tmp_path


@pytest.mark.parametrize('out', ['out.pth', 'out.safetensors'])
def test_merged_codec_decodes_each_task_as_the_one_trained(files, out):
    if out.endswith('.safetensors'):
        pytest.importorskip('safetensors')
    merge(files / 'base.pth', files / out, '--task',
          f'mse={files / "mse.pth"}', '--task', f'cls={files / "cls.pth"}')
    merged = codec('mse', 'cls')
    merged.load_state_dict(read_checkpoint(files / out)['state_dict'])
    stream, = merged.compress(smooth_images(1, 64, 64))
    for task in ('mse', 'cls'):
        trained = codec(task)
        state = torch.load(files / f'{task}.pth')['state_dict']
        trained.load_state_dict(
            {
                k.removeprefix('backbone.codec.'): v
                for k, v in state.items() if 'conv' not in k or 'codec' in k
            },
            strict=False)
        condition = CodingCondition(task=task)
        assert merged.decompress([stream], condition).equal(
            trained.decompress([stream], condition))


def test_path_can_be_another_tasks_that_goes_on(files):
    merge(files / 'base.pth', files / 'out.pth', '--task',
          f'seg/mse={files / "mse.pth"}')
    begun, trained = codec(seg='inverted'), codec('mse')
    begun.load_state_dict(read_checkpoint(files / 'out.pth')['state_dict'])
    trained.load_state_dict(read_checkpoint(files / 'mse.pth')['state_dict'])
    stream, = begun.compress(smooth_images(1, 64, 64))
    assert begun.decompress([stream], CodingCondition(task='seg')).equal(
        trained.decompress([stream], CodingCondition(task='mse')))


def test_second_merge_adds_to_the_first(files):
    merge(files / 'base.pth', files / 'one.pth', '--task',
          f'mse={files / "mse.pth"}')
    merge(files / 'one.pth', files / 'two.pth', '--task',
          f'cls={files / "cls.pth"}')
    state = read_checkpoint(files / 'two.pth')['state_dict']
    assert {
        k.split('.')[3]
        for k in state if '.sides.' in k and k.startswith('g_s')
    } == {'mse', 'cls'}


def test_task_of_another_base_is_refused(files):
    torch.save(codec('mse').state_dict(), files / 'other.pth')
    with pytest.raises(ValueError, match='was not trained from this base'):
        merge(files / 'base.pth', files / 'out.pth', '--task',
              f'mse={files / "other.pth"}')
    assert not (files / 'out.pth').exists()


def test_file_without_the_task_is_refused(files):
    with pytest.raises(ValueError, match="no path of the task 'seg'"):
        merge(files / 'base.pth', files / 'out.pth', '--task',
              f'seg={files / "mse.pth"}')


def test_file_without_an_mpa_is_refused(files):
    torch.save(dict(a=torch.ones(1)), files / 'other.pth')
    with pytest.raises(ValueError, match='must hold one MPA codec, but .* 0'):
        merge(files / 'other.pth', files / 'out.pth', '--task',
              f'mse={files / "mse.pth"}')


@pytest.mark.parametrize('arguments, message', [
    (['out.txt', '--task', 'mse=a.pth'], 'must end in .pth'),
    (['out.pth', '--task', 'mse'], 'must be NAME=FILE'),
    (['out.pth', '--task', 'mse=a', '--task', 'mse=b'], 'one task twice'),
])
def test_wrong_arguments_are_refused(capsys, arguments, message):
    with pytest.raises(SystemExit):
        merge('base.pth', *arguments)
    assert message in capsys.readouterr().err
