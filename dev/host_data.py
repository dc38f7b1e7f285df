"""Small random images, as each host takes them in a batch."""
import re
import tempfile
from collections.abc import Iterator
from copy import deepcopy

from mmhmc.registry import type_name

_TWO = 2


def batches_for(host: str, cfg) -> Iterator[dict]:
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
