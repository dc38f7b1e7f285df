"""Images and curves in mmengine's visualizer."""
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import (CODECS, TinyBackbone, batch_of, make_runner,
                      smooth_images, tiny_codec, with_val, wrapped_model)
from mmengine.registry import VISBACKENDS, VISUALIZERS
from mmengine.structures import BaseDataElement
from mmengine.visualization import Visualizer
from mmengine.visualization.vis_backend import BaseVisBackend
from PIL import Image

from mmhmc.adapters import DynamicAdaptation
from mmhmc.engine import RateLossHook
from mmhmc.models import CodecBackbone
from mmhmc.visualization import CodecVisualizationHook, draw_coding


@pytest.fixture
def model():
    adapter = DynamicAdaptation(4)
    torch.nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    return wrapped_model(tiny_codec('MeanScaleHyperprior'), adapter)


def validated(model, folder, hook):
    """Folder of a run that has validated once; two images a batch."""
    backends = [dict(type='LocalVisBackend')]
    runner = make_runner(
        model,
        folder, [RateLossHook(), hook],
        max_epochs=1,
        visualizer=dict(
            type='Visualizer', vis_backends=backends, name=folder.name),
        **with_val(['BitrateMetric', 'PSNRMetric']))
    runner.model.backbone.codec.update_entropy_tables()
    runner.val()
    return runner


def images(folder):
    return {
        path.name: np.asarray(Image.open(path))
        for path in folder.rglob('vis_image/*.png')
    }


def test_each_nth_image_is_shown_with_all_that_became_of_it(model, tmp_path):
    validated(model, tmp_path, CodecVisualizationHook(interval=1))
    found = images(tmp_path)
    assert set(found) == {
        f'codec_{number}_{name}_0.png'
        for number in (0, 1)
        for name in ('original', 'decoded', 'adapted', 'bits', 'error')
    }
    assert {
        found[f'codec_1_{name}_0.png'].shape
        for name in ('original', 'decoded', 'bits')
    } == {(33, 50, 3)}
    original, decoded, error = (
        found[f'codec_0_{name}_0.png'].astype(int)
        for name in ('original', 'decoded', 'error'))
    np.testing.assert_array_equal(error,
                                  np.minimum(8 * abs(original - decoded), 255))


def test_others_are_not_shown(model, tmp_path):
    validated(model, tmp_path, CodecVisualizationHook(interval=2))
    assert {name.split('_')[1] for name in images(tmp_path)} == {'0'}


def test_no_more_are_shown_than_asked_for(model, tmp_path):
    hook = CodecVisualizationHook(interval=1, max_images=1)
    runner = validated(model, tmp_path, hook)
    assert {name.split('_')[1] for name in images(tmp_path)} == {'0'}
    # The next validation counts anew.
    for path in tmp_path.rglob('vis_image/*.png'):
        path.unlink()
    runner.val()
    assert {name.split('_')[1] for name in images(tmp_path)} == {'0'}


def test_test_shows_images_too(model, tmp_path):
    loaders = with_val(['BitrateMetric'])
    renamed = {
        key.replace('val_', 'test_'): value
        for key, value in loaders.items()
    }
    runner = make_runner(
        model,
        tmp_path,
        [RateLossHook(), CodecVisualizationHook(interval=5)],
        visualizer=dict(
            type='Visualizer',
            vis_backends=[dict(type='LocalVisBackend')],
            name=tmp_path.name),
        **renamed)
    runner.test()
    assert 'codec_0_decoded_0.png' in images(tmp_path)


def test_what_is_shown_is_what_the_model_decodes(model):
    coder = model.eval().backbone
    x = smooth_images(1, 33, 50)[0]
    drawn = dict(draw_coding(coder, x))
    coded = coder.code_images(x[None])
    for name, expected in (('decoded', coded.x_hat), ('adapted', coded.x_bar)):
        pixels = (expected[0] * 255).round().permute(1, 2, 0).numpy()
        np.testing.assert_array_equal(drawn[name], pixels)


def test_paths_of_mpa_are_shown_by_stage():
    coder = CodecBackbone(
        dict(type='mmhmc.MPA', tasks=['seg'], **CODECS['MPA']),
        TinyBackbone(), {},
        condition=dict(quality=3, task='seg', alpha=0.5)).eval()
    drawn = dict(draw_coding(coder, smooth_images(1, 40, 52)[0]))
    stages = [name for name in drawn if name.startswith('paths_')]
    assert len(stages) == 6
    assert {name.split('.')[0]
            for name in stages} == {'paths_g_a', 'paths_g_s'}
    assert all(drawn[name].shape == (40, 52, 3) for name in stages)


