"""tools/dataset_converters/make_sample.py"""
import importlib.util
from pathlib import Path

import pytest

from mmhmc.datasets import digest_sample_instances

pytest.importorskip('skimage')
TOOL = Path(__file__).parents[2] / 'tools/dataset_converters/make_sample.py'


def test_tool_makes_the_set_and_tells_its_digest(tmp_path, monkeypatch,
                                                 capsys):
    spec = importlib.util.spec_from_file_location('make_sample', TOOL)
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    out = tmp_path / 'new/sample'
    monkeypatch.setattr(
        'sys.argv',
        f'make_sample.py --out {out} --num-train 2 --num-val 1'.split())
    for _ in range(2):  # the second time the set is there already
        tool.main()
        printed = capsys.readouterr().out
        assert '2 train and 1 val' in printed
        assert digest_sample_instances(out) in printed
