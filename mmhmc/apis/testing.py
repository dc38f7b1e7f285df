"""Testing by a config."""
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace

from mmengine.config import Config, ConfigDict

from mmhmc.registry import type_name
from .checkpoint_parts import complete_model
from .mixing import host_of
from .training import TrainingError, build_runner, prepare_data

#: Model that merges the augmented views of an image, where a config has none.
_TTA_MODELS = dict(
    mmdet=dict(
        type='mmdet.DetTTAModel',
        tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5),
                     max_per_img=100)),
    mmpretrain=dict(type='mmpretrain.AverageClsScoreTTA'))
_META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')


def run_test(cfg: Config,
             checkpoint: str,
             launcher: str = 'none',
             out: str | None = None,
             show: bool = False,
             show_dir: str | None = None,
             wait_time: float = 2,
             tta: bool = False) -> dict[str, float]:
    """Test a checkpoint.

    Args:
        cfg: From :func:`mmhmc.apis.training.load_config`.
        checkpoint: File or address of the weights.
        launcher: See mmengine.
        out: Pickle file for all predictions.
        show: Show predictions in a window.
        show_dir: Folder for painted predictions.
        wait_time: Seconds that a window stays.
        tta: Test-time augmentation by the config's ``tta_model`` and
            ``tta_pipeline``.

    Returns:
        All metrics.

    Raises:
        FileNotFoundError: If data are missing.
        TrainingError: If the config lacks what an option needs.
        ValueError: If nothing has weights of the codec, or of the host.
    """
    if show or show_dir:
        _show(cfg, show, show_dir, wait_time)
    if tta:
        _augment(cfg)
    runner = build_tester(cfg, checkpoint, launcher)
    if out is not None:
        runner.test_evaluator.metrics.append(_dump(out))
    return runner.test()


def build_tester(cfg: Config, checkpoint: str, launcher: str = 'none'):
    """Runner that tests a checkpoint; arguments as of :func:`run_test`."""
    prepare_data(cfg, ('test', ))
    cfg.launcher = launcher
    host = cfg.get('load_from')
    cfg.load_from = checkpoint
    runner = build_runner(cfg)
    complete_model(runner.model, checkpoint, host)
    return runner


def _dump(path: str):
    """A metric that keeps predictions, without the images in them.

    Images are left out of what is pickled, but until then they would stay
    in memory.
    """
    from mmengine.evaluator import DumpResults

    class DumpPredictions(DumpResults):

        def process(self, data_batch, predictions: Sequence[dict]) -> None:
            super().process(data_batch, [
                dict(p, coding=replace(p['coding'], x=None, x_hat=None))
                if p.get('coding') else p for p in predictions
            ])

    return DumpPredictions(out_file_path=path)


def _augment(cfg: Config) -> None:
    """Test-time augmentation; by flipping, where the config has none."""
    host = host_of(cfg)
    dataset = cfg.test_dataloader.dataset
    while 'dataset' in dataset:
        dataset = dataset.dataset
    if 'tta_model' not in cfg and host in _TTA_MODELS:
        cfg.tta_model = ConfigDict(_TTA_MODELS[host])
    if 'tta_pipeline' not in cfg and host in _TTA_MODELS:
        *before, last = deepcopy(dataset.pipeline)
        if type_name(last) == 'PackDetInputs':
            last.meta_keys = (*last.get('meta_keys', _META_KEYS), 'flip',
                              'flip_direction')
        flips = [
            dict(type=f'{host}.RandomFlip', prob=prob) for prob in (1., 0.)
        ]
        cfg.tta_pipeline = [
            *before,
            dict(type='TestTimeAug', transforms=[flips, [last]])
        ]
    if not {'tta_model', 'tta_pipeline'} <= set(cfg):
        raise TrainingError('--tta needs `tta_model` and `tta_pipeline` in '
                            'the config.')
    cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
    dataset.pipeline = cfg.tta_pipeline


def _show(cfg: Config, show: bool, show_dir: str | None,
          wait_time: float) -> None:
    """Switch the host's visualization hook on; each host names it its way."""
    hook = (cfg.get('default_hooks') or {}).get('visualization')
    if hook is None:
        raise TrainingError('--show and --show-dir need a visualization hook '
                            'in `default_hooks` of the config.')
    kind = type_name(hook)
    hook['enable' if kind == 'VisualizationHook' else 'draw'] = True
    if show:
        hook.show = True
        hook.wait_time = wait_time
    if show_dir and kind == 'SegVisualizationHook':
        if cfg.get('visualizer') is None:
            raise TrainingError('--show-dir needs a `visualizer` in the '
                                'config.')
        cfg.visualizer.save_dir = show_dir
    elif show_dir:
        hook['out_dir' if kind ==
             'VisualizationHook' else 'test_out_dir'] = show_dir
