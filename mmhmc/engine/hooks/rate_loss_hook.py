"""Joins the codec's losses, and what was coded, with the host's results."""
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, Optional, Union

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import BaseTTAModel, is_model_wrapper
from mmengine.structures import BaseDataElement
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from mmhmc.engine.padding_steps import pads_resized_images
from mmhmc.engine.parts import adapter_changes_nothing, find_coders, frames_of
from mmhmc.functional import image_mse, valid_mask
from mmhmc.functional.devices import beside
from mmhmc.functional.rate import fills, per_pixel
from mmhmc.functional.task_losses import weigh_losses
from mmhmc.losses import BackboneLoss
from mmhmc.losses.backbone_loss import FeatureWatch
from mmhmc.models import CodecBackbone, LatentBackbone
from mmhmc.registry import HOOKS, MODELS
from mmhmc.structures import CodedBatch, CodedImage
from .host_results import HostResults
from .named_settings import takes_named_settings

Size = tuple[int, int]


@HOOKS.register_module()
@takes_named_settings
class RateLossHook(Hook):
    """Attaches a torch forward hook to the model while a runner runs.

    .. code-block:: none

        sizes ─► coder ──┐
                         ├─► loss dict: host's losses * lmbda_task
        model.forward ───┤              loss_rate, loss_distortion, bpp, psnr
                         └─► data samples: field `coding`, for the metrics

    The objective is that of the dynamic-adaptation paper,
    ``lmbda_rate * R + lmbda_distortion * 255^2 * MSE(x, x_hat) + lmbda_task *
    D_m``, with R in bits per coded pixel and D_m the sum of the host's
    losses. While training, R and MSE are means over all images that were
    coded in one forward: both views of a self-supervised host, all branches
    of a semi-supervised one. Copies of the backbone that do not learn (a mean
    teacher, a momentum encoder) code too, but do not count. A
    ``LatentBackbone`` decodes x_hat only if ``lmbda_distortion`` is not 0 or
    images are compared by ``perceptual``; without x_hat there are no
    ``loss_distortion`` and ``psnr``. What a codec
    adds of itself (``CodecOutput.extra_losses``) is added as ``loss_NAME``.

    What of a canvas is image is known, or all of it counts and is coded:
    batch padding is known by ``img_shape``, if that is what the image had
    when it left the pipeline; what the pipeline of validation or test padded,
    if it resizes once and pads last.

    While testing, the bits of an image are counted once:

    - A segmentor with sliding windows (``test_cfg.mode='slide'``) sees
      windows of the decoded image, which is coded whole before they are
      cut. Without this hook, e.g. in the host's inferencer, every window is
      coded for itself.
    - With test-time augmentation every view is coded, as the host asks for
      them one by one; what is counted is the first, and ``coding.view`` says
      so.

    Args:
        lmbda_rate: Weight of the rate, not negative; for a codec whose rate
            varies also a list, of which the first is for quality 1.
        lmbda_distortion: Weight of ``255^2 * MSE``, not negative; CompressAI
            uses .0018 .0035 .0067 .0130 for qualities 1 to 4.
        lmbda_task: Weight of the host's losses, not negative. With 0 they
            are not computed, and what learns from them alone stays as it is;
            a host that takes several views still runs, without a backward.
        perceptual: Config of a loss that compares two images, e.g.
            ``LPIPSLoss``; None leaves it out.
        lmbda_perceptual: Weight of ``perceptual``, not negative.
        perceptual_of: What it compares with x: ``'x_hat'``, which people
            see, or ``'x_bar'``, which the machine sees, so that an adapter
            learns from it too, without labels. Not the paper's.

    Raises:
        ValueError: If a weight is negative or not finite, or
            ``perceptual_of`` is neither.
    """

    def __init__(self,
                 lmbda_rate: Union[float, Sequence[float]] = 1.,
                 lmbda_distortion: float = 0.0067,
                 lmbda_task: float = 1.,
                 perceptual: Optional[dict] = None,
                 lmbda_perceptual: float = 1.,
                 perceptual_of: str = 'x_hat') -> None:
        self.lmbda_rate = lmbda_rate
        for value in _several(lmbda_rate):
            check_lmbda('lmbda_rate', value)
        self.lmbda_distortion = check_lmbda('lmbda_distortion',
                                            lmbda_distortion)
        self.lmbda_task = check_lmbda('lmbda_task', lmbda_task)
        self.lmbda_perceptual = check_lmbda('lmbda_perceptual',
                                            lmbda_perceptual)
        self.perceptual = perceptual and MODELS.build(perceptual)
        if perceptual_of not in ('x_hat', 'x_bar'):
            raise ValueError("`perceptual_of` must be 'x_hat' or 'x_bar', got "
                             f'{perceptual_of!r}.')
        self.perceptual_of = perceptual_of
        self._handles = []
        self._coders = []
        self._augmented: Optional[BaseTTAModel] = None
        self._watch: Optional[FeatureWatch] = None
        self._padded, self._notes_hold = False, True
        self._said = set()
        self._forward: Optional[Callable] = None
        self._reduces = False

    def before_run(self, runner) -> None:
        """Attach to the inner model."""
        if not any(isinstance(hook, HostResults) for hook in runner.hooks):
            runner.register_hook(HostResults())
        model = runner.model
        self._reduces = isinstance(model, DistributedDataParallel) and \
            not model.find_unused_parameters
        self.attach(model.module if is_model_wrapper(model) else model)

    def after_run(self, runner) -> None:
        """Take everything away again."""
        self.detach()

    def before_val_epoch(self, runner) -> None:
        """See what the pipeline does to images."""
        self._padded = _pads(runner.val_loop)

    def before_test_epoch(self, runner) -> None:
        """See what the pipeline does to images."""
        self._padded = _pads(runner.test_loop)

    def before_test(self, runner) -> None:
        """Refuse to test an adapter that has learnt nothing.

        Raises:
            ValueError: If the adapter in use is still the identity.
        """
        if any(
                coder.uses_adapter and adapter_changes_nothing(coder)
                for coder in self._coders):
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
        self._coders = find_coders(model)
        if isinstance(model, BaseTTAModel):
            model.merge_preds = _count_first(model.merge_preds)
            self._augmented, model = model, model.module
        _refuse_windows_of_latents(model)
        if len(self._coders) == 1 and model is not self._coders[0]:
            self._model, self._forward = model, model.forward
            self._own_forward = model.__dict__.get('forward')
            model.forward = self._forward_if_needed
        if _cuts_windows(model):
            print_log(
                'Images are coded whole, before sliding windows are cut.',
                logger='current')
        self._handles = [
            model.register_forward_pre_hook(
                self._before_forward, with_kwargs=True),
            model.register_forward_hook(self._after_forward, with_kwargs=True)
        ]
        preprocessor = getattr(model, 'data_preprocessor', None)
        if isinstance(preprocessor, nn.Module):
            self._handles.append(
                preprocessor.register_forward_pre_hook(self._before_padding))

    def detach(self) -> None:
        """Leave the model as it was."""
        for handle in self._handles:
            handle.remove()
        self._handles = []
        if self._forward is not None:
            # What was made of it since then, e.g. compiled, goes with it.
            self._model.__dict__.pop('forward', None)
            if self._own_forward is not None:
                self._model.forward = self._own_forward
            self._forward = self._model = self._own_forward = None
        self._noted()
        for coder in self._coders:
            # After a forward that failed.
            coder.collect()
        if self._augmented is not None:
            del self._augmented.merge_preds
        self._augmented = None

    def _before_forward(self, model: nn.Module, args: tuple,
                        kwargs: dict) -> Optional[tuple]:
        name, inputs = _images_of(args, kwargs)
        samples = _argument(args, kwargs, 1, 'data_samples')
        batches = []
        for batch, frames in images_with_samples(inputs, samples):
            if isinstance(batch, Tensor):
                sizes = self._sizes(batch, frames, model.training)
                if sizes is not None:
                    batches.append((batch, sizes))
        for coder in self._coders:
            coder.expect_batches(batches)
        mode = _argument(args, kwargs, 2, 'mode')
        self._noted()  # of a forward that failed
        if mode == 'loss':
            self._watch = self._watch_host()
        if mode != 'predict' or not _cuts_windows(model):
            return None
        decoded = self._coders[0].decode_before(inputs)
        if name:
            return args, {**kwargs, name: decoded}
        return (decoded, *args[1:]), kwargs

    def _before_padding(self, preprocessor: nn.Module, args: tuple) -> None:
        """See whether samples say what size their images have."""
        data = args[0] if args and isinstance(args[0], dict) else {}
        self._notes_hold = all(
            image_size(sample) in (None, tuple(image.shape[-2:]))
            for images, samples in images_with_samples(
                data.get('inputs'), data.get('data_samples'))
            for image, sample in zip(images, samples))

    def _sizes(self, inputs: Tensor, samples: Sequence,
               training: bool) -> Optional[list[Size]]:
        """Sizes of the images of a batch; None if they are not known."""
        padded = self._padded and not training
        sizes = [image_size(s, padded) for s in samples]
        if not self._notes_hold or any(
                size is None or size[0] > inputs.shape[-2]
                or size[1] > inputs.shape[-1] for size in sizes):
            self._say('`img_shape` of the data samples is missing, or is not '
                      'the size of the images: all that the model sees is '
                      'coded and counts, padding of the batch too.')
            return None
        if not padded and not training and any(
                image_size(sample, True) != size
                for sample, size in zip(samples, sizes)):
            self._say('The test pipeline does more than one resize with '
                      'padding last, or is not known: all that it gives is '
                      'coded and counts, what it may have padded too.')
        return sizes

    def _say(self, line: str) -> None:
        if line not in self._said:
            self._said.add(line)
            print_log(line, logger='current')

    def _forward_if_needed(self, *args, **kwargs):
        """The model's forward, or only coding if nobody wants its losses."""
        _, inputs = _images_of(args, kwargs)
        if self.lmbda_task or _argument(args, kwargs, 2, 'mode') != 'loss' \
                or not isinstance(inputs, Tensor) or inputs.ndim != 4:
            return self._forward(*args, **kwargs)
        coder = self._coders[0]
        # Of a host's backbone, its features may be wanted.
        alone = isinstance(coder, CodecBackbone) and self._watch is None
        (coder.decode_before if alone else coder)(inputs)
        return {}

    def _after_forward(self, model: nn.Module, args: tuple, kwargs: dict,
                       output):
        mode = _argument(args, kwargs, 2, 'mode')
        records = []
        for coder in self._coders:
            coded = coder.collect()
            if mode == 'loss' and (self.lmbda_distortion > 0
                                   or self.perceptual is not None):
                coder.decode_images(coded)
            records.extend(coded)
        if not records:
            return output
        if mode == 'loss':
            losses = output if self.lmbda_task == 1 else weigh_losses(
                output, self.lmbda_task)
            if 'loss' in losses:
                # Logs give that name to the sum of all losses.
                losses = {
                    'loss_task' if k == 'loss' else k: v
                    for k, v in losses.items()
                }
            losses = {**losses, **self._losses(records)}
            if self.lmbda_task == 0 and self._reduces:
                losses['loss_rate'] = losses['loss_rate'] + _nothing_of(model)
            return losses
        if mode == 'predict' and output is not None and \
                not _describe(output, records):
            self._say('What the model coded cannot be told of its data '
                      'samples: their rates and images are not measured.')
        return output

    def _watch_host(self) -> Optional[FeatureWatch]:
        """Features of the images that are compared, if the host has them.
        """
        if (isinstance(self.perceptual, BackboneLoss)
                and len(self._coders) == 1
                and isinstance(self._coders[0], CodecBackbone)
                and self.perceptual_of == 'x_bar'):
            return self.perceptual.watch(self._coders[0].backbone,
                                         self._coders[0].input_norm)
        return None

    def _losses(self, records: Sequence[CodedBatch]) -> dict[str, Tensor]:
        """The codec's losses and logs, of all images of one forward."""
        learning = [r for r in records if r.bits.requires_grad] or records
        rates = [per_pixel(r.bits, r.sizes) for r in learning]
        weighed = [self._rate_weight(r) * b for r, b in zip(learning, rates)]
        losses = dict(
            loss_rate=torch.cat(weighed).mean(),
            bpp=torch.cat(rates).mean().detach())
        decoded = [r for r in learning if r.x_hat is not None]
        if decoded:
            mse = torch.cat(
                [image_mse(r.x, r.x_hat, r.sizes, r.real) for r in decoded])
            losses.update(
                loss_distortion=self.lmbda_distortion * 255**2 * mse.mean(),
                psnr=-10 * mse.detach().clamp(min=1e-10).log10().mean())
        if decoded and self.perceptual is not None:
            features = self._noted()
            if features and len(records) == 1:
                distances = [
                    self.perceptual.distance_of(records[0].x, features)
                ]
            else:
                distances = [
                    beside(self.perceptual, r.x)(r.x, self._compared(r))
                    for r in decoded
                ]
            losses['loss_perceptual'] = \
                self.lmbda_perceptual * torch.cat(distances).mean()
        for name in dict.fromkeys(n for r in records for n in r.extra_losses):
            extra = [
                r.extra_losses[name] for r in records if name in r.extra_losses
            ]
            extra = [loss for loss in extra if loss.requires_grad] or extra
            losses[f'loss_{name}'] = torch.stack(extra).mean()
        return losses

    def _noted(self) -> Optional[list[Tensor]]:
        """Features of x_bar that the host has computed."""
        watch, self._watch = self._watch, None
        return None if watch is None else watch.end()

    def _compared(self, coded: CodedBatch) -> Tensor:
        """Images that are compared with the originals.

        Raises:
            ValueError: If the machine sees no images.
        """
        if self.perceptual_of == 'x_hat':
            return _without_padding(coded)
        if coded.x_bar.shape != coded.x.shape:
            raise ValueError(
                'This machine sees latents, which are not compared with '
                "images; set `perceptual_of='x_hat'`.")
        return coded.x_bar

    def _rate_weight(self, coded: CodedBatch) -> float:
        """Weight of the rate at the quality of a batch.

        Raises:
            ValueError: If there are weights and none for this quality.
        """
        weights = self.lmbda_rate
        if not isinstance(weights, Sequence):
            return weights
        quality = coded.condition and coded.condition.quality
        if quality not in range(1, len(weights) + 1):
            raise ValueError(
                f'`lmbda_rate` has weights for the qualities 1 to '
                f'{len(weights)}, and a batch was coded with {quality}. Draw '
                'whole ones: `train_condition=dict(quality=[1, 2, ...])`.')
        return weights[int(quality) - 1]


