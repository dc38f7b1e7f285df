"""The model zoo for users: its models, their configs, their weights."""
from pathlib import Path

from mmhmc.former_names import former_attribute
from mmhmc.whole_files import write_whole
from mmhmc.zoo import ZooModel, fetch_weights, find_model, list_models

__all__ = [
    'ZooModel', 'describe_model', 'download_model', 'fetch_weights',
    'find_model', 'list_models', 'show_models'
]

__getattr__ = former_attribute(__name__)


def download_model(name: str,
                   dest: str | Path = '.',
                   base_url: str | None = None,
                   progress: bool = True,
                   force: bool = False) -> tuple[Path, Path]:
    """Put the weights and the whole config of a model into a folder.

    Args:
        name: Model of the zoo.
        dest: Folder, made if it is missing.
        base_url: See :func:`fetch_weights`.
        progress: Show the progress on stderr.
        force: Replace files that are there and differ.

    Returns:
        File with the config, without bases, and file with the weights.

    Raises:
        FileExistsError: If another file is there.
        OSError: If the weights cannot be had, or the folder not written to.
        RuntimeError: If the host that the config builds on is not installed.
        ValueError: If there is no such model, or the weights are others.
    """
    # The list of the zoo needs no mmengine.
    from .training import load_config
    model = find_model(name)
    text = load_config(name).pretty_text.encode()
    weights = fetch_weights(name, base_url, progress).read_bytes()
    dest = Path(dest).expanduser()
    dest.mkdir(parents=True, exist_ok=True)
    config, copy = dest / f'{name}.py', dest / model.weights
    for file, content in ((config, text), (copy, weights)):
        if file.exists() and not force and file.read_bytes() != content:
            raise FileExistsError(
                f'{file} exists and is another. Move it away, or replace it '
                'with --force.')
    write_whole(config, text)
    write_whole(copy, weights)
    return config, copy


def show_models() -> None:
    """Print a table of the zoo, with the results of each model."""
    from rich.console import Console
    from rich.table import Column, Table

    # Whole, so that it can be copied.
    name = Column('name', no_wrap=True)
    table = Table(name, 'MB', 'results', 'what it is')
    for model in list_models().values():
        table.add_row(model.name, f'{model.size / 1e6:.1f}',
                      '\n'.join(_results(model)), model.summary)
    Console().print(table)


def describe_model(name: str) -> str:
    """All that is known of a model of the zoo, a few lines.

    Args:
        name: Model of the zoo.

    Raises:
        ValueError: If there is no such model.
    """
    model = find_model(name)
    rows = {
        'method': [model.collection],
        'config': [f'configs/{model.config}'],
        'options': [f'{key}={value}' for key, value in model.options.items()],
        'weights':
        [f'{model.weights}, {model.size} bytes', f'SHA-256 {model.sha256}'],
        'results':
        _results(model),
        **{
            key: [str(value)]
            for key, value in model.metadata.items()
        },
    }
    width = max(len(key) for key in rows)
    lines = [f'{model.name}: {model.summary}']
    for key, values in rows.items():
        for number, value in enumerate(values):
            lines.append(f'  {"" if number else key:{width}}  {value}')
    return '\n'.join(lines)


def _results(model: ZooModel) -> list[str]:
    """Metrics of a model, a line for each data set."""
    return [
        f'{dataset}: ' + ', '.join(f'{metric} {value}'
                                   for metric, value in metrics.items())
        for dataset, metrics in model.results.items()
    ]
