"""A benchmark config is checked before anything runs."""
import json

import pytest
from mmengine.config import Config

from mmhmc.apis.benchmark import read_plan
from mmhmc.structures import CodingCondition


def test_images_of_a_folder_are_found_with_its_structure(bench_cfg):
    plan = read_plan(bench_cfg)
    assert plan.datasets['few'].files == ('a.png', 'b.png', 'sub/c.png')
    assert [point.name for point in plan.points] == ['one', 'two']
    assert plan.points[0].datasets == ('few', )
    assert plan.rows == ['plain']


def test_images_of_annotations_are_those_they_list(bench_cfg, tmp_path):
    path = tmp_path / 'coco.json'
    images = [dict(file_name=name) for name in ('b.png', 'a.png')]
    path.write_text(json.dumps(dict(images=images)))
    bench_cfg.datasets.few.annotations = str(path)
    assert read_plan(bench_cfg).datasets['few'].files == ('b.png', 'a.png')
    bench_cfg.datasets.few.num_images = 1
    assert read_plan(bench_cfg).datasets['few'].files == ('b.png', )
    path.write_text('[]')
    with pytest.raises(ValueError, match='is no COCO annotation file'):
        read_plan(bench_cfg)
    path.unlink()
    with pytest.raises(FileNotFoundError, match='There are no annotations'):
        read_plan(bench_cfg)


@pytest.mark.parametrize('names, message', [
    (['../../x.png'], r"names the image '../../x.png'"),
    (['/x.png'], "names the image '/x.png'"),
    ([3], 'names the image 3'),
    (['a.png', 'a.png'], 'names an image twice'),
])
def test_annotations_cannot_lead_out_of_the_folder(bench_cfg, tmp_path, names,
                                                   message):
    path = tmp_path / 'coco.json'
    images = [dict(file_name=name) for name in names]
    path.write_text(json.dumps(dict(images=images)))
    bench_cfg.datasets.few.annotations = str(path)
    with pytest.raises(ValueError, match=message):
        read_plan(bench_cfg)


def test_run_time_controls_of_a_point_become_its_condition(bench_cfg):
    bench_cfg.codecs.plain.points.one = dict(quality=3, task='cls')
    one, two = read_plan(bench_cfg).points
    assert one.condition == CodingCondition(quality=3, task='cls')
    assert two.condition is None


def test_codec_with_an_adapter_fills_two_rows(bench_cfg):
    bench_cfg.codecs.plain.adapter = dict(type='mmhmc.DynamicAdaptation')
    bench_cfg.codecs.plain.without_adapter = 'bare'
    plan = read_plan(bench_cfg)
    assert plan.rows == ['plain', 'bare']
    bench_cfg.anchor = 'bare'
    assert read_plan(bench_cfg).anchor == 'bare'


@pytest.mark.parametrize('change, message', [
    (dict(codecs=None), '`codecs` must be a dict'),
    (dict(anchor='HEVC'), "`anchor` is 'HEVC', which is none of"),
    (dict(image_metrics=['vmaf']), r"`image_metrics` has \['vmaf'\]"),
    (dict(protocol='elsewhere'), 'expected some of'),
    ({
        'codecs.plain.point': 1
    }, r"unknown keys \['point'\]"),
    ({
        'codecs.plain.points.one.qp': 1
    }, r"The point 'one' of 'plain' lacks \[\]"),
    ({
        'codecs.plain.points.one.datasets': ['coco']
    }, r"has \['coco'\]; expected some of \['few'\]"),
    ({
        'codecs.plain.without_adapter': 'bare'
    }, 'has `without_adapter` and no `adapter`'),
    ({
        'codecs.a/b': dict(codec='x', points={})
    }, "'a/b' is no name for results"),
    ({
        'codecs.Plain': dict(codec='x', points=dict(one={}))
    }, "Two codecs fill the row 'Plain'"),
    ({
        'datasets.few.num_images': 0
    }, "`num_images` of 'few' must be a positive integer, got 0"),
    (dict(complexity=256), '`complexity` must be height and width'),
    (dict(published=['H264']), r"`published` has \['H264'\]"),
    (dict(task={}), r"unknown keys \['task'\]"),
    (dict(tasks=dict(box=dict(config='x'))), "lacks .'checkpoint', 'dataset'"),
])
def test_what_does_not_fit_is_said(bench_cfg, change, message):
    bench_cfg.merge_from_dict(change)
    with pytest.raises(ValueError, match=message):
        read_plan(bench_cfg)


def test_folder_without_images_is_said(bench_cfg, tmp_path):
    bench_cfg.datasets.few.root = str(tmp_path / 'nowhere')
    with pytest.raises(FileNotFoundError, match="'few' has no images"):
        read_plan(bench_cfg)


def test_file_is_read_with_options_and_a_folder_of_its_own(
        bench_cfg, tmp_path):
    bench_cfg.pop('work_dir')
    bench_cfg.dump(tmp_path / 'mine.py')
    path = str(tmp_path / 'mine.py')
    assert str(read_plan(path).work_dir) == 'work_dirs/benchmarks/mine'
    options = {'datasets.few.num_images': 2}
    plan = read_plan(path, options, str(tmp_path / 'there'))
    assert plan.work_dir == tmp_path / 'there'
    assert len(plan.datasets['few'].files) == 2
    with pytest.raises(FileNotFoundError, match='There is no config'):
        read_plan(str(tmp_path / 'none.py'))


def test_settings_are_those_that_were_written(bench_cfg):
    bench_cfg.imported, bench_cfg._own = json, 1
    settings = read_plan(bench_cfg).settings
    assert 'imported' not in settings
    assert settings['codecs']['plain']['codec']['hidden_channels'] == 8
    assert read_plan(Config(settings)).points == read_plan(bench_cfg).points


def test_name_of_a_point_has_to_be_a_text(bench_cfg):
    settings = bench_cfg.to_dict()
    settings['codecs']['plain']['points'] = {37: dict(quality=1)}
    with pytest.raises(ValueError, match='37 is no name for results'):
        read_plan(Config(settings))
