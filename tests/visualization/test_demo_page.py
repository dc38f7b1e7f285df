"""The page of a demonstration, in a browser where there is one."""
import html
import re
import shutil
import subprocess

import numpy as np
import pytest

from mmhmc.visualization import (DemoFigure, DemoImage, FoundObject,
                                 write_demo_page)

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
needs_browser = pytest.mark.skipif(
    CHROMIUM is None, reason='needs chromium, as Debian has it')


def figure(title, level, **more):
    pixels = np.full((30, 40, 3), level, np.uint8)
    return DemoFigure(title, 'some words', pixels, 100 * level, .25, **more)


@pytest.fixture(scope='module')
def page(tmp_path_factory):
    cat = FoundObject('cat', .9, (.25, .5, .75, 1.))
    dog = FoundObject('<dog>', .5, (0., 0., 1., 1.), is_known=False)
    images = [
        DemoImage(title, [
            figure('Original', 10, found=[cat]),
            figure('Decoded', 20, psnr=30., found=[cat]),
            figure('JPEG', 30, psnr=20., found=[dog], missing=['cat']),
        ], [figure('Bits', 40)], [('header', 40), ('latent y', 1960)])
        for title in ('first.png', 'sec<ond>.png')
    ]
    return write_demo_page(
        tmp_path_factory.mktemp('page') / 'a/index.html', 'A <title>',
        'A note.', images, 'mmhmc info a.hmc')


def opened(page, hash='', script=''):
    """The page's elements as a browser has them after its script has run."""
    copy = page.with_name('copy.html')
    copy.write_text(page.read_text().replace(
        '</body>', f'<script>{script}</script></body>'))
    done = subprocess.run([
        CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu',
        '--virtual-time-budget=2000', '--dump-dom', f'{copy.as_uri()}#{hash}'
    ],
                          capture_output=True,
                          timeout=120)
    text = done.stdout.decode()
    return text[:text.index('id="data"')]


def test_page_needs_no_other_file_and_escapes_what_it_shows(page):
    text = page.read_text()
    assert not re.search(r'(src|href)="(?!data:)', text)
    assert 'http://' not in text and 'https://' not in text
    assert '<dog>' not in text and 'sec<ond>' not in text
    assert 'A &lt;title&gt;' in text
    assert '&lt;dog&gt; 0.50' in text


def test_tables_need_no_script(page):
    text = page.read_text()
    tables = text[:text.index('id="data"')]
    assert tables.count('<td>2,000</td><td>0.250</td><td>30.00</td>') == 2


@needs_browser
def test_browser_shows_versions_with_what_was_found(page):
    text = html.unescape(opened(page))
    cards = re.findall(r'class="version".*?</button>', text)
    assert ['✓ cat 0.90' in card for card in cards] == [True, False]
    assert '✗ <dog> 0.50' in cards[1] and '>cat<' in cards[1]
    assert '2,000 bytes · 0.250 bpp · 30.0 dB' in cards[0]
    assert 'left: 25%; top: 50%; width: 50%; height: 50%' in text


@needs_browser
@pytest.mark.parametrize('hash, shown', [
    ('version=2', 'JPEG · 0.250 bpp'),
    ('version=9', 'JPEG · 0.250 bpp'),
    ('view=error', 'The error of Decoded, 8 times as bright'),
    ('view=0', 'Bits: some words'),
    ('image=1', 'aria-pressed="true" aria-label="sec<ond>.png"'),
    ('at=20', '--at: 20%'),
])
def test_address_says_what_is_shown(page, hash, shown):
    assert shown in html.unescape(opened(page, hash))


@needs_browser
def test_slider_and_buttons_work(page):
    slide = ("at.value = 80; at.dispatchEvent(new Event('input'));"
             "cards.children[1].click(); tools.lastChild.click();")
    text = opened(page, script=slide)
    assert '--at: 80%' in text
    assert 'JPEG · 0.250 bpp' in text
    assert 'class="stage boxless"' in text


@needs_browser
def test_phone_needs_no_scrolling_sideways(page, tmp_path):
    frame = tmp_path / 'frame.html'
    frame.write_text(
        f'<iframe src="{page.as_uri()}" width="380" height="900"></iframe>'
        '<script>onload = () => { const inside = document.querySelector('
        "'iframe').contentDocument.documentElement;"
        'document.title = inside.scrollWidth; }</script>')
    done = subprocess.run([
        CHROMIUM, '--headless=new', '--no-sandbox', '--disable-gpu',
        '--allow-file-access-from-files', '--virtual-time-budget=2000',
        '--dump-dom',
        frame.as_uri()
    ],
                          capture_output=True,
                          timeout=120)
    title = re.search('<title>(.*?)</title>', done.stdout.decode())
    assert int(title[1]) <= 380
