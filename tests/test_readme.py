"""What the README says is so, and what it names is there."""
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / 'README.md').read_text()
#: A figure, such as −49.71 %, or the ends of an interval.
_FIGURE = re.compile(r'[−+]\d+\.\d\d(?: to [−+]\d+\.\d\d)? %')


def test_readme_can_be_read_at_once():
    lines = README.splitlines()
    assert len(lines) <= 150
    assert max(map(len, lines)) <= 120
    for block in re.findall('```(?:bash|python)\n(.*?)```', README, re.DOTALL):
        assert block.count('\n') <= 6


def test_files_that_the_readme_links_exist():
    links = re.findall(r'\]\(([^)#]+)\)|^\[\w+\]: (.+)$', README, re.MULTILINE)
    files = [a or b for a, b in links if not (a or b).startswith('http')]
    assert len(files) > 20
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_figures_of_the_readme_are_those_of_the_results():
    results = (ROOT / 'docs/results.md').read_text()
    table = README.split('## Results')[1].split('## Limits')[0]
    figures = _FIGURE.findall(table)
    assert len(figures) == 16
    assert [figure for figure in figures if figure not in results] == []


def test_map_of_the_code_names_every_part():
    page = (ROOT / 'docs/architecture.md').read_text()
    rows = re.findall(r'^\| (`.*?) \|', page, re.MULTILINE)
    listed = {
        name.rstrip('/')
        for row in rows[:30]
        for name in re.findall(r'`([\w.]+/?)`', row)
    }
    there = {
        path.name
        for path in (ROOT / 'mmhmc').iterdir()
        if not path.name.startswith(('_', '.')) and path.name != 'version.py'
    }
    assert there - listed == set()


def test_page_of_scripts_names_each():
    page = (ROOT / 'dev/README.md').read_text()
    named = set(re.findall(r'`([\w/]+\.py)`', page))
    there = {
        path.relative_to(ROOT / 'dev').as_posix()
        for path in (ROOT / 'dev').rglob('*.py')
    }
    assert named == there
