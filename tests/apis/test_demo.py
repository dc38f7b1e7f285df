"""One image through a codec, on a page."""
import re

import pytest
import torch
from conftest import BENCH_CODEC, smooth_images, tiny_codec

from mmhmc import cli
from mmhmc.apis import demo as module
from mmhmc.apis.demo import built_in_image, run_demo
from mmhmc.bitstream import Bitstream
from mmhmc.datasets import write_image


@pytest.fixture(scope='module')
def home(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp('demo')
    torch.save(
        tiny_codec('MeanScaleHyperprior').state_dict(), folder / 'codec.pth')
    (folder / 'codec.py').write_text(f'codec = {BENCH_CODEC!r}')
    write_image(folder / 'a<b>.png', smooth_images(1, 40, 60)[0])
    return folder


def test_page_holds_all_images_and_the_files_lie_beside_it(home, tmp_path):
    demo = run_demo(home / 'a<b>.png', str(home / 'codec.py'),
                    str(home / 'codec.pth'), tmp_path, 'cpu')
    assert {path.name
            for path in tmp_path.iterdir()
            } == {'a<b>.png', 'a<b>.png.hmc', 'a<b>.png.html'}
    page = demo.page.read_text()
    titles = re.findall('<img alt="([^"]*)" src="data:image/png', page)
    assert titles == [
        'Original', 'Decoded, for people', 'Where the bits went', 'Error',
        'JPEG'
    ]
    assert 'a&lt;b&gt;.png' in page and '<b>.png' not in page
    assert 'src="http' not in page and 'href="http' not in page
    stream = Bitstream.from_bytes(demo.stream.read_bytes())
    assert demo.sizes.rows[1][:2] == ('a<b>.png.hmc', str(stream.num_bytes))
    assert demo.findings.rows == []


def test_page_of_a_host_shows_what_the_machine_sees(home, tmp_path):
    pytest.importorskip('mmpretrain')
    from test_inferencer import classifier, save, with_codec
    cfg = with_codec(classifier())
    path = save(cfg, tmp_path / 'host.pth')
    demo = run_demo(home / 'a<b>.png', cfg, path, tmp_path / 'out', 'cpu')
    page = demo.page.read_text()
    assert 'alt="Adapted, for the machine"' in page
    assert {row[0] for row in demo.findings.rows} == {'one', 'two', 'three'}


def test_jpeg_is_the_best_that_is_not_larger(home):
    image = (smooth_images(1, 40, 60)[0] * 255).byte().permute(1, 2, 0)
    small, length = module._jpeg_of_size(image.numpy(), 1000)
    assert length <= 1000 and small.shape == (40, 60, 3)
    assert module._jpeg_of_size(image.numpy(), 10**6)[1] > length
    least = module._jpeg_of_size(image.numpy(), 0)[1]
    assert 0 < least < length


@pytest.mark.parametrize('plain, rows', [
    (dict(scores=[.2, .4, .9], labels=[0, 1, 0]), [('cat', '0.900'),
                                                   ('dog', '0.400')]),
    (dict(pred_scores=[.25, .75]), [('dog', '0.750'), ('cat', '0.250')]),
    (dict(sem_seg=torch.tensor([[1, 1], [1, 2]]).numpy()), [
        ('dog', '75.0%'), ('class 2', '25.0%')
    ]),
    (dict(), []),
])
def test_findings_of_each_kind_come_surest_first(plain, rows):
    assert module._findings(plain, ['cat', 'dog']).rows == rows


def test_command_prints_sizes_and_the_page(home, tmp_path, capsys):
    status = cli.main([
        'demo',
        str(home / 'a<b>.png'), '--model',
        str(home / 'codec.py'), '--checkpoint',
        str(home / 'codec.pth'), '--device', 'cpu', '--out',
        str(tmp_path)
    ])
    printed = capsys.readouterr().out
    assert status == 0
    assert 'JPEG of about that size' in printed
    assert printed.endswith(f'Page: {tmp_path}/a<b>.png.html\n')


def test_what_can_be_mended_is_one_line(home, tmp_path, capsys):
    arguments = [
        'demo', '--model',
        str(home / 'codec.py'), '--out',
        str(tmp_path), '--device', 'cpu'
    ]
    assert cli.main([*arguments, str(home / 'codec.py')]) == 1
    assert 'codec.py is no image' in capsys.readouterr().err
    assert cli.main([*arguments, str(home / 'a<b>.png')]) == 1
    error = capsys.readouterr().err
    assert error.startswith('mmhmc demo: There is no checkpoint')
    assert error.count('\n') == 1 and len(error) < 300


def test_built_in_image_needs_scikit_image(monkeypatch):
    monkeypatch.setattr(module, 'find_spec', lambda name: None)
    with pytest.raises(FileNotFoundError, match='comes with scikit-image'):
        built_in_image()


def test_default_model_and_image_are_used_where_none_is_given(
        monkeypatch, capsys):
    given = []
    monkeypatch.setattr(module, 'run_demo',
                        lambda *args: given.append(args) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        cli.main(['demo'])
    assert given == [(None, module.DEFAULT_MODEL, None, 'mmhmc_demo', None)]
