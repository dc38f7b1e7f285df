"""Metadata is in ``setup.cfg``; what needs code is here.

That is the folder ``mmhmc/.mim``, and the compiled entropy coder.
"""
import os
import shutil
from pathlib import Path

from setuptools import Extension, setup

ROOT = Path(__file__).resolve().parent
#: Models whose weights are part of the package: those of `mmhmc demo`.
PACKAGED = ('dcvc-uf-small_pictures', 'dcvc-uf-small_dynadapt_coco',
            'yolox-nano_coco')


def add_mim_extension() -> None:
    """Make configs, tools and some weights reachable: ``mmhmc/.mim``.

    mmengine (``mmhmc::`` bases) and mim look for them there. They are links,
    so an editable install sees every edit; a wheel or an sdist receives the
    files the links point to, as package data; ``mmhmc doctor`` reads the
    requirements there. A source that is absent is left out.
    """
    folder = ROOT / 'mmhmc' / '.mim'
    weights = [f'model_zoo/{name}.safetensors' for name in PACKAGED]
    for name in ('configs', 'requirements', 'tools', 'model-index.yml',
                 *weights):
        source, target = ROOT / name, folder / name
        if not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir() and not target.is_symlink():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
        try:
            target.symlink_to(os.path.relpath(source, target.parent))
        except OSError:  # Windows without the right to make links
            copy = shutil.copytree if source.is_dir() else shutil.copy
            copy(source, target)


def extensions() -> list[Extension]:
    """The entropy coder, where it can be compiled.

    Without pybind11 or a compiler the installation succeeds nevertheless:
    then the coder in Python serves, and ``mmhmc doctor`` says so.
    """
    try:
        from pybind11.setup_helpers import Pybind11Extension
    except ImportError:
        return []
    return [
        Pybind11Extension(
            'mmhmc.bitstream._rans', ['mmhmc/bitstream/rans.cpp'],
            cxx_std=17,
            extra_compile_args=[] if os.name == 'nt' else ['-O3'],
            optional=True)
    ]


if __name__ == '__main__':
    add_mim_extension()
    setup(ext_modules=extensions())
