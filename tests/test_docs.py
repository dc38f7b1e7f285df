"""Every command and every block of code in the documentation runs.

A block is python, bash, or text, which is output and is not run. A block of
python with ``_base_`` is a config: it is read and its model is built. Blocks
of a page share a folder that looks like a clone, see ``doc_pages.Scratch``.
A comment just before a block says more, several things with ``; `` between:

- ``<!-- test: append WORDS -->``: behind the last command;
- ``<!-- test: swap OLD => NEW -->``: in the commands;
- ``<!-- test: after COMMAND and COMMAND -->``: run before, if not done yet;
- ``<!-- test: part of FILE -->``: not run, but found in the file as it is;
- ``<!-- test: dry REASON -->``: not run, but what it names is there.
"""
import re
import shutil
from subprocess import CalledProcessError

import pytest
import yaml
from doc_pages import (LANGUAGES, PAGES, ROOT, Scratch, blocks_of,
                       import_names, look_at)

from mmhmc.version import __version__

BLOCKS = {str(page.relative_to(ROOT)): blocks_of(page) for page in PAGES}
NOTES = {'after', 'append', 'dry', 'part', 'swap'}


@pytest.fixture(scope='module')
def scratch(tmp_path_factory):
    pytest.importorskip('mmdet')
    folder = tmp_path_factory.mktemp('clone')
    with pytest.MonkeyPatch.context() as patch:
        yield Scratch(folder, patch)
    shutil.rmtree(folder)


@pytest.mark.parametrize('page', [page for page in BLOCKS if BLOCKS[page]])
def test_blocks_of_a_page_run(page, scratch):
    scratch.run_page(BLOCKS[page])


def test_blocks_say_what_they_are():
    unclear = [
        f'{block}: {block.language} {[*block.notes]}'
        for blocks in BLOCKS.values() for block in blocks
        if block.language not in LANGUAGES or not set(block.notes) <= NOTES
    ]
    assert not unclear, '\n'.join(unclear)


def test_blocks_that_are_not_run_are_few_and_have_a_reason():
    blocks = [block for blocks in BLOCKS.values() for block in blocks]
    dry = [block for block in blocks if 'dry' in block.notes]
    assert all(block.notes['dry'] for block in dry), dry
    assert len(dry) < len(blocks) / 3


def files_named_in(page):
    names = re.findall(
        r'\b(?:configs|dev|docs|mmhmc|projects|requirements|tests|tools)'
        r'/[\w./-]+\.(?:md|py|sh|txt|yml|json|cpp)\b',
        (ROOT / page).read_text())
    return sorted(name for name in set(names) if 'METHOD' not in name)


def test_files_that_a_page_names_exist():
    # That page names files of the hosts.
    missing = [
        f'{page} names {name}' for page in BLOCKS
        if page != 'docs/host_matrix.md' for name in files_named_in(page)
        if not any(
            (place / name).exists() for place in (ROOT, (ROOT / page).parent))
    ]
    assert not missing, '\n'.join(missing)


@pytest.mark.parametrize(
    'text',
    ['from mmhmc.evaluation import nothing', 'import mmhmc.nothing', 'print('])
def test_python_that_cannot_be_is_found(text):
    with pytest.raises((ImportError, SyntaxError)):
        import_names(text)


def test_python_that_is_not_run_only_imports():
    import_names('import mmhmc\nraise SystemExit')


@pytest.mark.parametrize('command', [
    'make nothing', 'pip install -r requirements/nothing.txt',
    'mmhmc encode --nothing', 'python tools/train.py --nothing',
    'python tools/train.py configs/nothing.py', 'python -m nothing', 'rm -r x'
])
def test_a_command_that_cannot_be_is_found(command, monkeypatch):
    monkeypatch.chdir(ROOT)
    with pytest.raises((AssertionError, CalledProcessError)):
        look_at(command.split())


def test_pages_are_built_without_a_warning(tmp_path, monkeypatch):
    pytest.importorskip('mkdocs')
    monkeypatch.setenv('NO_MKDOCS_2_WARNING', '1')
    monkeypatch.chdir(ROOT)
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    # Strict: a warning ends it.
    build(load_config('mkdocs.yml', site_dir=str(tmp_path)))
    page = (tmp_path / 'api/codecs.html').read_text()
    assert 'MeanScaleHyperprior' in page
    for name in ('.. code-block', ':class:', ':meth:', ':func:'):
        assert name not in page
    for page in tmp_path.rglob('*.html'):
        sources = re.findall(r'(?:src|<link[^>]*href)="([^"]+)"',
                             page.read_text())
        assert not [s for s in sources if s.startswith(('http', '//'))], page


def test_every_page_is_in_the_navigation():
    text = (ROOT / 'mkdocs.yml').read_text()
    pages = [p for p in BLOCKS if p.startswith('docs/')]
    assert [p for p in pages if p.removeprefix('docs/') not in text] == []


def test_citation_is_of_this_version():
    content = yaml.safe_load((ROOT / 'CITATION.cff').read_text())
    assert content['version'] == __version__
    assert content['license'] == 'Apache-2.0'
    assert len(content['references']) == 3
    assert f'## {__version__}' in (ROOT / 'CHANGELOG.md').read_text()
