"""What a person mistypes and a crash leaves: a line, and no traceback."""
import json
import runpy
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parents[2]
CODEC = "dict(type='mmhmc.FactorizedPrior', hidden_channels=4, " \
    'latent_channels=4)'


@pytest.fixture
def folder(tmp_path):
    """Files that are not what they are taken for."""
    (tmp_path / 'ok.py').write_text(
        f'model = dict(type="mmhmc.CodecModel", codec={CODEC})\n'
        'items = [dict(a=1)]\n')
    torch.save(dict(state_dict={}), tmp_path / 'a.pth')
    (tmp_path / 'cut.pth').write_bytes((tmp_path / 'a.pth').read_bytes()[:200])
    (tmp_path / 'binary.py').write_bytes(bytes(range(256)))
    (tmp_path / 'wrong.py').write_text('model = dict(\n')
    (tmp_path / 'raises.py').write_text('model = 1 / 0\n')
    (tmp_path / 'bad.yaml').write_text('a: [1, 2\nb: }')
    (tmp_path / 'bad.json').write_text('{"a": ')
    (tmp_path / 'typed.py').write_text("quality = '50'\ncodec = dict("
                                       "type='mmhmc.JPEG', quality=quality)\n")
    (tmp_path / 'untyped.py').write_text(
        f'model = dict(type="mmhmc.CodecModel", codec={CODEC})\n'
        'model["codec"]["init_cfg"] = dict(checkpoint="a.pth")\n')
    (tmp_path / 'folder.py').mkdir()
    for split in ('train', 'val'):
        (tmp_path / f'instances_{split}.json').write_text(
            json.dumps(
                dict(categories=[dict(id=1)], images=[], annotations=[])))
    (tmp_path / 'image.png').write_bytes(b'none')
    return tmp_path


TRAIN, TEST = 'tools/train.py', 'tools/test.py'
BENCHMARK = 'tools/analysis_tools/benchmark_rate_accuracy.py'
ENCODE = ('encode', 'image.png', '-o', 'out', '--model')


@pytest.mark.parametrize('arguments, status, said', [
    ((TRAIN, 'a.pth'), 1, 'a.pth is no config'),
    ((TRAIN, 'ok.py', '--cfg-options', 'x'), 2, "KEY=VALUE, got 'x'"),
    ((TRAIN, 'ok.py', '--cfg-options', 'x=[1,2'), 2, 'not close'),
    ((TRAIN, 'ok.py', '--cfg-options', 'items.7.a=1'), 1, 'do not fit'),
    ((TRAIN, 'bad.yaml'), 1, 'bad.yaml cannot be read as a config'),
    ((TRAIN, 'bad.json'), 1, 'bad.json cannot be read as a config'),
    ((TRAIN, 'binary.py'), 1, 'binary.py cannot be read as a config'),
    ((TRAIN, 'wrong.py'), 1, 'wrong.py cannot be read as a config'),
    ((TRAIN, 'raises.py'), 1, 'ZeroDivisionError'),
    ((TRAIN, 'folder.py'), 1, 'is a folder'),
    ((TRAIN, ''), 1, 'There is no config'),
    ((TEST, 'ok.py', 'cut.pth'), 1, ''),
    ((BENCHMARK, 'a.pth'), 1, 'a.pth is no config'),
    ((BENCHMARK, 'bad.json'), 1, 'cannot be read as a config'),
    (('tools/dataset_converters/coco_crops.py', '.'), 1, 'supercategory'),
    (('tools/dataset_converters/coco_crops.py', 'folder.py'), 1, 'No such'),
    (('tools/model_converters/publish.py', 'cut.pth', 'b.safetensors'), 1,
     'cannot be read'),
    (('tools/model_converters/publish.py', 'folder.py', 'b.safetensors'), 1,
     'folder'),
    (('tools/model_converters/from_host.py', 'image.png', 'b.safetensors'), 1,
     'image.png'),
    (('tools/model_converters/merge_mpa.py', 'a.pth', 'b.pth', '--task',
      'x=a.pth'), 1, 'holds no weights'),
    (('tools/analysis_tools/training_curves.py', 'folder.py'), 2, 'usage'),
])
def test_tools_answer_mistakes_in_a_line(folder, capfd, monkeypatch, arguments,
                                         status, said):
    tool, *others = arguments
    monkeypatch.chdir(folder)
    monkeypatch.setattr('sys.argv', [tool, *others])
    monkeypatch.setattr('mmhmc.machine.tune_cpu', lambda: None)
    monkeypatch.setenv('LOCAL_RANK', '0')
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(ROOT / tool), run_name='__main__')
    # A text goes to stderr, with status 1.
    text = end.value.code if isinstance(end.value.code, str) else ''
    found = 1 if text else end.value.code
    assert found == status and said in text + capfd.readouterr().err
    assert len(text.splitlines()) < 2


@pytest.mark.parametrize('arguments, status, said', [
    ((*ENCODE, 'a.pth'), 1, 'a.pth is no config'),
    ((*ENCODE, 'typed.py'), 1, "must be a whole number from 0 to 100, got '"),
    ((*ENCODE, 'untyped.py'), 1, "like dict(type='Pretrained'"),
    ((*ENCODE, 'ok.py', '--checkpoint', 'cut.pth'), 1, 'cut.pth cannot be'),
    ((*ENCODE, 'ok.py', '--checkpoint', 'folder.py'), 1, 'folder.py'),
    ((*ENCODE, 'ok.py', '--cfg-options', 'x'), 2, "KEY=VALUE, got 'x'"),
    ((*ENCODE, 'ok.py', '--cfg-options', 'items.7.a=1'), 1, 'do not fit'),
    (('encode', '', '-o', 'out', '--codec', 'ok.py'), 2, 'expected a path'),
    (('encode', 'a.png', '-o', '', '--codec', 'ok.py'), 2, 'expected a path'),
    (('info', 'folder.py'), 1, 'folder.py'),
    (('info', 'image.png'), 1, 'no mmhmc bitstream'),
    (('demo', 'image.png', '--model', 'bad.yaml'), 1, ''),
])
def test_command_answers_mistakes_in_a_line(folder, capfd, monkeypatch,
                                            arguments, status, said):
    from mmhmc import cli
    monkeypatch.chdir(folder)
    try:
        found = cli.main(list(arguments))
    except SystemExit as end:
        found = end.code
    err = capfd.readouterr().err
    assert found == status and said in err and 'Traceback' not in err
