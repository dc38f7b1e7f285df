"""The model zoo for users: its models, their configs, their weights."""
from pathlib import Path

from mmengine.config import Config

from mmhmc.whole_files import write_whole
from mmhmc.zoo import (ZooModel, config_path, fetch_weights, find_model,
                       list_models)
from . import training

__all__ = [
    'ZooModel', 'download_model', 'fetch_weights', 'find_model', 'list_models',
    'load_config', 'show_models'
]


def load_config(name: str) -> Config:
    """Config of a model of the zoo, with the model's options applied.

    Args:
        name: Model of the zoo, see :func:`find_model`.

    Raises:
        RuntimeError: If the host that the config builds on is not installed.
        ValueError: If there is no such model.
    """
    model = find_model(name)
    return training.load_config(config_path(model), model.options)


def download_model(name: str,
                   dest: str | Path = '.',
                   base_url: str | None = None,
                   progress: bool = True) -> tuple[Path, Path]:
    """Put the weights and the whole config of a model into a folder.

    Args:
        name: Model of the zoo.
        dest: Folder, made if it is missing.
        base_url: See :func:`fetch_weights`.
        progress: Show the progress on stderr.

    Returns:
        File with the config, without bases, and file with the weights; both
        replace what is there.

    Raises:
        OSError: If the weights cannot be had, or the folder not written to.
        RuntimeError: If the host that the config builds on is not installed.
        ValueError: If there is no such model, or the weights are others.
    """
    model = find_model(name)
    cfg = load_config(name)
    weights = fetch_weights(name, base_url, progress)
    dest = Path(dest).expanduser()
    dest.mkdir(parents=True, exist_ok=True)
    config, copy = dest / f'{name}.py', dest / model.weights
    write_whole(config, cfg.pretty_text.encode())
    write_whole(copy, weights.read_bytes())
    return config, copy


def show_models() -> None:
    """Print a table of the zoo, with the results of each model."""
    from rich.console import Console
    from rich.table import Column, Table

    # Whole, so that it can be copied.
    name = Column('name', no_wrap=True)
    table = Table(name, 'MB', 'results', 'what it is')
    for model in list_models().values():
        results = [
            f'{dataset}: ' + ', '.join(f'{metric} {value}'
                                       for metric, value in metrics.items())
            for dataset, metrics in model.results.items()
        ]
        table.add_row(model.name, f'{model.size / 1e6:.1f}',
                      '\n'.join(results), model.summary)
    Console().print(table)
