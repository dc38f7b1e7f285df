"""As `mmseg_runtime.py`, counting iterations instead of epochs."""
_base_ = ['./mmseg_runtime.py']
default_hooks = dict(
    logger=dict(interval=50, log_metric_by_epoch=False),
    checkpoint=dict(by_epoch=False))
log_processor = dict(by_epoch=False)
