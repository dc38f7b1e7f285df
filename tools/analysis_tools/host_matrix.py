"""Try every family of the installed hosts, bare and behind a codec.

`python tools/analysis_tools/host_matrix.py --resume` goes over one config of
each family, the smallest by its name: one training step and one prediction on
small random images, of the bare host and with a codec mixed in. Each family
has a process of its own, so one that crashes or hangs is a row of the table.
"""
import argparse
import json
import multiprocessing as mp
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Optional

from mmhmc.apis.command import run_tool
from mmhmc.machine import tune_cpu
from mmhmc.registry import type_name
from mmhmc.whole_files import write_whole

HOSTS = ('mmdet', 'mmseg', 'mmpretrain')
CODEC = dict(
    type='mmhmc.MeanScaleHyperprior', hidden_channels=8, latent_channels=8)
#: The rate does not pull here: what moves the codec is the host's loss.
LOSSES = dict(lmbda_rate=0., lmbda_distortion=0.)
#: Words in names of configs, small models first.
SIZES = [
    r'atto|femto|pico|nano|xxs|tiny|mini|(^|[-_])t([-_]|$)',
    r'r18|resnet18|18-d8|b0|xs|small|(^|[-_])s([-_]|$)|s12|(^|[-_])t0', r'r34',
    r'r50|resnet50|-b1', r'base|-b2|-b3|(^|[-_])m([-_]|$)',
    r'101|large|-l[-_]', r'huge|giant|w48'
]
_TWO = 2
#: Settings that make a step long, and what is enough here.
_FEWER = dict(num=32, nms_pre=100, max_per_img=10, num_points=256)


