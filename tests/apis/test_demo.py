"""Images through codecs and a host, on a page."""
import pytest
import torch
from conftest import BENCH_CODEC, smooth_images, tiny_codec

from mmhmc import cli
from mmhmc.apis import demo as module
from mmhmc.apis.demo import (built_in_photographs, compare_objects,
                             find_objects, run_demo)
from mmhmc.bitstream import Bitstream
from mmhmc.datasets import read_image, write_image
from mmhmc.visualization import FoundObject


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('demo')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), folder / 'codec.pth')
    (folder / 'codec.py').write_text(f'codec = {BENCH_CODEC!r}')
    (folder / 'photos/sub').mkdir(parents=True)
    write_image(folder / 'photos/a<b>.png', smooth_images(1, 40, 60)[0])
    write_image(folder / 'photos/sub/c.png', smooth_images(1, 33, 47)[0])
    return folder


@pytest.fixture
def no_ffmpeg(monkeypatch):
    """As where no HEVC encoder is installed; it also saves time."""

    def refuse(*args):
        raise RuntimeError('`pip install imageio-ffmpeg` brings an encoder.')

    monkeypatch.setattr(module, 'hevc_within', refuse)


def codec_of(home):
    return str(home / 'codec.py'), str(home / 'codec.pth')


def test_folder_becomes_a_gallery_with_the_files_beside_it(
        home, tmp_path, no_ffmpeg):
    demo = run_demo(home / 'photos', *codec_of(home), tmp_path, 'cpu', False)
    files = {
        path.relative_to(tmp_path).as_posix()
        for path in tmp_path.rglob('*.*')
    }
    assert files == {
        'a<b>.png', 'a<b>.png.hmc', 'sub/c.png', 'sub/c.png.hmc', 'index.html'
    }
    assert [image.title for image in demo.images] == ['a<b>.png', 'sub/c.png']
    page = demo.page.read_text()
    assert 'a&lt;b&gt;.png' in page and '<b>.png' not in page
    assert 'src="http' not in page and 'href="http' not in page


def test_numbers_are_those_of_the_files(home, tmp_path, no_ffmpeg):
    demo = run_demo(home / 'photos/a<b>.png', *codec_of(home), tmp_path, 'cpu',
                    False)
    original, decoded, jpeg = demo.images[0].figures
    stream = Bitstream.from_bytes(demo.streams[0].read_bytes())
    assert decoded.num_bytes == stream.num_bytes
    assert decoded.bpp == 8 * stream.num_bytes / (40 * 60)
    assert dict(demo.images[0].parts)['latent y'] == len(stream.streams['y'])
    assert sum(size for _, size in demo.images[0].parts) == stream.num_bytes
    assert original.num_bytes == (home / 'photos/a<b>.png').stat().st_size
    error = read_image(tmp_path / 'a<b>.png') - read_image(
        home / 'photos/a<b>.png')
    psnr = -10 * error.double().square().mean().log10()
    assert decoded.psnr == pytest.approx(float(psnr), abs=1e-4)
    assert jpeg.title == 'JPEG' and original.psnr is None


def test_a_search_and_what_it_changed_are_on_the_page(home, tmp_path,
                                                      no_ffmpeg):
    search = dict(steps=3, lmbda=1e-4)
    demo = run_demo(
        home / 'photos',
        *codec_of(home),
        tmp_path,
        'cpu',
        False,
        refinement=search)
    for image, stream in zip(demo.images, demo.streams):
        titles = [figure.title for figure in image.maps]
        assert titles == [
            'bits, before', 'bits, after', 'decoded, before',
            'enlarged, before', 'enlarged, after'
        ]
        assert image.figures[1].num_bytes == Bitstream.from_bytes(
            stream.read_bytes()).num_bytes
    config, weights = codec_of(home)
    assert cli.main([
        'demo', '--refine', '0', '--model', config, '--checkpoint', weights,
        '-o',
        str(tmp_path / 'none'),
        str(home / 'photos')
    ])
    assert not (tmp_path / 'none').exists()


def test_missing_encoder_is_said_on_the_page(home, tmp_path, no_ffmpeg):
    demo = run_demo(home / 'photos', *codec_of(home), tmp_path, 'cpu', False)
    note = 'HEVC is not shown: `pip install imageio-ffmpeg` brings an encoder.'
    assert demo.page.read_text().count(note) == 1


def test_host_analyzes_every_version(home, tmp_path, no_ffmpeg):
    pytest.importorskip('mmpretrain')
    from test_inferencer import classifier, save, with_codec
    cfg = with_codec(classifier())
    path = save(cfg, tmp_path / 'host.pth')
    demo = run_demo(home / 'photos/sub', cfg, path, tmp_path / 'out', 'cpu',
                    False)
    figures = demo.images[0].figures
    assert [one.title for one in figures
            ] == ['Original', 'mmhmc', 'mmhmc, adapted', 'JPEG']
    for figure in figures:
        assert {one.name for one in figure.found} == {'one', 'two', 'three'}
        assert figure.missing == [] or figure.psnr is None
    assert figures[1].num_bytes == figures[2].num_bytes


