"""What the README shows works, and what it names is there."""
import re
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()


def test_config_of_the_readme_wraps_its_host(tmp_path):
    pytest.importorskip('mmdet')
    from mmdet.registry import MODELS

    from mmhmc.models import CodecBackbone
    block, = re.findall(r'```python\n(_base_.*?)```', README, re.DOTALL)
    (tmp_path / 'mine.py').write_text(block)
    cfg = Config.fromfile(tmp_path / 'mine.py')
    cfg.model.backbone.backbone.init_cfg = None
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    assert isinstance(model.backbone, CodecBackbone)
    assert type(model).__name__ == 'RetinaNet'


def test_files_that_the_readme_names_exist():
    names = set(
        re.findall(r'(?:configs|dev|tools)/[\w./-]+\.(?:py|sh)', README))
    names |= set(re.findall(r'`([\w-]+\.py)`', README))
    assert len(names) > 5
    folders = [ROOT, ROOT / 'tools', *(ROOT / 'configs').iterdir()]
    missing = sorted(
        name for name in names
        if not any((folder / name).exists() for folder in folders))
    assert missing == []


def test_tree_of_the_readme_is_the_tree():
    tree = README.split('```text\nmmhmc/\n')[1].split('```')[0]
    listed = set(re.findall(r'^  ([\w.]+)', tree, re.MULTILINE))
    there = {
        p.name
        for p in (ROOT / 'mmhmc').iterdir()
        if not p.name.startswith(('_', '.')) and p.name != 'version.py'
    }
    assert {name.rstrip('/') for name in listed} == there


def test_page_of_scripts_names_each():
    page = (ROOT / 'dev/README.md').read_text()
    named = set(re.findall(r'`([\w/]+\.py)`', page))
    there = {
        path.relative_to(ROOT / 'dev').as_posix()
        for path in (ROOT / 'dev').rglob('*.py')
    }
    assert named == there