def parse_args() -> argparse.Namespace:
    """What to try and where to write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--hosts', nargs='+', default=HOSTS, choices=HOSTS)
    parser.add_argument(
        '--families', nargs='+', help='only these, e.g. mmdet/retinanet')
    parser.add_argument('--out', default='docs/host_matrix.md')
    parser.add_argument(
        '--results',
        default='work_dirs/host_matrix.jsonl',
        help='one line for each family, written as soon as it is known')
    parser.add_argument(
        '--resume', action='store_true', help='keep what is in --results')
    parser.add_argument(
        '--limit', type=float, default=300, help='seconds for a family')
    parser.add_argument('--jobs', type=int, default=1, help='processes')
    return parser.parse_args()


def main() -> None:
    """Try all families and write the table."""
    args = parse_args()
    hosts = [h for h in args.hosts if find_spec(h) is not None]
    results = Path(args.results)
    results.parent.mkdir(parents=True, exist_ok=True)
    if not args.resume:
        results.unlink(missing_ok=True)
    rows = read_rows(results)
    todo = [
        family for family in families(hosts)
        if '/'.join(family) not in rows and (
            args.families is None or '/'.join(family) in args.families)
    ]
    _import_hosts(hosts)
    with results.open('a') as file:
        for row in _in_processes(todo, args.jobs, args.limit):
            rows[f'{row["host"]}/{row["family"]}'] = row
            file.write(json.dumps(row) + '\n')
            file.flush()
    write_whole(args.out, table(sorted(rows.values(), key=_place)).encode())


def families(hosts: list[str]) -> list[tuple[str, str]]:
    """Folders of configs of the hosts."""
    return [(host, folder.name) for host in hosts
            for folder in sorted(_configs(host).iterdir())
            if folder.is_dir() and not folder.name.startswith('_')]


def read_rows(results: Path) -> dict[str, dict]:
    """Rows of an earlier run by family."""
    lines = results.read_text().splitlines() if results.exists() else []
    rows = [json.loads(line) for line in lines]
    return {f'{row["host"]}/{row["family"]}': row for row in rows}


def _configs(host: str) -> Path:
    folder = Path(find_spec(host).submodule_search_locations[0])
    return folder / '.mim/configs'


def _place(row: dict) -> tuple:
    return HOSTS.index(row['host']), row['family']


def _import_hosts(hosts: list[str]) -> None:
    """Import what all children need; they are forked from here."""
    import compressai  # noqa: F401
    import torch
    torch.set_num_threads(1)
    for host in hosts:
        import_module(f'{host}.utils').register_all_modules(
            init_default_scope=False)


def _in_processes(todo: list, jobs: int, limit: float) -> Iterator[dict]:
    """Rows of all families, a child process for each."""
    from rich.progress import Progress
    context, running, waiting = mp.get_context('fork'), [], list(todo)
    with Progress(disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task('families', total=len(todo))
        while waiting or running:
            while waiting and len(running) < jobs:
                family = waiting.pop(0)
                progress.update(task, description='/'.join(family))
                ours, theirs = context.Pipe(False)
                child = context.Process(target=_child, args=(family, theirs))
                child.start()
                theirs.close()
                running.append((family, child, ours, time.monotonic()))
            time.sleep(0.1)
            for one in list(running):
                row = _finished(*one, limit)
                if row is not None:
                    running.remove(one)
                    progress.advance(task)
                    yield row


def _finished(family: tuple, child, pipe, start: float,
              limit: float) -> Optional[dict]:
    """Row of a child that has ended, or has had its time."""
    row = dict(host=family[0], family=family[1], config='')
    late = time.monotonic() - start > limit
    if child.is_alive() and not pipe.poll() and not late:
        return None
    # A child tells what it knows after every step; the last is the most.
    try:
        while pipe.poll():
            row = pipe.recv()
            if row.pop('done', False):
                late = False
                child.join(5)
                break
        else:
            if child.is_alive() and not late:
                _partial[family] = row
                return None
    except EOFError:
        pass
    row = row if row['config'] else _partial.get(family, row)
    row.pop('done', None)
    if child.is_alive():
        child.kill()
        child.join()
    if not row.pop('finished', False):
        row['reason'] = f'no answer in {limit:.0f} s' if late else \
            f'process ended with {child.exitcode}'
    return row


#: What children have told so far.
_partial: dict[tuple, dict] = {}


def _child(family: tuple, pipe) -> None:
    sys.stdout = sys.stderr = open(os.devnull, 'w')
    row = dict(host=family[0], family=family[1], config='')

    def tell(**known) -> None:
        row.update(known)
        pipe.send(dict(row))

    try_family(*family, tell)
    pipe.send(dict(row, finished=True, done=True))


def try_family(host: str, family: str, tell: Callable) -> None:
    """Try one config of a family.

    Args:
        host: Module of the host.
        family: Folder of its configs.
        tell: Called with what is known: ``config``; ``bare_train``,
            ``bare_predict``, ``train``, ``predict``, ``gradient``: whether
            they worked; ``reason`` why something did not.
    """
    from mmengine.logging import MessageHub
    from mmengine.registry import DefaultScope

    from mmhmc.apis.mixing import mix_codec
    cfg, path = _smallest(host, family)
    tell(config=path)
    if cfg is None:
        return tell(reason='no config that reads and has a model')
    DefaultScope.get_instance(f'{host}/{family}', scope_name=host)
    # Some hosts ask how far training has come.
    for name, value in dict(
            iter=0, epoch=0, max_iters=9, max_epochs=9).items():
        MessageHub.get_current_instance().update_info(name, value)
    cfg = _without_weights(cfg)
    batches, reasons = None, []
    for batches in _batches(host, cfg):
        trains, why = _attempt(cfg, batches, 'train')
        tell(bare_train=trains)
        if trains:
            break
        reasons = reasons or [f'bare training: {why}']
    if trains:
        reasons = []
    predicts, why = _attempt(cfg, batches, 'predict')
    tell(bare_predict=predicts)
    if not predicts:
        reasons.append(f'bare prediction: {why}')
    tell(reason='; '.join(reasons))
    if not trains and not predicts:
        return
    try:
        mixed = mix_codec(cfg, CODEC, losses=LOSSES)
    except ValueError as refused:
        return tell(reason=f'{refused}')
    for mode, runs_bare in (('train', trains), ('predict', predicts)):
        if runs_bare:
            works, why = _attempt(mixed, batches, mode, tell)
            tell(**{mode: works})
            reasons += [] if works else [f'mixed: {why}']
    tell(reason='; '.join(reasons))


# Configs.


def _smallest(host: str, family: str) -> tuple:
    """The first config by size that has a model, and its path."""
    from mmengine.config import Config
    files = [
        f for f in (_configs(host) / family).rglob('*.py')
        if not {'benchmarks', 'deploy'}
        & set(f.parts) and not f.name.startswith('_')
    ]
    for file in sorted(files, key=lambda f: (_rank(f.stem), len(f.stem), f)):
        try:
            cfg = Config.fromfile(file)
        # What a broken config of a host raises is not ours to know.
        except Exception as error:  # noqa: B902
            print(
                f'{file} is left out: {type(error).__name__}: {error}',
                file=sys.stderr)
            continue
        if isinstance(cfg.get('model'), dict):
            return cfg, file.relative_to(_configs(host)).as_posix()
    return None, ''


def _rank(name: str) -> int:
    found = [i for i, words in enumerate(SIZES) if re.search(words, name)]
    return found[-1] if found else 3


def _without_weights(cfg):
    """A copy that downloads nothing, and looks at fewer candidates."""
    cfg = deepcopy(cfg)

    def clean(part) -> None:
        for key, value in list(part.items()):
            if isinstance(value, int) and key in _FEWER:
                part[key] = min(value, _FEWER[key])
            elif key in ('pretrained',
                         'load_from') or (key == 'init_cfg'
                                          and 'checkpoint' in str(value)):
                part[key] = None
            elif isinstance(value, dict):
                clean(value)
            elif isinstance(value, (list, tuple)):
                for one in value:
                    if isinstance(one, dict):
                        clean(one)

    clean(cfg.model)
    return cfg


# Images and what is known of them.


def _batches(host: str, cfg) -> Iterator[dict]:
    """Batches for training and prediction, until one fits the host."""
    make = dict(mmdet=_detection, mmseg=_segmentation, mmpretrain=_packed)
    yield from make[host](cfg)


def _num_classes(cfg) -> int:
    """The smallest number of classes that a part of the model has."""
    found = re.findall(r"'num_(?:things_)?classes': (\d+)",
                       str(cfg.model.to_dict()))
    return min([int(n) for n in found if int(n)] or [2])


def _detection(cfg) -> Iterator[dict]:
    import numpy as np
    from mmdet.testing import demo_mm_inputs, demo_track_inputs
    from mmengine.structures import InstanceData
    kind = str((cfg.model.get('data_preprocessor') or {}).get('type'))
    classes = _num_classes(cfg)
    for side, stride, masks in ((128, 1, True), (128, 1, False),
                                (128, 8, True), (320, 1, True)):
        if 'Track' in kind:
            # Videos, of which the host takes one at a time.
            data = demo_track_inputs(
                1,
                key_frames_inds=[0],
                image_shapes=[(3, side, side)],
                with_mask=True)
            yield dict(train=data, predict=data)
            continue
        data = demo_mm_inputs(
            _TWO, [(3, side, side)] * _TWO, [2, 3],
            with_mask=masks,
            with_semantic=True,
            sem_seg_output_strides=stride)
        for sample in data['data_samples']:
            sample.set_metainfo(
                dict(
                    text='a . b',
                    custom_entities=True,
                    tokens_positive=-1,
                    scale_factor=(1., 1.),
                    batch_input_shape=(side, side),
                    homography_matrix=np.eye(3, dtype=np.float32)))
            objects = sample.gt_instances
            objects.labels = objects.labels % classes
            # For hosts that are given their proposals.
            sample.proposals = InstanceData(
                bboxes=objects.bboxes.clone(), scores=objects.labels * 0. + 1)
        train = data
        if 'MultiBranch' in kind:
            # A semi-supervised host learns from three branches.
            train = {
                key: {
                    branch: deepcopy(value)
                    for branch in ('sup', 'unsup_teacher', 'unsup_student')
                }
                for key, value in data.items()
            }
        yield dict(train=train, predict=data)


def _segmentation(cfg) -> Iterator[dict]:
    import torch
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample
    preprocessor = cfg.model.get('data_preprocessor') or {}
    for side in (128, 512):
        shape = (side, side)
        if preprocessor.get('size_divisor') is None:
            # In place of the crop size, which some configs leave open.
            cfg.model.data_preprocessor.size = shape
        data = dict(inputs=[], data_samples=[])
        for i in range(_TWO):
            sample = SegDataSample(
                metainfo=dict(
                    img_shape=shape,
                    ori_shape=shape,
                    pad_shape=shape,
                    scale_factor=(1., 1.),
                    flip=False,
                    flip_direction=None,
                    img_path=f'{i}.png'))
            classes = torch.randint(0, _num_classes(cfg), (1, *shape))
            sample.gt_sem_seg = PixelData(data=classes)
            sample.gt_edge_map = PixelData(data=classes % 2)
            sample.gt_depth_map = PixelData(data=torch.rand(1, *shape) + 1)
            data['inputs'].append(_image(side))
            data['data_samples'].append(sample)
        yield dict(train=data, predict=data)


def _image(side: int):
    import torch
    return torch.randint(0, 256, (3, side, side), dtype=torch.uint8)


def _packed(cfg) -> Iterator[dict]:
    """What the host's own pipelines make of a file.

    Their sizes suit the models, and only they know of masks and views.
    """
    from mmengine.registry import FUNCTIONS
    packed = {}
    for mode, names in dict(
            train=('train', 'test', 'val'), predict=('test', 'val')).items():
        loader = next(
            filter(None, (cfg.get(f'{n}_dataloader') for n in names)), None)
        if loader is None:
            packed[mode] = None
            continue
        collate = loader.get('collate_fn') or dict(type='pseudo_collate')
        with tempfile.TemporaryDirectory() as folder:
            items = [_item(loader, cfg, folder, i) for i in range(_TWO)]
        kind = collate['type']
        kind = FUNCTIONS.get(kind) if isinstance(kind, str) else kind
        packed[mode] = kind(items)
    yield packed


def _item(loader: dict, cfg, folder: str, number: int) -> dict:
    import numpy as np
    from mmcv.transforms import Compose
    from PIL import Image
    dataset = loader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    small = dict(MNIST=(28, 28), CIFAR10=(32, 32, 3), CIFAR100=(32, 32, 3))
    shape = small.get(type_name(dataset), (300, 280, 3))
    image = np.random.default_rng(number).integers(0, 256, shape, np.uint8)
    path = f'{folder}/{number}.png'
    Image.fromarray(image).save(path)
    # As the data set gives it to the pipeline.
    known = dict(
        img_path=path,
        img=image,
        img_shape=shape[:2],
        ori_shape=shape[:2],
        gt_label=number,
        sample_idx=number)
    if 'MultiLabel' in str(cfg.model.get('head')) or \
            'CSRA' in str(cfg.model.get('head')):
        known['gt_label'] = [number]
    return Compose(dataset.pipeline)(known)


# One step.


def _attempt(cfg,
             batches: Optional[dict],
             mode: str,
             tell: Callable = lambda **known: None) -> tuple:
    """Whether a step works, and why not."""
    batch = (batches or {}).get(mode)
    if batch is None:
        return False, 'no data for it in the config'
    try:
        _step(cfg, deepcopy(batch), mode, tell)
    # Whatever a host raises is what the table is to say.
    except Exception as error:  # noqa: B902
        text = re.sub(r'/\S*/site-packages/', '', ' '.join(str(error).split()))
        return False, f'{type(error).__name__}: {text}'[:160]
    return True, None


def _step(cfg, batch, mode: str, tell: Callable) -> None:
    """One training step or one prediction.

    Raises:
        RuntimeError: If a codec in front gets nothing to do or to learn.
    """
    import numpy as np
    import torch

    from mmhmc.engine import RateLossHook
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    model = _build(cfg)
    hook, mixed = None, 'CodecBackbone' in str(cfg.model.to_dict())
    if mixed:
        hook = RateLossHook(**LOSSES)
        hook.attach(model)
        codec = hook._coders[0].codec
    if mode == 'train':
        model.train()
        losses = model(**model.data_preprocessor(batch, True), mode='loss')
        loss, _ = model.parse_losses(losses)
        loss.backward()
        if mixed:
            learns = any(
                p.grad is not None and bool(p.grad.abs().sum() > 0)
                for coder in hook._coders
                for p in coder.codec.g_a.parameters())
            tell(gradient=learns)
            if 'bpp' not in losses or not learns:
                raise RuntimeError('no gradient reaches the codec')
        return
    model.eval()
    if mixed:
        for coder in hook._coders:
            coder.codec.update_entropy_tables()
    with torch.no_grad():
        samples = model.test_step(batch)
    if mixed and 'coding' not in samples[0]:
        frames = getattr(samples[0], 'video_data_samples', None)
        if not frames or 'coding' not in frames[0]:
            raise RuntimeError('nothing was coded: '
                               f'{type(codec).__name__} is not in the way')


def _build(cfg):
    import torch
    from mmengine.registry import MODELS
    model = deepcopy(cfg.model)
    if cfg.get('data_preprocessor') is not None:
        # As mmengine's runner does.
        model.setdefault('data_preprocessor', deepcopy(cfg.data_preprocessor))
    # So that memory which a host leaves as it was is NaN, and not by chance.
    torch.use_deterministic_algorithms(True)
    model = MODELS.build(model)
    torch.use_deterministic_algorithms(False)
    model.init_weights()
    _fill(model)
    return model


def _fill(model) -> None:
    """Give weights to what a host begins without.

    That is left uninitialised, or is zero, so that no gradient passes: a
    transformer's head, a residual branch's last scale.
    """
    import torch
    with torch.no_grad():
        for parameter in model.parameters():
            unset = parameter.ndim > 1 and not parameter.any()
            if parameter.requires_grad and unset or \
                    not parameter.isfinite().all():
                parameter.normal_(std=0.02)


# The table.


def table(rows: list[dict]) -> str:
    """The page with the table and its counts."""
    runs = [r for r in rows if r.get('bare_train') or r.get('bare_predict')]
    works = [r for r in runs if _as_bare(r)]
    refused = [r for r in runs if r not in works]
    lines = [
        '# Hosts behind a codec', '',
        'Written by `tools/analysis_tools/host_matrix.py`: one config of each '
        'family, the', 'smallest by its name, without pretrained weights, on '
        'two small random images; a', 'training step and a prediction, bare '
        'and with `mix_codec` and a small mean-scale', 'hyperprior. '
        '"gradient": that of the host\'s own loss reaches the codec.', '',
        f'- families tried: {len(rows)}', f'- run bare: {len(runs)}',
        f'- of these, run behind a codec as they do bare: {len(works)}'
        f' ({100 * len(works) / max(1, len(runs)):.0f} %)',
        f'- with a gradient in the codec: '
        f'{sum(bool(r.get("gradient")) for r in runs)} of '
        f'{sum(bool(r.get("bare_train")) for r in runs)} that train bare', ''
    ]
    if refused:
        lines += [
            'Not yet: ' + ', '.join(f'{r["host"]}/{r["family"]}'
                                    for r in refused) + '.', ''
        ]
    for host in HOSTS:
        of_host = [r for r in rows if r['host'] == host]
        if not of_host:
            continue
        lines += [
            f'## {host}', '', '| family | config | bare: train, predict | '
            'mixed: train, predict | gradient | reason |',
            '|---|---|---|---|---|---|'
        ]
        lines += [_line(row) for row in of_host]
        lines.append('')
    return '\n'.join(lines)


def _as_bare(row: dict) -> bool:
    return (bool(row.get('train')) >= bool(row.get('bare_train'))
            and bool(row.get('predict')) >= bool(row.get('bare_predict')))


def _line(row: dict) -> str:

    def said(*keys: str) -> str:
        return ', '.join(
            '-' if row.get(k) is None else ('yes' if row[k] else 'no')
            for k in keys)

    name = Path(row['config']).stem or '-'
    reason = (row.get('reason') or '').replace('|', r'\|')
    return (f'| {row["family"]} | {name} | '
            f'{said("bare_train", "bare_predict")} | '
            f'{said("train", "predict")} | {said("gradient")} | {reason} |')


if __name__ == '__main__':
    tune_cpu()
    run_tool(main)