@pytest.mark.parametrize('plain, found', [
    (dict(
        scores=[.4, .6, .9],
        labels=[0, 1, 0],
        bboxes=[[0, 0, 1, 1], [5, 10, 10, 20], [0, 0, 5, 5]
                ]), [('cat', .9, (0, 0, .25, .125)),
                     ('dog', .6, (.25, .25, .5, .5)),
                     ('cat', .4, (0, 0, .05, .025))]),
    (dict(pred_scores=[.25, .75]), [('dog', .75, ()), ('cat', .25, ())]),
    (dict(sem_seg=torch.tensor([[1, 1], [1, 2]]).numpy()), [('dog', .75, ()),
                                                            ('class 2', .25,
                                                             ())]),
    (dict(), []),
])
def test_findings_of_each_kind_come_surest_first(plain, found):
    objects = find_objects(plain, ['cat', 'dog'], (40, 20))
    assert [(one.name, one.score, one.box) for one in objects] == found


def test_unsure_objects_are_left_out():
    plain = dict(scores=[.39], labels=[0], bboxes=[[0, 0, 1, 1]])
    assert find_objects(plain, None, (40, 20)) == []


def test_objects_are_one_if_class_and_place_agree():
    cat, dog = (
        FoundObject(name, .9, (0., 0., .5, .5)) for name in ('cat', 'dog'))
    near = FoundObject('cat', .8, (0., 0., .5, .4))
    far = FoundObject('cat', .7, (.5, .5, 1., 1.))
    found, missing = compare_objects([near, far], [cat, dog])
    assert [one.is_known for one in found] == [True, False]
    assert missing == ['dog']
    # One cat of the original is found once.
    found, missing = compare_objects([cat, near], [cat])
    assert [one.is_known for one in found] == [True, False] and not missing


def test_command_prints_sizes_and_the_page(home, tmp_path, capsys, no_ffmpeg):
    config, checkpoint = codec_of(home)
    status = cli.main([
        'demo',
        str(home / 'photos/a<b>.png'),
        str(home / 'photos/sub'), '--model', config, '--checkpoint',
        checkpoint, '--device', 'cpu', '--output',
        str(tmp_path)
    ])
    printed = capsys.readouterr().out
    assert status == 0
    assert printed.count('| JPEG ') == 2
    assert printed.endswith(f'Page: {tmp_path}/index.html\n')


def test_what_can_be_mended_is_one_line(home, tmp_path, capsys):
    config, _ = codec_of(home)
    arguments = [
        'demo', '--model', config, '--output',
        str(tmp_path), '--device', 'cpu'
    ]
    assert cli.main([*arguments, str(home / 'photos/a<b>.png')]) == 1
    error = capsys.readouterr().err
    assert error.startswith('mmhmc demo: There are no weights')
    assert error.count('\n') == 1 and len(error) < 300


def test_page_and_files_that_exist_are_kept(home, tmp_path, no_ffmpeg):
    # The folder of the photographs: the decoded image would replace one.
    photo = tmp_path / 'a.png'
    content = (home / 'photos/a<b>.png').read_bytes()
    photo.write_bytes(content)
    arguments = photo, *codec_of(home), tmp_path, 'cpu', False
    with pytest.raises(FileExistsError, match='a.png exists'):
        run_demo(*arguments)
    assert photo.read_bytes() == content
    (tmp_path / 'index.html').write_text('mine')
    with pytest.raises(FileExistsError, match='index.html exists'):
        run_demo(*arguments)
    assert (tmp_path / 'index.html').read_text() == 'mine'
    assert run_demo(*arguments, force=True).page.stat().st_size > 1000


def test_too_many_images_for_a_page_are_refused(home, tmp_path, monkeypatch):
    monkeypatch.setattr(module, '_MAX_IMAGES', 1)
    with pytest.raises(ValueError, match='2 images are too many for one page'):
        run_demo(home / 'photos', *codec_of(home), tmp_path, 'cpu', False)
    assert not list(tmp_path.iterdir())


def test_built_in_photographs_are_in_colour():
    for path in built_in_photographs():
        x = read_image(path)
        assert x.shape[1] * x.shape[2] > 100_000
        assert (x[0] - x[2]).abs().mean() > .02


def test_default_model_and_images_are_used_where_none_is_given(
        monkeypatch, capsys):
    given = []
    monkeypatch.setattr(module, 'run_demo',
                        lambda *args, **more: given.append(args) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(['demo'])
    assert given == [(None, module.DEFAULT_MODEL, None, 'mmhmc_demo', None)]
