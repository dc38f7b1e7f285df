"""Keeps a codec's results from disturbing other hooks and metrics."""
from collections.abc import Sequence

from mmengine.hooks import Hook

from mmhmc.engine.parts import frames_of

#: Default prefixes of our metrics of rate and image quality.
_PREFIXES = ('rate', 'quality')


class HostResults(Hook):
    """Lets a run go on where the host without a codec would go on.

    - A validation may have no results of the host, e.g. of a detector that
      finds nothing. Then no checkpoint is saved as the best: the codec's
      metrics are hidden from the hooks that look for a best result, but not
      from the logs, and the validation returns them.
    - Images in data samples are freed when all metrics have seen them: some
      metrics keep every data sample, and would keep every image.

    ``RateLossHook`` registers it.
    """

    # Behind those that write logs and draw, before those that save.
    priority = 'LOW'

    def __init__(self) -> None:
        self._hidden: tuple[dict, dict] | None = None

    def after_val_epoch(self,
                        runner,
                        metrics: dict[str, float] | None = None) -> None:
        """Hide the codec's metrics, if there are no others."""
        wanted = {
            name
            for hook in runner.hooks
            for name in getattr(hook, 'key_indicators', None) or []
        }
        if metrics and wanted - set(metrics) and \
                _is_of_codec(
                    getattr(runner.val_loop, 'evaluator', None), metrics):
            self._hidden = metrics, dict(metrics)
            metrics.clear()

    def after_val(self, runner) -> None:
        """Give the codec's metrics back."""
        if self._hidden is not None:
            metrics, values = self._hidden
            metrics.update(values)
            self._hidden = None

    def _after_iter(self,
                    runner,
                    *args,
                    outputs: Sequence = (),
                    mode: str = 'train',
                    **kwargs) -> None:
        """Free the images of a batch that was validated or tested."""
        for sample in frames_of(outputs or ()) if mode != 'train' else ():
            coding = getattr(sample, 'metainfo', {}).get('coding')
            if coding is not None:
                coding.x = coding.x_hat = None


def _is_of_codec(evaluator, metrics: dict) -> bool:
    """Whether the host has metrics, but all results are the codec's."""
    measured = getattr(evaluator, 'metrics', [])
    codec = [
        metric for metric in measured
        if type(metric).__module__.startswith('mmhmc.')
        and metric.default_prefix in _PREFIXES
    ]
    prefixes = tuple(f'{metric.prefix}/' for metric in codec)
    return len(codec) < len(measured) and all(
        name.startswith(prefixes) for name in metrics)
