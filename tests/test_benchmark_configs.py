"""Every benchmark config asks for what can be asked for."""
from pathlib import Path

import pytest

from mmhmc.apis.benchmark import plan, read_plan
from mmhmc.apis.config_files import locate
from mmhmc.codecs import build_codec

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs/benchmarks').glob('*.py'))


def some_images(name, entry):
    """Instead of reading them."""
    return plan.ImageSet(name, entry['root'], ('a.png', ),
                         entry.get('annotations'))


def has_codecs_that_can_be_built(benchmark):
    pytest.importorskip('compressai')
    for point in {point.codec: point for point in benchmark.points}.values():
        config = point.source.config
        if isinstance(config, dict):
            build_codec(dict(config['codec'], init_cfg=None))
        else:
            assert locate(config).config.is_file()


def has_a_point_of_the_anchor_wherever_others_have_one(benchmark):
    anchored = {
        name
        for point in benchmark.points if point.codec == benchmark.anchor
        for name in point.datasets
    }
    assert anchored == set(benchmark.datasets)


def has_four_points_for_a_curve_or_one_to_compare(benchmark):
    for name in benchmark.datasets:
        for row in benchmark.rows:
            points = [
                point for point in benchmark.points
                if row in point.rows and name in point.datasets
            ]
            assert len(points) < 2 or len(points) >= 4, (name, row)


@pytest.mark.parametrize('config', CONFIGS, ids=lambda path: path.stem)
def test_config_asks_for_what_can_be_asked_for(config, monkeypatch, subtests):
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(plan, '_read_images', some_images)
    benchmark = read_plan(str(config))
    for check in (has_codecs_that_can_be_built,
                  has_a_point_of_the_anchor_wherever_others_have_one,
                  has_four_points_for_a_curve_or_one_to_compare):
        with subtests.test(check.__name__):
            check(benchmark)