def _without_padding(coded: CodedBatch) -> Tensor:
    """Reconstructions, and outside the images what was there."""
    canvas = tuple(coded.x.shape[-2:])
    if fills(coded.sizes, canvas):
        return coded.x_hat
    real = coded.real
    if real is None:
        real = valid_mask(coded.sizes, canvas, canvas, coded.x.device)
    return torch.where(real, coded.x_hat, coded.x)


def _several(value: Union[float, Sequence[float]]) -> Sequence[float]:
    return value if isinstance(value, Sequence) else [value]


def check_lmbda(name: str, value: float) -> float:
    """A weight of the objective.

    Raises:
        ValueError: If it is negative or not finite.
    """
    if not math.isfinite(value) or value < 0:
        raise ValueError(f'`{name}` weighs a part of the loss and must be '
                         f'finite and at least 0, got {value}.')
    return float(value)


def image_size(sample, padded: bool = False) -> Optional[Size]:
    """Height and width of the real image on a host's canvas.

    Args:
        sample: Data sample of a host.
        padded: Whether the pipeline resized the image once and then padded
            it, see :func:`mmhmc.engine.padding_steps.pads_resized_images`.
            Otherwise what it padded counts as image.

    Returns:
        None if the sample does not say.
    """
    size = getattr(sample, 'metainfo', {}).get('img_shape')
    if size is None:
        return None
    size = tuple(size[:2])
    scale = sample.metainfo.get('scale_factor')
    original = sample.metainfo.get('ori_shape')
    if not padded or scale is None or original is None:
        return size
    return (min(size[0], round(original[0] * float(scale[1]))),
            min(size[1], round(original[1] * float(scale[0]))))


