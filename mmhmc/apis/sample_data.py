"""Any host's config, with the built-in images as its data."""
from collections.abc import Iterator
from copy import deepcopy

from mmengine.config import Config, ConfigDict

from mmhmc.datasets.sample_labels import SEMANTIC_CLASSES
from .mixing import host_of

SAMPLE_ROOT = 'data/mmhmc_sample'
_LABELS_ROOT = f'{SAMPLE_ROOT}_labels'
_KEPT = ('pipeline', 'test_mode', 'backend_args', '_scope_')


def use_sample_data(cfg: Config) -> Config:
    """Let a host's config load the built-in images.

    Pipelines, loaders, samplers and wrappers of data sets stay; the data set
    inside is replaced. Heads keep their number of classes, which is more
    than the five or six there are. Detectors get instances, segmentors the
    class of each pixel, classifiers that of the largest object.

    Args:
        cfg: A host's config; it is not changed. Its ``default_scope`` says
            which host it is.

    Returns:
        A new config, for :func:`mmhmc.apis.training.prepare_data` to make
        the data set of.

    Raises:
        ValueError: If it is no config of mmdet, mmseg or mmpretrain.
    """
    host = host_of(cfg)
    if host not in _DATASETS:
        raise ValueError('--sample-data needs a config of mmdet, mmseg or '
                         f'mmpretrain, got `default_scope={host!r}`.')
    cfg = deepcopy(cfg)
    cfg.sample_data_root = SAMPLE_ROOT
    if host != 'mmdet':
        cfg.sample_labels_root = _LABELS_ROOT
    for split in ('train', 'val', 'test'):
        loader = cfg.get(f'{split}_dataloader')
        for dataset in innermost_datasets(loader) if loader else ():
            kept = {key: dataset[key] for key in _KEPT if key in dataset}
            dataset.clear()
            dataset.update(
                ConfigDict(
                    _DATASETS[host]('train' if split == 'train' else 'val'),
                    **kept))
    if host == 'mmdet':
        for name in ('val_evaluator', 'test_evaluator'):
            if cfg.get(name) is not None:
                cfg[name] = _coco_metric(cfg[name])
    return cfg


def innermost_datasets(dataset: dict) -> Iterator[dict]:
    """Data sets that load files, below all that wrap them.

    Args:
        dataset: Config of a data set, or of its loader.
    """
    if 'dataset' in dataset:
        yield from innermost_datasets(dataset['dataset'])
    elif 'datasets' in dataset:
        for one in dataset['datasets']:
            yield from innermost_datasets(one)
    else:
        yield dataset


def _instances(split: str) -> dict:
    return dict(
        type='mmdet.CocoDataset',
        data_root=SAMPLE_ROOT,
        ann_file=f'annotations/instances_{split}.json',
        data_prefix=dict(img=f'{split}/'),
        metainfo=dict(classes=SEMANTIC_CLASSES[1:]))


def _pixels(split: str) -> dict:
    return dict(
        type='mmseg.BaseSegDataset',
        data_prefix=dict(
            img_path=f'{SAMPLE_ROOT}/{split}',
            seg_map_path=f'{_LABELS_ROOT}/{split}'),
        img_suffix='.png',
        seg_map_suffix='.png',
        reduce_zero_label=False,
        metainfo=dict(
            classes=SEMANTIC_CLASSES,
            palette=[[40 * i, 255 - 40 * i, 128]
                     for i in range(len(SEMANTIC_CLASSES))]))


def _largest(split: str) -> dict:
    return dict(
        type='mmpretrain.CustomDataset',
        ann_file=f'{_LABELS_ROOT}/{split}.txt',
        data_prefix=f'{SAMPLE_ROOT}/{split}',
        metainfo=dict(classes=SEMANTIC_CLASSES[1:]))


_DATASETS = dict(mmdet=_instances, mmseg=_pixels, mmpretrain=_largest)


def _coco_metric(evaluator) -> dict:
    """COCO's metric of the built-in set, of what the host measures."""
    first = evaluator[0] if isinstance(evaluator, (list, tuple)) else evaluator
    metric = first.get('metric', 'bbox')
    known = {'bbox', 'segm', 'proposal', 'proposal_fast'}
    return dict(
        type='mmdet.CocoMetric',
        ann_file=f'{SAMPLE_ROOT}/annotations/instances_val.json',
        metric=metric if set([metric] if isinstance(metric, str) else metric)
        <= known else 'bbox')
