import itertools

import numpy as np
import pytest
from conftest import make_runner, tiny_codec, wrapped_model
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS
from mmengine.structures import BaseDataElement

from mmhmc.engine import RateLossHook
from mmhmc.engine.host_batches import image_size
from mmhmc.engine.padding_steps import pads_resized_images

transforms = pytest.importorskip('mmcv.transforms')

RESIZE = dict(type='Resize', scale=(96, 80), keep_ratio=True)
OTHER_RESIZE = dict(type='Resize', scale=(48, 40), keep_ratio=True)
PAD = dict(type='Pad', size=(128, 160))
FLIP = dict(type='RandomFlip', prob=1.)
CROP = dict(type='CenterCrop', crop_size=(30, 50))
BETWEEN = dict(
    type='RandomResize', scale=[(96, 80), (48, 40)], keep_ratio=True)
STEPS = dict(
    resize=RESIZE,
    other=OTHER_RESIZE,
    between=BETWEEN,
    pad=PAD,
    flip=FLIP,
    crop=CROP)


def build(*steps):
    return Compose([
        transforms.TRANSFORMS.build(step) if isinstance(step, dict) else step
        for step in steps
    ])


def run(pipeline):
    """Samples of a white image; padding is black."""
    image = np.full((70, 100, 3), 255, np.uint8)
    results = pipeline(
        dict(img=image, img_shape=(70, 100), ori_shape=(70, 100)))
    keys = ('img_shape', 'ori_shape', 'scale_factor')
    sample = BaseDataElement(
        metainfo={k: results[k]
                  for k in keys if k in results})
    return results['img'], sample


def takes_pixels_for_padding(names):
    pipeline = build(*(STEPS[name] for name in names))
    canvas, sample = run(pipeline)
    height, width = image_size(sample, pads_resized_images(pipeline))
    canvas[:height, :width] = 0
    return canvas.any()


@pytest.mark.parametrize('count', [1, 2, 3])
def test_no_pixel_of_a_image_is_taken_for_padding(count):
    wrong = [
        names for names in itertools.permutations(STEPS, count)
        if takes_pixels_for_padding(names)
    ]
    assert not wrong, wrong


@pytest.mark.parametrize('names', [('resize', 'pad'),
                                   ('flip', 'resize', 'pad'),
                                   ('between', 'flip', 'pad', 'pad')])
def test_padding_after_one_resize_is_known(names):
    pipeline = build(*(STEPS[name] for name in names))
    canvas, sample = run(pipeline)
    height, width = image_size(sample, pads_resized_images(pipeline))
    assert canvas[:height, :width].all() and (height, width) < canvas.shape[:2]


def test_steps_of_segmentors_that_resize_again_leave_nothing_out():
    seg = pytest.importorskip('mmseg.datasets.transforms')
    again = seg.ResizeToMultiple(size_divisor=32)
    for steps in ([RESIZE, again], [again], [RESIZE, again, PAD]):
        pipeline = build(*steps)
        canvas, sample = run(pipeline)
        height, width = image_size(sample, pads_resized_images(pipeline))
        canvas[:height, :width] = 0
        assert not canvas.any()


def test_padding_is_known_if_it_is_in_every_view():

    def views(*last):
        return build(
            dict(
                type='TestTimeAug',
                transforms=[[RESIZE, OTHER_RESIZE], [FLIP], *last]))

    assert pads_resized_images(views([PAD]))
    assert not pads_resized_images(views([PAD, CROP]))


class Data:

    def __init__(self, pipeline=None, **wrapped):
        self.__dict__.update(wrapped)
        if pipeline is not None:
            self.pipeline = pipeline


def test_data_sets_in_others_have_a_part_of_the_steps():
    plain, resized = Data(build(RESIZE, PAD)), Data(build(RESIZE))
    flipped = Data(build(RESIZE, PAD, FLIP))
    assert pads_resized_images(Data(dataset=plain))
    assert pads_resized_images(Data(datasets=[plain, plain]))
    assert not pads_resized_images(Data(datasets=[plain, flipped]))
    # One that mixes images has a list of steps of its own.
    later = [transforms.TRANSFORMS.build(PAD)]
    assert pads_resized_images(Data(later, dataset=resized))
    assert not pads_resized_images(Data([*later, object()], dataset=resized))


def test_steps_and_data_that_are_not_known_tell_nothing():

    class Resize(transforms.Resize):
        """A project's own, of a known name."""

    own = Resize(scale=(96, 80))
    assert not pads_resized_images(build(own, PAD))
    assert not pads_resized_images(build(object.__call__, RESIZE, PAD))
    assert not pads_resized_images(object())
    assert not pads_resized_images(None)


@TRANSFORMS.register_module()
class PackTiny:

    def __call__(self, results):
        import torch
        sample = BaseDataElement(
            metainfo={
                key: results.get(key)
                for key in ('img_shape', 'ori_shape', 'scale_factor')
            })
        inputs = torch.from_numpy(results['img'].copy()).permute(2, 0, 1)
        return dict(inputs=inputs, data_samples=sample)


class Images:

    def __init__(self, pipeline):
        self.pipeline = pipeline

    def __len__(self):
        return 2

    def __getitem__(self, index):
        img = np.random.default_rng(index).integers(
            0, 256, (40, 50, 3), dtype=np.uint8)
        return self.pipeline(
            dict(img=img, img_shape=(40, 50), ori_shape=(40, 50)))


@pytest.mark.parametrize('mode', ['val', 'test'])
@pytest.mark.parametrize(
    'steps, size, says', [([RESIZE, PAD], (77, 96), 0),
                          ([RESIZE, OTHER_RESIZE], (39, 48), 1),
                          ([RESIZE, PAD, FLIP], (160, 128), 1)],
    ids=['pad', 'twice', 'flip'])
def test_what_a_runner_codes_is_the_image(tmp_path, monkeypatch, mode, steps,
                                          size, says):
    lines, sizes = [], []
    monkeypatch.setattr('mmhmc.engine.host_batches.print_log',
                        lambda line, **_: lines.append(line))
    model = wrapped_model(tiny_codec('FactorizedPrior'))
    code_images = model.backbone.code_images

    def code(*args):
        coded = code_images(*args)
        sizes.extend(coded.sizes)
        return coded

    model.backbone.code_images = code
    loader = dict(
        dataset=Images(Compose([*build(*steps).transforms,
                                PackTiny()])),
        batch_size=1,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=False))
    runner = make_runner(
        model,
        tmp_path, [RateLossHook()],
        train_dataloader=None,
        train_cfg=None,
        optim_wrapper=None,
        **{
            f'{mode}_dataloader': loader,
            f'{mode}_cfg': dict(),
            f'{mode}_evaluator': dict(type='mmhmc.BitrateMetric')
        })
    getattr(runner, mode)()
    assert sizes == [size, size]
    assert len([line for line in lines if 'padded' in line]) == says
