"""Tables in pages are those of benchmarks."""
import importlib.util
from pathlib import Path

import pytest

from mmhmc.apis.command import EXPECTED

PATH = Path(__file__).parents[2] / 'tools/analysis_tools/write_results.py'


@pytest.fixture
def main():
    spec = importlib.util.spec_from_file_location('write_results', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(a) for a in arguments])


@pytest.fixture
def page(bench_cfg, tmp_path):
    """A page with two tables, empty as yet."""
    config = tmp_path / 'few.py'
    bench_cfg.dump(config)
    path = tmp_path / 'page.md'
    path.write_text(f'# Page\n\n<!-- results: {config} points -->\n'
                    '<!-- end of results -->\n\nBetween.\n\n'
                    f'<!-- results: {config} summary -->\nold\n'
                    '<!-- end of results -->\n')
    return path


def test_tables_are_written_where_the_page_says(main, page, capsys):
    main(page)
    assert capsys.readouterr().out == f'Changed: {page}\n'
    text = page.read_text()
    assert text.startswith('# Page\n\n<!-- results: ')
    points, between, summary = text.partition('\n\nBetween.\n\n')
    assert between and 'old' not in summary
    assert [
        line.split('|')[2].strip() for line in points.splitlines()
        if line.startswith('| plain')
    ] == ['one', 'two']
    assert '| plain | 0.00 %' in ' '.join(summary.split())


def test_a_table_may_have_some_columns_only(main, page):
    text = page.read_text().replace('points -->', 'points few/psnr -->')
    page.write_text(text)
    main(page)
    points = page.read_text().partition('Between.')[0]
    metrics = {
        line.split('|')[4].strip()
        for line in points.splitlines() if line.startswith('| plain')
    }
    assert metrics == {'PSNR (dB)'}


def test_a_table_may_have_another_anchor(main, page, bench_cfg, tmp_path):
    bench_cfg.codecs.other = bench_cfg.codecs.plain
    bench_cfg.dump(tmp_path / 'few.py')
    text = page.read_text()
    page.write_text(text.replace(' summary -->', ' summary anchor=other -->'))
    main(page)
    assert 'BD-rate against other' in page.read_text()
    page.write_text(text.replace(' summary -->', ' deltas anchor=no -->'))
    with pytest.raises(EXPECTED, match="has no codec 'no'; it has other,"):
        main(page)


def test_deltas_are_also_of_published_curves(main, page, bench_cfg, tmp_path):
    bench_cfg.datasets = dict(kodak=bench_cfg.datasets.few)
    bench_cfg.published = ['HM']
    bench_cfg.dump(tmp_path / 'few.py')
    page.write_text(page.read_text().replace(' points -->', ' deltas -->'))
    main(page)
    assert '| HM (published) |' in ' '.join(page.read_text().split())


def test_deltas_are_of_what_was_coded(main, page, bench_cfg, bench_home,
                                      tmp_path):
    """Also where they cannot be computed; not of what nobody asked for."""
    bench_cfg.datasets.other = dict(root=str(bench_home / 'images'))
    bench_cfg.codecs.plain.points.one.datasets = ['few']
    bench_cfg.codecs.plain.points.two.datasets = ['few', 'other']
    few = dict(bench_cfg.codecs.plain.points.two, datasets=['few'])
    bench_cfg.codecs.again = dict(
        codec=bench_cfg.codecs.plain.codec, points=dict(one=few))
    bench_cfg.dump(tmp_path / 'few.py')
    page.write_text(page.read_text().replace('points -->', 'deltas -->'))
    main(page)
    deltas = page.read_text().partition('Between.')[0]
    rows = [[cell.strip() for cell in line.split('|')[1:5]]
            for line in deltas.splitlines() if line.startswith('| again')]
    assert rows == [['again', 'few', 'PSNR (dB)', '–']]


def test_what_is_right_stays(main, page, capsys):
    main(page)
    first = page.read_text()
    main(page, '--check')
    assert capsys.readouterr().out.endswith('Nothing changed.\n')
    assert page.read_text() == first


def test_check_finds_another_number_and_changes_nothing(main, page):
    main(page)
    other = page.read_text().replace('| plain', '| plane')
    page.write_text(other)
    with pytest.raises(SystemExit) as stopped:
        main(page, '--check')
    assert stopped.value.code == 1
    assert page.read_text() == other


def test_only_the_named_benchmark_is_run(main, page, capsys):
    before = page.read_text()
    main(page, '--config', 'configs/benchmarks/other.py')
    assert capsys.readouterr().out == 'Nothing changed.\n'
    assert page.read_text() == before


@pytest.mark.parametrize('old, new, message', [
    ('points -->', 'guesses -->', "no kind 'guesses'"),
    ('few.py points', 'none.py points', 'There is no config'),
    ('points -->', 'points few/beauty -->', 'does not measure few/beauty'),
    ('points -->', 'points psnr -->', 'does not measure psnr'),
])
def test_what_cannot_be_made_is_said(main, page, old, new, message):
    page.write_text(page.read_text().replace(old, new, 1))
    with pytest.raises(EXPECTED, match=message):
        main(page)


def test_page_without_a_place_is_refused(main, tmp_path):
    page = tmp_path / 'plain.md'
    page.write_text('# Page\n')
    with pytest.raises(EXPECTED, match='has no `<!-- results'):
        main(page)


def test_a_table_of_tested_models_stands_where_the_page_says(
        main, tmp_path, monkeypatch):
    from mmhmc.apis import result_pages
    from mmhmc.visualization import Table
    asked = []
    monkeypatch.setattr(
        result_pages, 'tabulate_tests',
        lambda path: asked.append(path) or Table(('', 'mIoU'), [('one', '5')]))
    path = tmp_path / 'page.md'
    path.write_text('<!-- results: rows.py tests -->\n'
                    '<!-- end of results -->\n')
    main(path)
    assert asked == ['rows.py']
    assert '\n| one |    5 |\n' in path.read_text()


def test_what_somebody_writes_in_the_meantime_stays(main, page, monkeypatch):
    from mmhmc.apis import result_pages

    run = result_pages.run_benchmark

    def run_benchmark(*args):
        page.write_text(page.read_text().replace('Between.', 'In between.'))
        return run(*args)

    monkeypatch.setattr(result_pages, 'run_benchmark', run_benchmark)
    main(page)
    text = page.read_text()
    assert '\n\nIn between.\n\n' in text
    assert '| plain' in text and 'old' not in text


def test_a_benchmark_has_no_table_of_tested_models_and_the_reverse(
        main, page, monkeypatch):
    text = page.read_text()
    page.write_text(text.replace(' points -->', ' tests -->'))
    with pytest.raises(EXPECTED, match='needs `tests`'):
        main(page)
