"""Every config parses, wires its parts and survives being dumped."""
import ast
import re
from pathlib import Path

import pytest
from mmengine.config import Config

import mmhmc  # noqa: F401  lets mmengine resolve host configs

pytest.importorskip('mmdet')
ROOT = Path(__file__).parents[1] / 'configs'
#: Folders of leaves are named after methods, as their README.md says.
LEAVES = sorted(
    leaf for readme in ROOT.glob('*/README.md')
    for leaf in readme.parent.glob('*.py'))
AXES = sorted(ROOT.glob('_base_/**/*.py'))


def bases_of(path: Path) -> list[Path]:
    for node in ast.parse(path.read_text()).body:
        if ast.unparse(node).startswith('_base_ = '):
            names = ast.literal_eval(node.value)
            return [(path.parent / n).resolve() for n in names
                    if '::' not in n]
    return []


def read(leaf: Path) -> Config:
    for host in re.findall(r"'(\w+)::", leaf.read_text()):
        pytest.importorskip(host)
    return Config.fromfile(leaf)


def survives_a_dump(leaf, cfg, tmp_path):
    # In a list it deletes nothing and reaches a constructor.
    assert '_delete_' not in cfg.pretty_text
    cfg.dump(tmp_path / 'dumped.py')
    assert Config.fromfile(tmp_path / 'dumped.py').to_dict() == cfg.to_dict()


def has_rate_loss_first_and_keeps_the_hosts_scope(leaf, cfg, tmp_path):
    backbone = cfg.model.get('backbone', {})
    if backbone.get('type') == 'mmhmc.CodecBackbone':
        metric = dict(
            mmdet='CocoMetric', mmseg='IoUMetric', mmpretrain='Accuracy')
        assert cfg.custom_hooks[0].type == 'mmhmc.RateLossHook'
        metrics = [m.type for m in cfg.test_evaluator]
        assert metrics[:2] == [
            metric[cfg.default_scope], 'mmhmc.BitrateMetric'
        ]
    elif cfg.model.type in ('mmhmc.CodecModel', 'mmhmc.GenerativeCodecModel',
                            'mmhmc.LayeredCodecModel'):
        assert cfg.custom_hooks[0].type == 'mmhmc.RateLossHook'
    elif backbone.get('type') == 'mmhmc.LatentBackbone':
        assert cfg.default_scope in ('mmdet', 'mmseg', 'mmpretrain')
        assert cfg.custom_hooks[0].type == 'mmhmc.RateLossHook'
        neck = cfg.model.get('neck') or cfg.model.trunk
        assert neck.type == 'mmhmc.CompressedDomainNeck'
        assert cfg.test_evaluator[-1].type == 'mmhmc.BitrateMetric'
    else:
        assert cfg.model.type not in ('mmhmc.CodecModel',
                                      'mmhmc.GenerativeCodecModel')


def has_what_inference_of_its_host_reads(leaf, cfg, tmp_path):
    if cfg.model.type == 'EncoderDecoder':
        # mmseg.apis.inference_model asks for it.
        assert cfg.test_pipeline[0].type == 'LoadImageFromFile'


def has_stages_that_exist_and_places_for_their_results(leaf, cfg, tmp_path):
    for stage in cfg.get('stages', []):
        assert (leaf.parent / stage.config).exists()
        value = cfg
        for name in stage.result.split('.'):
            assert name in value, stage.result
            value = value[name]


@pytest.mark.parametrize('leaf', LEAVES, ids=lambda p: p.stem)
def test_leaf_is_wired_as_its_kind_asks(leaf, tmp_path, subtests):
    # Reading takes longer than looking: it is read once.
    cfg = read(leaf)
    for check in (survives_a_dump,
                  has_rate_loss_first_and_keeps_the_hosts_scope,
                  has_what_inference_of_its_host_reads,
                  has_stages_that_exist_and_places_for_their_results):
        with subtests.test(check.__name__):
            check(leaf, cfg, tmp_path)


@pytest.mark.parametrize(
    'axis', [p for p in AXES if p.parent.name == 'codecs'],
    ids=lambda p: p.stem)
def test_codec_axis_builds_with_the_papers_sizes(axis):
    from mmhmc.codecs import ImageCodec, build_codec
    cfg = Config.fromfile(axis)
    assert list(cfg) == ['codec']
    assert isinstance(build_codec(cfg.codec), ImageCodec)


def test_every_axis_is_used_or_is_a_codec_to_choose():
    benchmarks = ROOT.glob('benchmarks/*.py')
    used = {
        base
        for config in (*LEAVES, *AXES, *benchmarks)
        for base in bases_of(config)
    }
    unused = {
        p.relative_to(ROOT).as_posix()
        for p in AXES if p not in used and p.parent.name != 'codecs'
    }
    assert unused == set()


@pytest.mark.parametrize('name',
                         ['mask-rcnn_dynadapt', 'mask-rcnn-x101_dynadapt'])
def test_model_of_the_main_job_builds_with_the_hosts_keys(name):
    from mmdet.registry import MODELS
    from mmengine.registry import DefaultScope
    cfg = Config.fromfile(ROOT / f'hmc/{name}.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        # The codec's size is not what is tested; a small one saves time.
        cfg.model.backbone.codec.hidden_channels = 8
        model = MODELS.build(cfg.model)
        cfg.model.backbone = cfg.model.backbone.backbone
        host = MODELS.build(cfg.model)
    wrapped = {
        key.replace('backbone.backbone.', 'backbone.')
        for key in model.state_dict()
        if not key.startswith(('backbone.codec.', 'backbone.adapter.'))
    }
    assert wrapped == set(host.state_dict())


def shapes_of(leaf: Path) -> list[str]:
    """Lines of a leaf's code without its names, strings and numbers."""
    code = leaf.read_text().split('"""\n', 1)[1].splitlines()
    shapes = (re.sub(r"'[^']*'|[\w.]+", '_', line.strip()) for line in code)
    # A bracket alone says nothing.
    return [shape for shape in shapes if '_' in shape]


def test_leaves_do_not_write_out_what_another_one_does():
    length, found = 15, {}
    for leaf in LEAVES:
        shapes = shapes_of(leaf)
        for start in range(len(shapes) - length + 1):
            run = tuple(shapes[start:start + length])
            assert found.setdefault(run, leaf.name) == leaf.name
