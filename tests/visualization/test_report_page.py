import re
import sys
from html.parser import HTMLParser

import pytest
from benchmark_lines import coded, lines, write_images, write_lines

from mmhmc.evaluation import read_results
from mmhmc.visualization import write_report

pytest.importorskip('bjontegaard')


class Page(HTMLParser):
    """Tags with their attributes, text by heading, scripts apart."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.scripts = [], {}, []
        self._tag = self._title = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._tag = tag

    def handle_endtag(self, tag):
        self._tag = None

    def handle_data(self, data):
        if self._tag == 'script':
            self.scripts.append(data)
        elif self._tag == 'h2':
            self._title = data
        self.text[self._title] = self.text.get(self._title, '') + ' ' + data

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


@pytest.fixture
def page(tmp_path, monkeypatch):
    """Write a page without plotly, whose 5 MB take time to parse."""
    monkeypatch.setitem(sys.modules, 'plotly.offline', None)

    def write(rows, **arguments):
        results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
        out = write_report(
            results, tmp_path / 'new' / 'page.html',
            **dict(
                dict(columns=[('kodak', 'coco/bbox_mAP')], num_samples=5),
                **arguments))
        return Page(out.read_text())

    return write


def test_page_holds_what_was_measured(page):
    columns = [('kodak', 'psnr'), ('kodak', 'coco/bbox_mAP')]
    text = page(lines(), columns=columns).text
    assert '0.00 %' in text['BD-rates']
    assert '95 % interval' in text['Deltas against HEVC']
    assert 'kept no predictions' in text['Doubts and refusals']
    assert '1,200' in text['Complexity']
    assert 'q3' in text['Points'] and '0.3000' in text['Points']
    assert 'before the pipeline' in text['Settings and versions']
    assert '2.11.0' in text['Settings and versions']


def test_text_of_others_is_no_markup(page):
    parsed = page(lines())
    assert 'x265 ended with <1> & "nothing"' in parsed.text['Failures']
    assert '<b>a & b</b>' in parsed.text['Settings and versions']
    assert not parsed.named('b') and not parsed.named('1')


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in page(lines()).tags:
        assert tag not in ('link', 'iframe')
        assert attributes.get('src', 'data:').startswith('data:')
        assert 'href' not in attributes


def test_curves_are_drawn_where_plotly_is_missing(page):
    parsed = page(lines(), columns=[('kodak', 'psnr')], published=['HM'])
    drawing, = parsed.named('img')
    assert drawing['src'].startswith('data:image/svg+xml;base64,')
    assert 'Install plotly' in parsed.text['Curves']
    assert 'HM (published)' in parsed.text['Deltas against HEVC']


def test_curves_are_interactive_where_plotly_is(tmp_path, monkeypatch):
    offline = pytest.importorskip('plotly.offline')
    monkeypatch.setattr(offline, 'get_plotlyjs', lambda: '/* the library */')
    rows = lines()
    for row in rows:
        if row.get('codec') == 'JPEG':
            row['codec'] = '</script><i>'
    results = read_results(write_lines(tmp_path / 'r.jsonl', rows))
    out = write_report(results, tmp_path / 'page.html', num_samples=0)
    parsed = Page(out.read_text())
    assert '/* the library */' in parsed.scripts
    plots = [s for s in parsed.scripts if 'newPlot' in s]
    assert len(plots) == 4
    assert '"Uncompressed"' in plots[3] and '"Uncompressed"' not in plots[0]
    assert not parsed.named('i')
    assert 'http' not in out.read_text()


def test_worst_images_are_inside_and_small(page, tmp_path):
    folder, rows = write_images(tmp_path, lines(('HEVC', 'VVC')))
    parsed = page(
        rows, columns=[('kodak', 'psnr')], image_folders=dict(kodak=folder))
    images = [
        image for image in parsed.named('img')
        if image['src'].startswith('data:image/webp;base64,')
    ]
    assert [image['alt'] for image in images
            ] == 2 * ['Original', 'Decoded', 'Absolute error, 8 times']
    assert all(len(image['src']) < 40_000 for image in images)
    assert re.search(r'VVC, q0, kodak/.\.png: .* dB against HEVC',
                     parsed.text['Worst images'])


def test_folder_of_the_images_is_known_by_the_settings(page, tmp_path):
    folder, rows = write_images(tmp_path, lines(('HEVC', )))
    settings = dict(datasets=dict(kodak=dict(root=str(folder))))
    rows[0] = dict(rows[0], settings=settings)
    assert 'Absolute error' in page(rows).text['Worst images']


def test_image_that_is_gone_is_named(page, tmp_path):
    folder, rows = write_images(tmp_path, lines(('HEVC', )))
    (folder / 'c.png').unlink()
    parsed = page(rows, image_folders=dict(kodak=folder))
    assert 'No such file' in parsed.text['Worst images']


def test_unfinished_run_still_makes_a_page(page):
    rows = [*lines(('HEVC', ))[:2], coded('VVC', 1, 'a.png')]
    parsed = page(rows)
    assert 'None.' in parsed.text['Failures']
    assert 'No decoded image' in parsed.text['Worst images']


def test_anchor_that_is_not_there_is_refused(page):
    with pytest.raises(ValueError, match="anchor 'HM' is not in"):
        page(lines(), anchor='HM')
