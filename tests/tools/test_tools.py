"""The tools as a user starts them."""
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip('mmdet')
ROOT = Path(__file__).parents[2]


def start(folder, *arguments):
    return subprocess.run([sys.executable, *arguments],
                          cwd=folder,
                          env={
                              **os.environ, 'PYTHONPATH': str(ROOT)
                          },
                          capture_output=True,
                          text=True,
                          timeout=120)


@pytest.mark.parametrize('tool', [
    'tools/train.py', 'tools/test.py',
    'tools/analysis_tools/compare_adaptation.py',
    'tools/analysis_tools/step_time.py'
])
def test_tool_explains_itself(tool, tmp_path):
    result = start(tmp_path, str(ROOT / tool), '--help')
    assert result.returncode == 0, result.stderr
    assert 'config' in result.stdout


def test_main_job_without_coco_says_what_is_missing_and_stops(tmp_path):
    result = start(tmp_path, str(ROOT / 'tools/train.py'),
                   str(ROOT / 'configs/hmc/mask-rcnn_dynadapt.py'))
    assert result.returncode != 0
    for word in ('instances_train2017.json', 'val2017', 'coco2017.py',
                 'mask-rcnn_dynadapt_sample.py'):
        assert word in result.stderr
    assert 'Traceback' not in result.stderr
    assert not (tmp_path / 'work_dirs').exists()
