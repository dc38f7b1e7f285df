"""Blocks of code in the documentation, and how each is run in miniature."""
import ast
import contextlib
import io
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from mmengine.registry import MODELS, DefaultScope
from mmengine.runner import Runner
from PIL import Image

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', ROOT / 'dev/README.md',
    *sorted((ROOT / 'docs').rglob('*.md')), *sorted(
        (ROOT / 'projects').glob('*/README.md'))
]
LANGUAGES = ('bash', 'python', 'text')
_FENCE = re.compile(
    r'(?:^<!-- test: (?P<note>.*?) -->\n)?'
    r'^```(?P<language>.*)\n(?P<text>(?:.*\n)*?)^```$', re.MULTILINE)
_WEB = re.compile('https?://|torchvision://|open-mmlab://')
#: What a run of two batches leaves instead of the checkpoints of a long one.
_LAST = ((r'\bepoch_\d+\.pth', 'epoch_1.pth'), (r'\biter_\d+\.pth',
                                                'iter_2.pth'))


@dataclass(frozen=True)
class Block:
    """A fenced block, with what the comment before it says.

    Args:
        page: Page, relative to the repository.
        line: First line of the code.
        language: What stands behind the fence.
        text: The code.
        notes: Parts of ``<!-- test: A; B -->``: the first word of each, and
            the rest.
    """

    page: str
    line: int
    language: str
    text: str
    notes: dict

    def __str__(self):
        return f'{self.page}:{self.line}'

    @property
    def is_config(self):
        return self.language == 'python' and '_base_' in self.text

    def as_run(self):
        """The code, with the checkpoints that short runs leave."""
        text = self.text
        for pattern, new in _LAST:
            text = re.sub(pattern, new, text)
        return text

    def commands(self):
        """Words of each command, after what the notes change."""
        text = _with_variables(re.sub(r'\\\n', ' ', self.as_run()))
        if 'swap' in self.notes:
            old, new = self.notes['swap'].split(' => ')
            assert old in text, f'{self}: nothing to swap'
            text = text.replace(old, new)
        commands = [shlex.split(line, True) for line in text.split('\n')]
        commands = [words for words in commands if words]
        commands[-1] += shlex.split(self.notes.get('append', ''))
        return commands


def blocks_of(page):
    """All fenced blocks of a page."""
    text = page.read_text()
    assert len(re.findall('^ *```', text, re.MULTILINE)) == \
        2 * len(list(_FENCE.finditer(text))), f'{page}: a fence is not closed'
    blocks = []
    for found in _FENCE.finditer(text):
        parts = filter(None, (found['note'] or '').split('; '))
        notes = dict(part.strip().partition(' ')[::2] for part in parts)
        line = text.count('\n', 0, found.start('text')) + 1
        blocks.append(
            Block(
                str(page.relative_to(ROOT)), line, found['language'],
                found['text'], notes))
    return blocks


def _with_variables(text):
    """Lines without assignments, and with what they assign."""
    for line in re.findall(r'^[A-Z]+=.*\n', text, re.MULTILINE):
        name, value = line.split('=', 1)
        text = text.replace(line, '')
        text = re.sub(rf'\${name}\b', shlex.split(value)[0], text)
    return text