def _pads(loop) -> bool:
    loader = getattr(loop, 'dataloader', None)
    return pads_resized_images(getattr(loader, 'dataset', None))


def _images_of(args: tuple, kwargs: dict) -> tuple[Optional[str], Any]:
    """Inputs of a host's forward, and their name if they have one."""
    # Multi-modal hosts call them images.
    name = next((n for n in ('inputs', 'images') if n in kwargs), None)
    return name, kwargs[name] if name else next(iter(args), None)


def _nothing_of(model: nn.Module) -> Tensor:
    """Zero, with a gradient of zero for all that learns.

    DDP waits for the gradients of all parameters, unless it is told that some
    have none.
    """
    return sum(p.sum() * 0 for p in model.parameters() if p.requires_grad)


def _argument(args: tuple, kwargs: dict, position: int, name: str):
    """An argument of a host's forward; None if it is left out."""
    if name in kwargs:
        return kwargs[name]
    return args[position] if len(args) > position else None


def images_with_samples(inputs,
                        samples) -> Iterator[tuple[Sequence[Tensor], list]]:
    """Images among a host's inputs, and the data sample of each.

    Where several images come with one sample, e.g. crops of it, there is no
    telling which it is about, and they are left out.

    Args:
        inputs: Images (B, C, H, W), videos (B, T, C, H, W), before the data
            preprocessor a list of (C, H, W) or of (T, C, H, W); or a list of
            views or a dictionary of branches of them.
        samples: Data samples; for branches a dictionary of them.

    Yields:
        A batch (B, C, H, W), or a list of (C, H, W), and the samples.
    """
    if isinstance(inputs, dict):
        for name, branch in inputs.items():
            if isinstance(samples, dict):
                yield from images_with_samples(branch, samples.get(name))
        return
    if not isinstance(samples, (list, tuple)):
        return
    frames = frames_of(samples)
    if isinstance(inputs, Tensor) and inputs.ndim >= 4:
        images = inputs.flatten(0, -4)
    elif isinstance(inputs, (list, tuple)):
        tensors = all(isinstance(one, Tensor) for one in inputs)
        videos = len(frames) > len(samples)
        if not tensors or not (videos or all(x.ndim == 3 for x in inputs)):
            for view in inputs:
                yield from images_with_samples(view, samples)
            return
        images = [
            image for one in inputs
            for image in ([one] if one.ndim == 3 else one.flatten(0, -4))
        ]
    else:
        return
    if len(images) == len(frames):
        yield images, frames


