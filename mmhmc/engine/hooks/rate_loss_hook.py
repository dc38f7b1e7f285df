"""Joins the codec's losses, and what was coded, with the host's results."""
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmhmc.engine.coded_views import (count_first_view, cuts_windows,
                                      describe_coding)
from mmhmc.engine.host_batches import HostCall, LogOnce, SizeFinder
from mmhmc.engine.parts import (adapter_changes_nothing, find_codec_wrappers,
                                unwrap)
from mmhmc.functional.task_losses import weigh_losses
from mmhmc.losses import BackboneLoss, rate_distortion
from mmhmc.losses.backbone_loss import FeatureWatch
from mmhmc.models import CodecBackbone
from mmhmc.registry import HOOKS, MODELS
from mmhmc.structures import CodedBatch
from .host_results import HostResults
from .named_settings import takes_named_settings


@HOOKS.register_module()
@takes_named_settings
class RateLossHook(Hook):
    """Attaches a torch forward hook to the model while a runner runs.

    .. code-block:: none

        sizes ─► codec wrapper ─┐
                                ├─► loss dict: host's losses * lmbda_task
        model.forward ──────────┤     loss_rate, loss_distortion, bpp, psnr
                                └─► data samples: field `coding`, for metrics

    The objective is that of the dynamic-adaptation paper,
    ``lmbda_rate * R + lmbda_distortion * 255^2 * MSE(x, x_hat) + lmbda_task *
    D_m``, see :mod:`mmhmc.losses.rate_distortion`. R and MSE are means over
    all images that were coded in one forward: both views of a self-supervised
    host, all branches of a semi-supervised one. Copies of the backbone that
    do not learn (a mean teacher, a momentum encoder) encode too, but do not
    count. A ``LatentBackbone`` decodes x_hat only if ``lmbda_distortion`` is
    not 0 or images are compared by ``perceptual``; without x_hat there are no
    ``loss_distortion`` and ``psnr``. Losses of the codec itself
    (``CodecOutput.extra_losses``) are added as ``loss_NAME``.

    Padding does not count as far as it is known, see
    :class:`~mmhmc.engine.host_batches.SizeFinder`.

    While testing, the bits of an image are counted once:

    - A segmentor with sliding windows (``test_cfg.mode='slide'``) sees
      windows of the decoded image, which is coded whole before they are
      cut. Without this hook, e.g. in the host's inferencer, every window is
      coded for itself.
    - With test-time augmentation every view is coded, as the host asks for
      them one by one; the first one counts, and ``coding.view`` says so.

    Args:
        lmbda_rate: Weight of the rate, not negative; for a codec whose rate
            varies also a list, of which the first is for quality 1, or a
            function of the quality.
        lmbda_distortion: Weight of ``255^2 * MSE``, not negative, or several
            of them as well; CompressAI uses .0018 .0035 .0067 .0130 for
            qualities 1 to 4.
        distortion: Config of another error in place of the MSE, e.g.
            ``YCbCrError``; the logs' PSNR stays that of the MSE.
        lmbda_task: Weight of the host's losses, not negative. With 0 they
            are not computed, and what learns from them alone stays as it is;
            a host that takes several views still runs, without a backward.
        perceptual: Config of a loss that compares two images, e.g.
            ``LPIPSLoss``; None leaves it out.
        lmbda_perceptual: Weight of ``perceptual``, not negative, or several
            of them as well.
        perceptual_of: What it compares with x: ``'x_hat'``, which people
            see, or ``'x_bar'``, which the machine sees, so that an adapter
            learns from it too, without labels. Not the paper's.
        beta: Weight of the rate of layers that the machine does not see
            (``machine_layers``), relative to that of the base: R is
            ``R_base + beta * R_rest``. Not negative.

    Raises:
        ValueError: If a weight is negative or not finite, or
            ``perceptual_of`` is neither.
    """

    def __init__(self,
                 lmbda_rate: rate_distortion.Lmbda = 1.,
                 lmbda_distortion: rate_distortion.Lmbda = 0.0067,
                 lmbda_task: float = 1.,
                 perceptual: dict | None = None,
                 lmbda_perceptual: rate_distortion.Lmbda = 1.,
                 perceptual_of: str = 'x_hat',
                 beta: float = 1.,
                 distortion: dict | None = None) -> None:
        check = rate_distortion.check_lmbda
        self.lmbda_rate = rate_distortion.check_lmbdas('lmbda_rate',
                                                       lmbda_rate)
        self.lmbda_distortion = rate_distortion.check_lmbdas(
            'lmbda_distortion', lmbda_distortion)
        self.lmbda_task = check('lmbda_task', lmbda_task)
        self.lmbda_perceptual = rate_distortion.check_lmbdas(
            'lmbda_perceptual', lmbda_perceptual)
        self.beta = check('beta', beta)
        self.perceptual = perceptual and MODELS.build(perceptual)
        self.distortion = distortion and MODELS.build(distortion)
        if perceptual_of not in ('x_hat', 'x_bar'):
            raise ValueError("`perceptual_of` must be 'x_hat' or 'x_bar', got "
                             f'{perceptual_of!r}.')
        self.perceptual_of = perceptual_of
        self._log = LogOnce()
        self._sizes = SizeFinder(self._log)
        self._wrappers: list[nn.Module] = []
        self._on_detach = ExitStack()
        self._call = ExitStack()
        self._records: list[list[CodedBatch]] = []
        self._watch: FeatureWatch | None = None
        self._forward: Callable | None = None
        self._needs_all_gradients = False

    def before_run(self, runner) -> None:
        """Attach to the inner model."""
        if not any(isinstance(hook, HostResults) for hook in runner.hooks):
            runner.register_hook(HostResults())
        model = runner.model
        # DDP waits for all gradients, unless it is told that some are unused.
        self._needs_all_gradients = isinstance(
            model,
            DistributedDataParallel) and not model.find_unused_parameters
        self.attach(unwrap(model))

    def after_run(self, runner) -> None:
        """Take everything away again."""
        self.detach()

    def _before_epoch(self, runner, mode: str = 'train') -> None:
        """Find out how the pipeline of validation or test pads images."""
        if mode != 'train':
            self._sizes.read_pipeline(getattr(runner, f'{mode}_loop'))

    def before_test(self, runner) -> None:
        """Refuse to test an adapter that has learnt nothing.

        Raises:
            ValueError: If the adapter in use is still the identity.
        """
        if any(
                wrapper.uses_adapter and adapter_changes_nothing(wrapper)
                for wrapper in self._wrappers):
            raise ValueError(
                'The adapter would change nothing: its last layer is zero, as '
                'it is before training. Load a checkpoint with a trained '
                'adapter, or switch it off: --cfg-options '
                'model.backbone.test_cfg.adapter=False')

    def attach(self, model: nn.Module) -> None:
        """Join losses from now on.

        Args:
            model: Unwrapped model that holds a codec.

        Raises:
            ValueError: If it holds none, or the windows that it predicts by
                would be coded one by one.
        """
        self.detach()
        self._wrappers = find_codec_wrappers(model)
        if isinstance(model, BaseTTAModel):
            augmented, model = model, model.module
            augmented.merge_preds = count_first_view(augmented.merge_preds)
            self._on_detach.callback(delattr, augmented, 'merge_preds')
        if cuts_windows(model):
            print_log(
                'Images are coded whole, before sliding windows are cut.',
                logger='current')
        if len(self._wrappers) == 1 and model is not self._wrappers[0]:
            self._replace_forward(model)
        handles = [
            model.register_forward_pre_hook(
                self._before_forward, with_kwargs=True),
            model.register_forward_hook(self._after_forward, with_kwargs=True)
        ]
        preprocessor = getattr(model, 'data_preprocessor', None)
        if isinstance(preprocessor, nn.Module):
            handles.append(
                preprocessor.register_forward_pre_hook(
                    self._sizes.check_shapes))
        for handle in handles:
            self._on_detach.callback(handle.remove)

    def detach(self) -> None:
        """Leave the model as it was."""
        self._end_call()  # of a forward that failed
        self._on_detach.close()

    def _replace_forward(self, model: nn.Module) -> None:
        """Let the model's forward be skipped where nothing needs it."""
        own = vars(model).get('forward')
        self._forward, model.forward = model.forward, self._forward_if_needed

        def restore() -> None:
            # What was made of it since then, e.g. compiled, goes with it.
            vars(model).pop('forward', None)
            if own is not None:
                model.forward = own
            self._forward = None

        self._on_detach.callback(restore)

    def _before_forward(self, model: nn.Module, args: tuple,
                        kwargs: dict) -> tuple | None:
        call = HostCall(args, kwargs)
        batches = self._sizes.find(call, model.training)
        self._end_call()  # of a forward that failed
        self._records = [
            self._call.enter_context(wrapper.recording(batches))
            for wrapper in self._wrappers
        ]
        if call.mode == 'loss':
            self._watch = self._watch_host()
        if call.mode != 'predict' or not cuts_windows(model):
            return None
        return call.with_inputs(
            self._call.enter_context(self._wrappers[0].decoded(call.inputs)))

    def _end_call(self) -> None:
        self._features_of_host()
        self._call.close()

    def _forward_if_needed(self, *args, **kwargs):
        """The model's forward; only the codec's if its losses weigh nothing.
        """
        call = HostCall(args, kwargs)
        if self.lmbda_task or call.mode != 'loss' \
                or not isinstance(call.inputs, Tensor) \
                or call.inputs.ndim != 4:
            return self._forward(*args, **kwargs)
        wrapper, = self._wrappers
        # Features of the host's backbone may be wanted.
        alone = isinstance(wrapper, CodecBackbone) and self._watch is None
        (wrapper.decode if alone else wrapper)(call.inputs)
        return {}

    def _after_forward(self, model: nn.Module, args: tuple, kwargs: dict,
                       output):
        mode = HostCall(args, kwargs).mode
        self._call.close()
        records = []
        for wrapper, found in zip(self._wrappers, self._records):
            if mode == 'loss' and self._wants_images:
                wrapper.decode_images(found)
            records += found
        self._records = []
        if not records:
            return output
        if mode == 'loss':
            return self._join(model, output, records)
        if mode == 'predict' and output is not None and \
                not describe_coding(output, records):
            self._log('What the model coded cannot be told of its data '
                      'samples: their rates and images are not measured.')
        return output

    @property
    def _wants_images(self) -> bool:
        """Whether a loss compares decoded images."""
        return self.lmbda_distortion != 0 or (self.perceptual is not None and
                                              self.perceptual_of == 'x_hat')

    def _join(self, model: nn.Module, losses: dict,
              records: Sequence[CodedBatch]) -> dict:
        """The host's losses and the codec's."""
        if self.lmbda_task != 1:
            losses = weigh_losses(losses, self.lmbda_task)
        # Logs give the name `loss` to the sum of all losses.
        losses = {
            'loss_task' if name == 'loss' else name: value
            for name, value in losses.items()
        }
        losses.update(self._losses(records))
        if self.lmbda_task == 0 and self._needs_all_gradients:
            losses['loss_rate'] = losses['loss_rate'] + _zero_of(model)
        return losses

    def _losses(self, records: Sequence[CodedBatch]) -> dict[str, Tensor]:
        """The codec's losses and logs, of all images of one forward."""
        batches = rate_distortion.with_gradients(records)
        losses = dict(
            loss_rate=rate_distortion.rate_loss(batches, self.lmbda_rate,
                                                self.beta),
            bpp=rate_distortion.bits_per_pixel(batches).mean().detach())
        if any(batch.rest_bits is not None for batch in batches):
            rest = rate_distortion.rest_per_pixel(batches).mean().detach()
            losses['bpp_base'] = losses['bpp'] - rest
        decoded = [batch for batch in batches if batch.x_hat is not None]
        if decoded:
            error = mse = rate_distortion.squared_error(decoded)
            if self.distortion is not None:
                error = rate_distortion.squared_error(decoded, self.distortion)
            losses.update(
                loss_distortion=rate_distortion.distortion_loss(
                    error,
                    rate_distortion.weights_of('lmbda_distortion',
                                               self.lmbda_distortion,
                                               decoded)),
                psnr=rate_distortion.psnr(mse))
        compared = decoded if self.perceptual_of == 'x_hat' else batches
        if compared and self.perceptual is not None:
            weights = rate_distortion.weights_of('lmbda_perceptual',
                                                 self.lmbda_perceptual,
                                                 compared)
            losses['loss_perceptual'] = (
                weights * self._distances(compared, records)).mean()
        return {**losses, **rate_distortion.codec_losses(records)}

    def _distances(self, decoded: Sequence[CodedBatch],
                   records: Sequence[CodedBatch]) -> Tensor:
        """Perceptual distance of each image, by the host's features of it
        where the host has computed them.
        """
        features = self._features_of_host()
        if features and len(records) == 1:
            return self.perceptual.distance_of(records[0].x, features)
        return rate_distortion.perceptual_distance(decoded, self.perceptual,
                                                   self.perceptual_of)

    def _watch_host(self) -> FeatureWatch | None:
        """Keep the host's features of the images that will be compared."""
        wrapper = self._wrappers[0]
        if (isinstance(self.perceptual, BackboneLoss)
                and len(self._wrappers) == 1
                and isinstance(wrapper, CodecBackbone)
                and self.perceptual_of == 'x_bar'):
            return self.perceptual.watch(wrapper.backbone, wrapper.input_norm)
        return None

    def _features_of_host(self) -> list[Tensor] | None:
        """Features of x_bar that the host has computed."""
        watch, self._watch = self._watch, None
        return None if watch is None else watch.end()


def _zero_of(model: nn.Module) -> Tensor:
    """Zero, with a gradient of zero for all that learns."""
    return sum(p.sum() * 0 for p in model.parameters() if p.requires_grad)