class Scratch:
    """A folder that looks like a clone, in which blocks are run.

    Data sets in it have a few images, every run takes two batches, nothing
    comes from the web, and everything runs in this process. What a page
    makes is gone for the next, but for ``data`` and ``work_dirs``: a tool
    that has succeeded is not run again with the same words.

    Args:
        folder: An empty folder.
        monkeypatch: Of the session.
    """

    def __init__(self, folder, monkeypatch):
        self.folder = folder
        self.patch = monkeypatch
        self.done = set()
        for name in ('configs', 'docs', 'model_zoo', 'projects',
                     'requirements', 'dev', 'tools', 'Makefile', 'setup.cfg'):
            if (ROOT / name).exists():
                (folder / name).symlink_to(ROOT / name)
        self._shrink_runs()
        monkeypatch.chdir(folder)
        make_data(folder)
        self.kept = {*os.listdir(folder), 'work_dirs', 'cache'}

    def run_page(self, blocks):
        """Run the blocks of a page, but for what is output."""
        for name in set(os.listdir(self.folder)) - self.kept:
            path = self.folder / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        for block in blocks:
            if block.language != 'text':
                self.run(block)

    def _shrink_runs(self):
        from mmhmc import machine
        from mmhmc.apis import training
        from_cfg = Runner.from_cfg
        self.patch.setattr(Runner, 'from_cfg',
                           lambda cfg: from_cfg(small(cfg)))
        few = partial(training.make_sample_instances, num_train=6, num_val=3)
        self.patch.setattr(training, 'make_sample_instances', few)
        # It would change this process for good.
        self.patch.setattr(machine, 'tune_cpu', lambda: None)
        self.patch.setenv('MMHMC_CACHE', str(self.folder / 'cache'))

    def run(self, block):
        """Run a block, or check what is not to be run."""
        for command in block.notes.get('after', '').split(' and '):
            self._command(shlex.split(command), block)
        if 'part' in block.notes:
            whole = Path(block.notes['part'].removeprefix('of '))
            assert block.text in whole.read_text(), \
                f'{block} is no part of {whole}'
        elif 'dry' in block.notes and block.language == 'python':
            import_names(block.text)
        elif 'dry' in block.notes:
            for words in block.commands():
                look_at(words)
        elif block.is_config:
            build_config(block.text, self.folder)
        elif block.language == 'python':
            exec(compile(block.as_run(), str(block), 'exec'), {})
        else:
            for words in block.commands():
                self._command(words, block)

    def _command(self, words, block):
        if not words or tuple(words) in self.done:
            return
        status = self._start(words)
        assert not status, f'{block}: {shlex.join(words)} gave {status}'
        if words[0] == 'python':
            self.done.add(tuple(words))

    def _start(self, words):
        """Run a command in this process; its exit status."""
        program, *arguments = words
        if program == 'export':
            name, _, value = arguments[0].partition('=')
            assert name == 'PYTHONPATH', 'another variable is not foreseen'
            self.patch.syspath_prepend(str(self.folder / value))
            return 0
        if program == 'mmhmc':
            from mmhmc.cli import main
            return main(arguments)
        assert program == 'python', f'{program} is not foreseen'
        return run_script(*arguments)


def run_script(path, *arguments):
    """Run a script as if it had been started; its exit status."""
    old = sys.argv
    sys.argv = [path, *arguments]
    try:
        runpy.run_path(path, run_name='__main__')
    except SystemExit as end:
        return end.code
    finally:
        sys.argv = old


def import_names(text):
    """Check Python that is not run: it compiles, and what it imports is there.
    """
    tree = ast.parse(text)
    tree.body = [
        line for line in tree.body
        if isinstance(line, (ast.Import, ast.ImportFrom))
    ]
    exec(compile(tree, 'imports', 'exec'), {})


def look_at(words):
    """Check a command that is not run: what it names is there."""
    program, *arguments = words
    program = program.removeprefix('.venv/bin/')
    if program == 'make':
        subprocess.run(['make', '-n', *arguments],
                       cwd=ROOT,
                       check=True,
                       capture_output=True)
    elif program == 'pip':
        assert arguments[0] == 'install'
        files = [b for a, b in zip(arguments, arguments[1:]) if a == '-r']
        assert all(Path(file).is_file() for file in files), files
    elif program == 'mmhmc':
        from mmhmc.cli import build_parser
        groups = 1 + (arguments[0] in ('export', 'zoo'))
        _look_at_options(
            _help(
                partial(build_parser().parse_args,
                        [*arguments[:groups], '-h'])), arguments)
    elif program == 'python' and arguments[0] == '-m':
        assert find_spec(arguments[1]), words
    elif program == 'python':
        _look_at_options(
            _help(partial(run_script, arguments[0], '--help')), arguments)
    elif program.startswith('tools/'):
        assert os.access(program, os.X_OK), program
    else:
        assert program in ('source', 'git', 'cd',
                           'mim'), f'{words}: not foreseen'
    named = [
        word for word in words
        if re.match(r'(configs|tools|requirements)/.*\.\w+$', word)
    ]
    assert all(Path(word).exists() for word in named), named