def _cuts_windows(model: nn.Module) -> bool:
    """Whether a model predicts by sliding windows, as mmseg's do."""
    test_cfg = getattr(model, 'test_cfg', None)
    return isinstance(test_cfg, dict) and test_cfg.get('mode') == 'slide' \
        and isinstance(getattr(model, 'backbone', None), CodecBackbone)


def _refuse_windows_of_latents(model: nn.Module) -> None:
    """Every window would have bits of its own, and no image has.

    Raises:
        ValueError: If latents stand for windows of an image.
    """
    test_cfg = getattr(model, 'test_cfg', None)
    if isinstance(test_cfg, dict) and test_cfg.get('mode') == 'slide' \
            and isinstance(getattr(model, 'backbone', None), LatentBackbone):
        raise ValueError(
            'An mmhmc.LatentBackbone codes whole images, but this model '
            "predicts by sliding windows; set `model.test_cfg.mode='whole'`.")


def _describe(samples: Sequence, records: Sequence[CodedBatch]) -> bool:
    """Give each data sample its ``coding`` field.

    One batch may hold all images, or several hold them one after another
    (the frames of a video); else there is no telling which is which, and the
    field is None.

    Returns:
        Whether it could be told.
    """
    samples = [
        sample for sample in frames_of(samples)
        if isinstance(sample, BaseDataElement)
    ]
    one_for_all = [r for r in records if len(r.sizes) == len(samples)][:1]
    images = [(r, i) for r in one_for_all or records
              for i in range(len(r.sizes))]
    if len(images) != len(samples):
        for sample in samples:
            sample.set_field(None, 'coding', field_type='metainfo')
        return False
    for sample, (coded, i) in zip(samples, images):
        size = coded.sizes[i]
        image = CodedImage(
            coded.bits[i].item(),
            coded.num_bytes[i],
            size,
            tuple(sample.metainfo.get('ori_shape', size)[:2]),
            coded.x[i, :, :size[0], :size[1]],
            None
            if coded.x_hat is None else coded.x_hat[i, :, :size[0], :size[1]],
            stream_bytes=coded.stream_bytes[i] if coded.stream_bytes else {})
        sample.set_field(image, 'coding', field_type='metainfo')
    return True


def _count_first(merge_preds):
    """Let the views of an image tell of the coding of the first of them.

    Hosts merge their predictions into the first of them, or the last.
    """

    def merge(data_samples_list: list):
        for views in data_samples_list:
            coding = views[0].metainfo.get('coding')
            if coding is None:
                continue
            coding = replace(coding, view=f'first of {len(views)} views')
            for view in views:
                view.set_field(coding, 'coding', field_type='metainfo')
        return merge_preds(data_samples_list)

    return merge
