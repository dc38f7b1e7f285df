"""Curves and deltas from the command line."""
import importlib.util
from pathlib import Path

import pytest
from benchmark_lines import lines, write_lines

pytest.importorskip('bjontegaard')
PATH = Path(__file__).parents[2] / 'tools/analysis_tools/rate_curves.py'


@pytest.fixture(scope='module')
def main():
    spec = importlib.util.spec_from_file_location('rate_curves', PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda *arguments: module.main([str(a) for a in arguments])


def test_published_curves_need_no_results(main, tmp_path, capsys):
    main('--published', 'HM', 'VTM', 'balle2018', '--anchor', 'HM', '--first',
         4, '--out', tmp_path)
    printed = capsys.readouterr().out
    assert '−25.20 %' in printed and '+7.68 %' in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        'kodak_psnr.png', 'kodak_psnr.svg'
    ]


def test_results_give_figures_tables_and_a_page(main, tmp_path, capsys,
                                                monkeypatch):
    # Its 5 MB are not looked at here.
    monkeypatch.setattr('mmhmc.visualization.report_page._plotly_script',
                        lambda: '')
    path = write_lines(tmp_path / 'results.jsonl', lines(('HEVC', 'VVC')))
    main(path, '--columns', 'kodak/coco/bbox_mAP', '--samples', 3,
         '--log-rate')
    assert {path.name
            for path in tmp_path.iterdir()} == {
                'results.jsonl', 'kodak_coco_bbox_mAP.png',
                'kodak_coco_bbox_mAP.svg', 'table.md', 'table.tex',
                'report.html'
            }
    assert '| HEVC  |         0.00 % |' in capsys.readouterr().out
    assert 'VVC & $-$2' in (tmp_path / 'table.tex').read_text()


def test_published_curves_are_compared_with_ones_own(main, tmp_path, capsys,
                                                     monkeypatch):
    monkeypatch.setattr('mmhmc.visualization.report_page._plotly_script',
                        lambda: '')
    path = write_lines(tmp_path / 'results.jsonl', lines(('HEVC', )))
    main(path, '--published', 'HM', '--columns', 'kodak/psnr', '--out',
         tmp_path / 'out')
    assert '| HM (published) |' in capsys.readouterr().out


def test_report_in_a_folder_that_was_named_is_kept(main, tmp_path):
    arguments = ('--published', 'HM', 'VTM', '--anchor', 'HM', '--out',
                 tmp_path)
    main(*arguments)
    figure = tmp_path / 'kodak_psnr.png'
    figure.write_text('mine')
    with pytest.raises(SystemExit, match='kodak_psnr.png exists.*--force'):
        main(*arguments)
    assert figure.read_text() == 'mine'
    main(*arguments, '--force')
    assert figure.read_bytes() != b'mine'


@pytest.mark.parametrize('arguments, message', [
    (['none.jsonl'], 'FileNotFoundError: .*none.jsonl'),
    (['--columns', 'psnr'], "DATASET/METRIC, .* got 'psnr'"),
    (['--published', 'H264'], "No published curve 'H264'"),
    (['--published', 'HM', '--anchor', 'X'], "anchor 'X' on 'kodak'"),
    (['none.jsonl', '--first', 4], '2'),
])
def test_wrong_arguments_end_with_one_line(main, tmp_path, arguments, message):
    with pytest.raises(SystemExit, match=message):
        main(*arguments, '--out', tmp_path)
