"""Options that take something away do not cost a finished run."""
import pytest
from conftest import (CODECS, PREPROCESSOR, MockTaskModel, TinyBackbone,
                      TinyDataset)
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS

from mmhmc.apis import mix_codec
from mmhmc.apis.testing import _show, run_test
from mmhmc.apis.training import TrainingError, run_training

# By name: mmengine 0.10.7 cannot write down a config with a class.
DATASETS.register_module(module=TinyDataset, force=True)
MODELS.register_module(module=TinyBackbone, force=True)


@MODELS.register_module(force=True)
class ConfiguredHost(MockTaskModel):
    """The host of the tests, by a config."""

    def __init__(self, backbone, data_preprocessor):
        super().__init__(MODELS.build(backbone), data_preprocessor)


def loader(shuffle):
    return dict(
        dataset=dict(type='TinyDataset', sizes=((64, 64), (48, 40))),
        batch_size=2,
        num_workers=0,
        sampler=dict(type='DefaultSampler', shuffle=shuffle))


@pytest.fixture
def cfg(tmp_path):
    """A mixed config that trains for two steps, validates and tests."""

    bare = Config(
        dict(
            default_scope='mmengine',
            model=dict(
                type='ConfiguredHost',
                data_preprocessor=PREPROCESSOR,
                backbone=dict(type='TinyBackbone')),
            train_dataloader=loader(True),
            val_dataloader=loader(False),
            test_dataloader=loader(False),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            val_cfg=dict(),
            test_cfg=dict(),
            val_evaluator=[],
            test_evaluator=[],
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-3)),
            param_scheduler=[dict(type='ConstantLR', factor=0.5)],
            default_hooks=dict(
                checkpoint=dict(type='CheckpointHook', interval=1)),
            visualizer=dict(
                type='Visualizer',
                vis_backends=[dict(type='LocalVisBackend')]),
            log_level='WARNING',
            work_dir=str(tmp_path / 'work')))
    codec = dict(type='mmhmc.FactorizedPrior', **CODECS['FactorizedPrior'])
    mixed = mix_codec(bare, codec)
    mixed.custom_hooks.append(
        dict(type='mmhmc.CodecVisualizationHook', interval=1))
    return mixed


TAKEN = [{
    f'default_hooks.{name}': None
} for name in ('checkpoint', 'logger', 'timer', 'runtime_info', 'sampler_seed',
               'param_scheduler')] + [
                   {
                       'default_hooks': None
                   },
                   {
                       'default_hooks.checkpoint.save_last': False,
                       'default_hooks.checkpoint.interval': -1
                   },
                   {
                       'default_hooks.checkpoint.max_keep_ckpts': 1
                   },
                   {
                       'visualizer': None
                   },
                   {
                       'visualizer.vis_backends': None
                   },
                   {
                       'val_cfg': None,
                       'val_dataloader': None,
                       'val_evaluator': None
                   },
                   {
                       'test_cfg': None,
                       'test_dataloader': None,
                       'test_evaluator': None
                   },
                   {
                       'param_scheduler': None
                   },
                   {
                       'log_processor': None
                   },
                   {
                       'randomness': dict(seed=None)
                   },
                   {
                       'env_cfg.cudnn_benchmark': True
                   },
                   {
                       'load_from': None,
                       'resume': False
                   },
               ]


@pytest.mark.parametrize(
    'options', TAKEN, ids=lambda o: '-'.join(f'{k}' for k in o))
def test_run_ends_with_what_is_left(cfg, tmp_path, options):
    cfg.merge_from_dict(options)
    checkpoint = run_training(cfg, tmp_path / 'host.py')
    saves = not {
        'default_hooks.checkpoint', 'default_hooks.checkpoint.'
        'save_last'
    } & set(options)
    assert (checkpoint is not None) == saves
    if checkpoint is not None:
        assert run_training(
            cfg, tmp_path / 'host.py', resume=True) == checkpoint
        if 'test_cfg' not in options:
            assert 'rate/bpp' in run_test(cfg, checkpoint)


def test_checkpoint_of_an_earlier_run_is_not_that_of_this_one(cfg, tmp_path):
    assert run_training(cfg, tmp_path / 'host.py') is not None
    cfg.default_hooks.checkpoint = None
    assert run_training(cfg, tmp_path / 'host.py') is None


def test_painting_without_a_visualizer_is_refused():
    cfg = Config(
        dict(
            visualizer=None,
            default_hooks=dict(
                visualization=dict(type='SegVisualizationHook'))))
    with pytest.raises(TrainingError, match='needs a `visualizer`'):
        _show(cfg, False, 'painted', 2)
    for hooks in (None, dict(visualization=None)):
        cfg.default_hooks = hooks
        with pytest.raises(TrainingError, match='need a visualization hook'):
            _show(cfg, True, None, 2)