def _help(run):
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        with contextlib.suppress(SystemExit):
            assert not run()
    return printed.getvalue()


def _look_at_options(text, arguments):
    options = [word for word in arguments if re.match('--?[a-z]', word)]
    unknown = [word for word in options if word not in text]
    assert not unknown, f'{arguments} has the unknown options {unknown}'


def build_config(text, folder):
    """Read a config as the tools do, and build its model."""
    from mmhmc.apis.training import load_config
    path = folder / 'mine.py'
    path.write_text(text)
    cfg = load_config(str(path))
    with DefaultScope.overwrite_default_scope(
            cfg.get('default_scope', 'mmdet')):
        return MODELS.build(cfg.model)


# A run in miniature.


def small(cfg):
    """A config of a run that takes two batches of a few small images."""
    if 'train_cfg' in cfg and cfg.train_cfg is not None:
        length = 'max_iters' if 'max_iters' in cfg.train_cfg else 'max_epochs'
        cfg.train_cfg[length] = dict(max_iters=2, max_epochs=1)[length]
        cfg.train_cfg.val_interval = 1
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        if loader is not None:
            _shrink_loader(loader, 4 if split == 'train' else 2)
    if isinstance(cfg.get('default_hooks', {}).get('checkpoint'), dict):
        cfg.default_hooks.checkpoint.save_optimizer = False
    for part in _dicts(cfg._cfg_dict):
        checkpoint = part.get('checkpoint')
        if isinstance(checkpoint, str) and _WEB.match(checkpoint):
            part.update(type='Normal', layer='Conv2d')
            part.pop('checkpoint')
    if _WEB.match(cfg.get('load_from') or ''):
        cfg.load_from = None
    return cfg


def _shrink_loader(loader, images):
    from mmhmc.apis.sample_data import innermost_datasets
    loader.update(num_workers=0, batch_size=min(2, loader.batch_size))
    loader.pop('persistent_workers', None)
    for dataset in innermost_datasets(loader):
        dataset.indices = images
        for transform in _dicts(dataset.get('pipeline', [])):
            if isinstance(transform.get('scale'), tuple):
                transform['scale'] = (128, 128)
            if 'crop_size' in transform:
                transform['crop_size'] = 64 if isinstance(
                    transform['crop_size'], int) else (64, 64)


def _dicts(value):
    """All dictionaries in a nested value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for one in value:
            yield from _dicts(one)


def make_data(folder):
    """Folders that look like the data sets, with a few sample images."""
    from mmhmc.datasets import make_sample_instances
    sample = make_sample_instances(
        folder / 'data/mmhmc_sample', num_train=6, num_val=3)
    for name in ('images', 'data/kodak', 'data/celebamask_hq/val/images'):
        _copy(sample / 'val', folder / name, 2)
    for path in (folder / 'data/kodak').iterdir():
        # The smallest that MS-SSIM takes; VVenC is slow.
        with Image.open(path) as image:
            image.crop((0, 0, 168, 168)).save(path)
    for name in ('data/flicker2w', 'data/celebamask_hq/train/images',
                 'data/coco/train2017'):
        _copy(sample / 'train', folder / name, 6)
    _copy(sample / 'val', folder / 'data/coco/val2017', 3)
    (folder / 'data/coco/annotations').mkdir()
    for split in ('train', 'val'):
        content = json.loads(
            (sample / f'annotations/instances_{split}.json').read_text())
        names = ('person', 'bicycle', 'car', 'motorcycle', 'airplane')
        for category, name in zip(content['categories'], names):
            category['name'] = name
        (folder /
         f'data/coco/annotations/instances_{split}2017.json').write_text(
             json.dumps(content))


def _copy(source, target, count):
    """The first images of a folder."""
    target.mkdir(parents=True)
    for path in sorted(source.iterdir())[:count]:
        shutil.copy(path, target)