def test_codec_without_latents_has_no_map_of_bits():
    coder = CodecBackbone(
        dict(type='mmhmc.JPEG', quality=50), TinyBackbone(), {}).eval()
    drawn = dict(draw_coding(coder, smooth_images(1, 40, 52)[0]))
    assert list(drawn) == ['original', 'decoded', 'error']


def test_frames_of_videos_are_images(model):
    RateLossHook().attach(model.eval())
    model.backbone.codec.update_entropy_tables()
    shown = []
    runner = SimpleNamespace(
        model=model,
        iter=3,
        visualizer=SimpleNamespace(
            add_image=lambda name, *_: shown.append(name)))
    frames = model.test_step(batch_of(*[(40, 52)] * 3))
    video = BaseDataElement()
    video.set_field(frames, 'video_data_samples', field_type='metainfo')
    CodecVisualizationHook(interval=2).after_val_iter(
        runner, 0, outputs=[video])
    assert [name for name in shown
            if 'decoded' in name] == ['codec_0_decoded', 'codec_2_decoded']


def test_hook_that_says_what_was_coded_is_needed(model):
    runner = SimpleNamespace(model=model, iter=3)
    with pytest.raises(ValueError, match='says nothing about its coding; add'):
        CodecVisualizationHook().after_val_iter(
            runner, 0, outputs=[BaseDataElement()])


@pytest.mark.parametrize('name', ['interval', 'max_images'])
def test_numbers_less_than_one_are_refused(name):
    with pytest.raises(ValueError, match=f'`{name}` must be 1 or more, got 0'):
        CodecVisualizationHook(**{name: 0})


# What mmengine sends by itself.


@VISBACKENDS.register_module()
class RecordingBackend(BaseVisBackend):
    """As TensorBoard's and Weights & Biases', without their packages."""

    def __init__(self, save_dir=None):
        super().__init__(save_dir or 'unused')
        self.scalars, self.images = {}, {}

    def _init_env(self):
        pass

    @property
    def experiment(self):
        return self

    def add_scalars(self, scalar_dict, step=0, file_path=None, **kwargs):
        for name, value in scalar_dict.items():
            self.scalars.setdefault(name, []).append((step, float(value)))

    def add_image(self, name, image, step=0, **kwargs):
        self.images[name, step] = image


def test_rates_and_losses_are_curves_and_images_come_in_each_backend(
        model, tmp_path):
    backends = [dict(type='LocalVisBackend'), dict(type='RecordingBackend')]
    runner = make_runner(
        model,
        tmp_path,
        [RateLossHook(), CodecVisualizationHook(interval=2)],
        max_epochs=1,
        visualizer=dict(
            type='Visualizer', vis_backends=backends, name=tmp_path.name),
        **with_val(['BitrateMetric', 'PSNRMetric']))
    for hook in runner.hooks:
        if type(hook).__name__ == 'LoggerHook':
            hook.interval = 1
    runner.model.backbone.codec.update_entropy_tables()
    runner.train()
    recorded = runner.visualizer.get_backend('RecordingBackend')
    for name in ('bpp', 'psnr', 'loss_rate', 'loss_distortion', 'loss_task'):
        assert len(recorded.scalars[name]) == 2
    assert 'rate/bpp' in recorded.scalars
    assert ('codec_0_decoded', 2) in recorded.images
    path, = tmp_path.rglob('vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert any('bpp' in line and 'loss_rate' in line for line in lines)
    assert any('rate/bpp' in line and 'quality/psnr' in line for line in lines)
    assert (tmp_path / path.parts[-3] / 'vis_data/vis_image' /
            'codec_0_decoded_2.png').exists()


def test_tensorboard_gets_images_and_curves(model, tmp_path):
    pytest.importorskip('tensorboard')
    visualizer = VISUALIZERS.build(
        dict(
            type='Visualizer',
            name=f'{tmp_path.name}_tb',
            save_dir=str(tmp_path),
            vis_backends=[dict(type='TensorboardVisBackend')]))
    assert isinstance(visualizer, Visualizer)
    x = smooth_images(1, 33, 50)[0]
    for name, image in draw_coding(model.eval().backbone, x):
        visualizer.add_image(name, image, 3)
    visualizer.add_scalars(dict(bpp=0.5), 3)
    visualizer.close()
    from tensorboard.backend.event_processing.event_accumulator import \
        EventAccumulator
    events = EventAccumulator(str(tmp_path / 'vis_data')).Reload()
    assert events.Tags()['scalars'] == ['bpp']
    assert set(events.Tags()['images']) == {
        'original', 'decoded', 'adapted', 'bits', 'error'
    }
