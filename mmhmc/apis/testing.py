"""Testing by a config."""
from typing import Optional

from mmengine.config import Config, ConfigDict

from .training import TrainingError, build_runner, prepare_data


def run_test(cfg: Config,
             checkpoint: str,
             launcher: str = 'none',
             out: Optional[str] = None,
             show: bool = False,
             show_dir: Optional[str] = None,
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
    """
    prepare_data(cfg)
    cfg.launcher = launcher
    cfg.load_from = checkpoint
    if show or show_dir:
        _show(cfg, show, show_dir, wait_time)
    if tta:
        if not {'tta_model', 'tta_pipeline'} <= set(cfg):
            raise TrainingError('--tta needs `tta_model` and `tta_pipeline` '
                                'in the config.')
        cfg.model = ConfigDict(**cfg.tta_model, module=cfg.model)
        cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    runner = build_runner(cfg)
    if out is not None:
        from mmengine.evaluator import DumpResults
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=out))
    return runner.test()


def _show(cfg: Config, show: bool, show_dir: Optional[str],
          wait_time: float) -> None:
    hooks = cfg.default_hooks
    if 'visualization' not in hooks:
        raise TrainingError('--show and --show-dir need a visualization hook '
                            'in `default_hooks` of the config.')
    hooks.visualization.draw = True
    if show:
        hooks.visualization.show = True
        hooks.visualization.wait_time = wait_time
    if show_dir:
        hooks.visualization.test_out_dir = show_dir
