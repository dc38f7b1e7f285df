"""Tools replace nothing that exists, unless they are told to."""
import runpy
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / 'tools'


@pytest.mark.parametrize('words', [
    ('analysis_tools/training_curves.py', 'run', '-o'),
    ('analysis_tools/task_images.py', 'a.py', 'a.pth', 'a.png', '-o'),
    ('analysis_tools/layer_images.py', 'a.py', 'a.pth', 'a.png', '-o'),
    ('model_converters/publish.py', 'a.pth', '-o'),
    ('model_converters/from_host.py', 'a.pth', '-o'),
    ('test.py', 'a.py', 'a.pth', '--out'),
    ('analysis_tools/refinement_images.py', 'a.py', 'mine.webp', '-o'),
    ('analysis_tools/base_images.py', 'a.py', 'mine.webp', '-o'),
])
def test_output_that_exists_is_kept(words, tmp_path, monkeypatch, capsys):
    tool, *arguments = words
    ending = '.safetensors' if 'converters' in tool else '.pkl'
    into_a_folder = 'mine.webp' in words
    out = tmp_path / ('mine.png' if into_a_folder else f'mine{ending}')
    out.write_text('mine')
    named = tmp_path if into_a_folder else out
    monkeypatch.setattr('sys.argv', [tool, *arguments, str(named)])
    monkeypatch.setattr('mmhmc.machine.tune_cpu', lambda: None)
    with pytest.raises(SystemExit) as end:
        runpy.run_path(str(TOOLS / tool), run_name='__main__')
    said = f'{end.value.code}{capsys.readouterr().err}'
    assert 'mine' in said and '--force' in said and 'exists' in said
    assert out.read_text() == 'mine'
