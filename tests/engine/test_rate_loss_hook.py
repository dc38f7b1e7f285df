import copy
import gc
import math
import pickle
from contextlib import ExitStack
from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from conftest import (PREPROCESSOR, MockTaskModel, Probe, batch_of,
                      make_runner, tiny_codec, wrapped_model)
from mmengine.model import BaseModule, BaseTTAModel, MMDistributedDataParallel
from torch import nn

from mmhmc.adapters import DynamicAdaptation
from mmhmc.codecs import IdentityCodec
from mmhmc.engine import RateLossHook
from mmhmc.functional import image_mse
from mmhmc.losses import YCbCrError
from mmhmc.registry import MODELS
from mmhmc.structures import CodedBatch, CodedImage, CodingCondition

SIZES = [(64, 64), (48, 40)]


@pytest.fixture
def model():
    return wrapped_model(tiny_codec('MeanScaleHyperprior'))


def losses_of(model, seed=1):
    data = model.train().data_preprocessor(batch_of(*SIZES), training=True)
    torch.manual_seed(seed)
    return model(**data, mode='loss')


def recorded(model, run):
    """Result and coded batches of a run without the hook."""
    records = []
    with ExitStack() as stack:

        def record(model, args, kwargs):
            recording = model.backbone.recording([(kwargs['inputs'], SIZES)])
            records.append(stack.enter_context(recording))

        stack.callback(
            model.register_forward_pre_hook(record, with_kwargs=True).remove)
        return run(model), records[0]


def test_losses_are_the_objective_by_hand(model):
    host, (record, ) = recorded(model, losses_of)
    RateLossHook(0.5, 0.01, 0.25).attach(model)
    losses = losses_of(model)
    bpp = sum(bits / (h * w)
              for bits, (h, w) in zip(record.bits, SIZES)) / len(SIZES)
    mse = torch.stack([(record.x - record.x_hat)[i, :, :h, :w].square().mean()
                       for i, (h, w) in enumerate(SIZES)])
    expected = dict(
        loss_rate=0.5 * bpp,
        loss_distortion=0.01 * 255**2 * mse.mean(),
        bpp=bpp,
        psnr=(-10 * mse.log10()).mean(),
        loss_task=0.25 * host['loss_task'],
        loss_parts=[0.25 * part for part in host['loss_parts']],
        acc=host['acc'])
    assert losses.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(losses[name], value, msg=name)
    total, logs = model.parse_losses(losses)
    by_hand = (
        expected['loss_rate'] + expected['loss_distortion'] +
        expected['loss_task'] + sum(expected['loss_parts']))
    torch.testing.assert_close(total, by_hand)
    assert logs['loss'] == total


def test_another_error_takes_the_place_of_the_squared_one(model):
    _, (record, ) = recorded(model, losses_of)
    RateLossHook(
        lmbda_distortion=0.01,
        distortion=dict(type='mmhmc.YCbCrError')).attach(model)
    losses = losses_of(model)
    error = YCbCrError()(record.x, record.x_hat, SIZES)
    torch.testing.assert_close(losses['loss_distortion'],
                               0.01 * 255**2 * error.mean())
    mse = image_mse(record.x, record.x_hat, SIZES)
    torch.testing.assert_close(losses['psnr'], (-10 * mse.log10()).mean())
    assert not torch.allclose(error, mse)


def test_loss_in_logs_is_the_sum_also_where_a_host_calls_its_own_so(model):

    class Classifier(MockTaskModel):

        def forward(self, *args, **kwargs):
            return dict(loss=super().forward(*args, **kwargs)['loss_task'])

    classifier = Classifier(model.backbone)
    RateLossHook(lmbda_task=0.5).attach(classifier)
    losses = losses_of(classifier)
    total, logs = classifier.parse_losses(losses)
    assert logs['loss'] == total
    torch.testing.assert_close(
        total,
        losses['loss_task'] + losses['loss_rate'] + losses['loss_distortion'])


def test_only_losses_have_a_gradient(model):
    RateLossHook().attach(model)
    losses = losses_of(model)
    assert losses['loss_rate'].requires_grad
    assert losses['loss_distortion'].requires_grad
    assert not losses['bpp'].requires_grad
    assert not losses['psnr'].requires_grad


def test_weight_of_one_leaves_the_hosts_losses_alone(model):
    host, _ = recorded(model, losses_of)
    RateLossHook().attach(model)
    losses = losses_of(model)
    for name in ('loss_task', 'loss_parts', 'acc'):
        assert losses[name] == host[name]


class Costly(MockTaskModel):
    """A host whose losses are not finite, and which counts its forwards."""

    forwards = 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.forwards += 1
        if isinstance(inputs, list):
            inputs, data_samples = torch.cat(inputs), data_samples * 2
        losses = super().forward(inputs, data_samples, mode)
        if mode == 'loss':
            losses['loss_task'] = losses['loss_task'] * torch.inf
        return losses


@pytest.mark.parametrize('views', [1, 2])
def test_losses_of_no_weight_do_not_count(model, views):
    host = Costly(model.backbone).train()
    data = host.data_preprocessor(batch_of(*SIZES), training=True)
    if views > 1:
        data['inputs'] = [data['inputs']] * views
    hook = RateLossHook(lmbda_task=0.)
    hook.attach(host)
    losses = host(**data, mode='loss')
    assert 'loss_task' not in losses and 'loss_parts' not in losses
    # One that takes several views says itself what of them it codes.
    assert host.forwards == views - 1
    total, _ = host.parse_losses(losses)
    total.backward()
    assert total.isfinite()
    assert all(p.grad is None for p in host.backbone.backbone.parameters())
    assert all(p.grad is None for p in host.head.parameters())
    assert host.backbone.codec.g_a[0].weight.grad.any()
    hook.detach()
    assert 'loss_task' in host(**data, mode='loss')


def test_coding_alone_gives_the_losses_of_a_whole_forward(model):
    hook = RateLossHook(lmbda_task=1.)
    hook.attach(model)
    whole = losses_of(model)
    hook.lmbda_task = 0.
    alone = losses_of(model)
    assert set(whole) - set(alone) == {'loss_task', 'loss_parts', 'acc'}
    for name, value in alone.items():
        assert torch.equal(value, whole[name]), name


def test_processes_do_not_wait_for_losses_of_no_weight(model, tmp_path):
    dist.init_process_group(
        'gloo', init_method=f'file://{tmp_path}/meet', rank=0, world_size=1)
    try:
        wrapped = MMDistributedDataParallel(model.train())
        RateLossHook(lmbda_task=0.).before_run(
            SimpleNamespace(
                model=wrapped, hooks=[], register_hook=lambda hook: None))
        for _ in range(2):
            data = model.data_preprocessor(batch_of(*SIZES), training=True)
            losses = wrapped(**data, mode='loss')
            model.parse_losses(losses)[0].backward()
    finally:
        dist.destroy_process_group()
    assert not model.head.weight.grad.any()
    assert model.backbone.codec.g_a[0].weight.grad.any()


def test_forward_is_given_back(model):
    hook = RateLossHook()
    hook.attach(model)
    hook.attach(model)
    hook.detach()
    assert 'forward' not in vars(model)
    own = model.forward = lambda **kwargs: None
    hook.attach(model)
    assert model.forward is not own
    hook.detach()
    assert model.forward is own


def test_every_forward_of_one_step_counts(model):

    class TwoViews(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            super().forward(inputs, data_samples, mode)
            return super().forward(inputs.clone(), data_samples, mode)

    model = TwoViews(model.backbone)
    _, records = recorded(model, losses_of)
    RateLossHook().attach(model)
    pixels = torch.tensor([h * w for h, w in SIZES])
    bpp = torch.stack([record.bits / pixels for record in records])
    assert bpp.shape == (2, 2)
    torch.testing.assert_close(losses_of(model)['bpp'], bpp.mean().detach())


def test_what_a_host_moves_is_coded_whole(model):

    class Flipping(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            inputs = inputs.flip(-1) if self.flips else inputs.clone()
            return super().forward(inputs, data_samples, mode)

    model = Flipping(model.backbone)
    hook = RateLossHook()
    hook.attach(model)
    seen = []
    hook._losses = lambda records: seen.extend(records) or {}
    for model.flips in (True, False):
        losses_of(model)
    assert [record.sizes for record in seen] == [[(64, 64)] * 2, SIZES]


def test_tensor_mode_passes(model):
    data = model.eval().data_preprocessor(batch_of(*SIZES))
    scores, _ = recorded(model, lambda model: model(**data))
    RateLossHook().attach(model)
    positional = (data['inputs'], data['data_samples'], 'tensor')
    assert torch.equal(model(**data), scores)
    assert torch.equal(model(*positional), scores)


@pytest.mark.parametrize('weight',
                         ['lmbda_rate', 'lmbda_distortion', 'lmbda_task'])
@pytest.mark.parametrize('value', [-1e-9, math.nan, math.inf])
def test_impossible_weight_is_refused(weight, value):
    with pytest.raises(ValueError, match=f'`{weight}` weighs .* got {value}'):
        RateLossHook(**{weight: value})


def test_what_was_coded_is_told_to_the_samples(model):

    def run(model):
        return model.eval().test_step(batch_of(*SIZES))

    _, (record, ) = recorded(model, run)
    RateLossHook().attach(model)
    for i, sample in enumerate(run(model)):
        coding, (h, w) = sample.coding, SIZES[i]
        assert isinstance(coding, CodedImage)
        assert coding.bits == record.bits[i].item()
        assert coding.num_bytes == record.num_bytes[i]
        assert coding.coded_size == (h, w)
        assert coding.original_size == (2 * h, 2 * w)
        assert torch.equal(coding.x, record.x[i, :, :h, :w])
        assert torch.equal(coding.x_hat, record.x_hat[i, :, :h, :w])
        # Metrics get dictionaries.
        assert sample.to_dict()['coding'] is coding


def test_images_are_not_dumped_with_predictions(model):
    RateLossHook().attach(model)
    sample = model.eval().test_step(batch_of(*SIZES))[0]
    other = pickle.loads(pickle.dumps(sample)).coding
    assert other.x is None and other.x_hat is None
    assert other.num_bytes == sample.coding.num_bytes
    assert sample.coding.x is not None


def test_detaching_leaves_nothing_on_the_model(model, tmp_path):

    def hooks():
        return [(m._forward_hooks, m._forward_pre_hooks)
                for m in model.modules()]

    before = [tuple(map(dict, both)) for both in hooks()]
    hook = RateLossHook()
    hook.attach(model)
    hook.attach(model)
    assert len(model._forward_hooks) == len(model._forward_pre_hooks) == 1
    hook.detach()
    assert [tuple(map(dict, both)) for both in hooks()] == before
    make_runner(model, tmp_path, [RateLossHook()], max_epochs=1).train()
    assert [tuple(map(dict, both)) for both in hooks()] == before
    assert 'loss_rate' not in losses_of(model)


def test_model_without_a_codec_is_refused():
    with pytest.raises(ValueError, match='MockTaskModel holds 0 codecs'):
        RateLossHook().attach(MockTaskModel())


def test_copy_that_does_not_learn_does_not_count(model):

    class WithTeacher(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            if mode == 'loss':
                with torch.no_grad():
                    self.teacher(inputs)
            return super().forward(inputs, data_samples, mode)

    alone = wrapped_model(copy.deepcopy(model.backbone.codec))
    RateLossHook().attach(alone)
    taught = WithTeacher(alone.backbone)
    taught.teacher = copy.deepcopy(alone.backbone)
    taught.teacher.codec.g_a[0].weight.data.mul_(3)
    expected = losses_of(alone)
    RateLossHook().attach(taught)
    taught.backbone.codec.requires_grad_(True)
    losses = losses_of(taught)
    # Not equal: the teacher draws noise before the student does.
    torch.testing.assert_close(
        losses['bpp'], expected['bpp'], rtol=0.1, atol=0)
    taught.teacher.codec.g_a[0].weight.data.mul_(3)
    assert losses_of(taught)['bpp'] == losses['bpp']


def test_every_branch_has_the_sizes_of_its_own_samples(model):

    class Branches(MockTaskModel):

        def forward(self, inputs, data_samples=None, mode='tensor'):
            for name, branch in inputs.items():
                losses = super().forward(branch, data_samples[name], mode)
            return losses

    model = Branches(model.backbone).train()
    hook = RateLossHook()
    hook.attach(model)
    packed = {
        name: model.data_preprocessor(batch_of(*sizes), training=True)
        for name, sizes in dict(
            labelled=SIZES, free=[(64, 64), (64, 33), (30, 64)]).items()
    }
    seen = []
    hook._losses = lambda records: seen.extend(records) or {}
    model({
        k: v['inputs']
        for k, v in packed.items()
    }, {
        k: v['data_samples']
        for k, v in packed.items()
    },
          mode='loss')
    assert [r.sizes for r in seen] == [SIZES, [(64, 64), (64, 33), (30, 64)]]


@pytest.mark.parametrize('note', [None, (65, 64), (40, 40)])
def test_whole_canvas_counts_where_a_sample_says_nothing_of_use(model, note):
    data = batch_of(*SIZES)
    for sample in data['data_samples']:
        sample.pop('img_shape')
        if note is not None:
            sample.set_metainfo(dict(img_shape=note))
    hook = RateLossHook()
    hook.attach(model.train())
    seen = []
    hook._losses = lambda records: seen.extend(records) or {}
    model(**model.data_preprocessor(data, training=True), mode='loss')
    assert seen[0].sizes == [(64, 64)] * 2


# Windows and views: the bits of an image count once.


class SlidingModel(MockTaskModel):
    """Predicts from windows of 64 x 64, as mmseg's models do."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.test_cfg = dict(mode='slide')

    def forward(self, inputs, data_samples=None, mode='tensor'):
        if mode != 'predict':
            return super().forward(inputs, data_samples, mode)
        self.windows = [
            inputs[..., y:y + 64, x:x + 64] for y in (0, 32) for x in (0, 32)
        ]
        scores = [super(SlidingModel, self).forward(w) for w in self.windows]
        for i, sample in enumerate(data_samples):
            sample.set_data(dict(score=sum(s[i] for s in scores)))
        return data_samples


def test_windows_are_cut_from_the_image_that_was_coded_whole(model):
    sizes = [(96, 96), (80, 90)]

    def run(model):
        return model.eval().test_step(batch_of(*sizes))

    whole = MockTaskModel(model.backbone)
    shown = []
    model.backbone.backbone.register_forward_pre_hook(
        lambda module, args: shown.append(args[0]))
    RateLossHook().attach(whole)
    expected = [sample.coding for sample in run(whole)]
    sliding = SlidingModel(model.backbone)
    hook = RateLossHook()
    hook.attach(sliding)
    samples = run(sliding)
    for sample, coding in zip(samples, expected):
        assert sample.coding.bits == coding.bits
        assert sample.coding.num_bytes == coding.num_bytes
        assert torch.equal(sample.coding.x_hat, coding.x_hat)
        assert sample.coding.view == 'image'
    image, *windows = shown
    assert torch.equal(windows[0], image[..., :64, :64])
    assert torch.equal(windows[3], image[..., 32:, 32:])
    # While it learns, what it is given is coded where it comes in.
    losses = losses_of(sliding)
    assert losses['loss_rate'] > 0


def test_windows_are_coded_again_after_a_prediction_that_failed(model):
    sliding = SlidingModel(model.backbone)
    hook = RateLossHook()
    hook.attach(sliding)
    with pytest.raises(AttributeError):
        sliding.eval()(torch.zeros(1, 3, 64, 64), [object()], mode='predict')
    hook.detach()
    with model.backbone.recording() as records:
        sliding.eval().test_step(batch_of((96, 96)))
    assert len(records) == 4


class MeanOfViews(BaseTTAModel):
    """Keeps the last view's sample, as mmseg does."""

    def merge_preds(self, data_samples_list):
        for views in data_samples_list:
            views[-1].score = sum(v.score for v in views) / len(views)
        return [views[-1] for views in data_samples_list]


def test_first_of_several_views_counts_and_says_so(model):
    first, other = batch_of((64, 64)), batch_of((48, 40))
    views = {key: [first[key], other[key]] for key in first}
    whole = MockTaskModel(model.backbone)
    RateLossHook().attach(whole)
    expected, = whole.eval().test_step(batch_of((64, 64)))
    augmented = MeanOfViews(MockTaskModel(model.backbone))
    hook = RateLossHook()
    hook.attach(augmented)
    sample, = augmented.eval().test_step(views)
    assert sample.coding.num_bytes == expected.coding.num_bytes
    assert sample.coding.coded_size == (64, 64)
    assert sample.coding.view == 'first of 2 views'
    assert torch.equal(sample.coding.x_hat, expected.coding.x_hat)
    hook.detach()
    assert 'merge_preds' not in vars(augmented)
    assert 'coding' not in augmented.test_step(views)[0]


def test_fifty_steps_keep_hooks_and_tensors_flat(tmp_path, model):

    def counted(runner):
        gc.collect()
        hooks = sum(
            len(m._forward_hooks) + len(m._forward_pre_hooks)
            for m in runner.model.modules())
        tensors = [o for o in gc.get_objects() if type(o) is torch.Tensor]
        return hooks, len(tensors), sum(t.nbytes for t in tensors)

    class EveryTenth(Probe):

        def __init__(self):
            super().__init__(counted)
            look = self.after_train_iter
            self.after_train_iter = lambda runner, *a, **k: (
                look(runner) if runner.iter % 10 == 9 else None)

    probe = EveryTenth()
    make_runner(
        model, tmp_path, [RateLossHook(), probe], max_epochs=25).train()
    assert len(probe.seen) == 5
    assert len(set(probe.seen[1:])) == 1


def test_identity_codec_costs_and_loses_nothing():
    model = wrapped_model(IdentityCodec())
    RateLossHook().attach(model)
    losses = losses_of(model)
    assert losses['loss_rate'] == losses['loss_distortion'] == 0
    assert losses['psnr'] == 100


def test_untrained_adapter_is_refused_at_test_time():

    def tested(adapter, active=True):
        hook = RateLossHook()
        hook.attach(
            wrapped_model(
                IdentityCodec(), adapter, test_cfg=dict(adapter=active)))
        hook.before_test(None)
        return True

    with pytest.raises(ValueError, match='layer is zero, .*adapter=False'):
        tested(DynamicAdaptation(8))
    assert tested(DynamicAdaptation(8), active=False)
    assert tested(None)
    trained = DynamicAdaptation(8)
    nn.init.ones_(trained.layers[-1].bias)
    assert tested(trained)


def coded_batch(quality, x_hat=None, x_bar=None):
    x = torch.zeros(2, 3, 8, 8)
    bits = torch.tensor([64., 128.], requires_grad=True)
    condition = None if quality is None else CodingCondition(quality=quality)
    return CodedBatch(
        x,
        x_hat,
        x if x_bar is None else x_bar, [(8, 8), (4, 4)],
        bits, [None] * 2,
        condition=condition)


@pytest.mark.parametrize('lmbda', [[4., 2., 1.], lambda q: 2.**(3 - q)])
def test_images_of_a_batch_are_weighed_by_qualities_of_their_own(lmbda):
    x_hat = torch.zeros(2, 3, 8, 8)
    x_hat[0], x_hat[1, :, :4, :4] = 0.5, 0.25
    hook = RateLossHook(lmbda_rate=lmbda, lmbda_distortion=lmbda)
    losses = hook._losses([coded_batch((1, 3), x_hat)])
    # 1 and 8 bits per pixel; squared errors of 1/4 and 1/16.
    assert losses['loss_rate'].item() == (4 * 1 + 1 * 8) / 2
    assert losses['loss_distortion'].item() == pytest.approx(
        255**2 * (4 / 4 + 1 / 16) / 2)


def test_function_of_the_quality_has_weights_between_two():
    hook = RateLossHook(lmbda_rate=lambda quality: 2 * quality)
    losses = hook._losses([coded_batch((1.5, 2))])
    assert losses['loss_rate'].item() == (3 * 1 + 4 * 8) / 2


def test_function_of_the_quality_needs_one():
    hook = RateLossHook(lmbda_rate=lambda quality: 2 * quality)
    with pytest.raises(ValueError, match='function of the quality, and a bat'):
        hook._losses([coded_batch(None)])


@pytest.mark.parametrize(
    'weight', ['lmbda_rate', 'lmbda_distortion', 'lmbda_perceptual'])
@pytest.mark.parametrize('value, match', [([], 'has no weights'),
                                          ([1, -2], 'at least 0, got -2')])
def test_lists_of_weights_are_checked(weight, value, match):
    with pytest.raises(ValueError, match=f'`{weight}` .*{match}'):
        RateLossHook(**{weight: value})


class Largest(nn.Module):

    def forward(self, x, x_hat):
        return (x - x_hat).abs().amax(dim=(1, 2, 3))


def test_perceptual_distance_leaves_batch_padding_out():
    x_hat = torch.full((2, 3, 8, 8), 9.)
    x_hat[0] = 0.25
    x_hat[1, :, :4, :4] = 0.5
    hook = RateLossHook(lmbda_perceptual=4.)
    hook.perceptual = Largest()
    losses = hook._losses([coded_batch(None, x_hat)])
    assert losses['loss_perceptual'].item() == 4 * (0.25 + 0.5) / 2
    assert 'loss_perceptual' not in hook._losses([coded_batch(None)])


def test_perceptual_distance_weighs_what_the_quality_says():
    x_hat = torch.full((2, 3, 8, 8), 0.5)
    x_hat[1] = 0.25
    hook = RateLossHook(lmbda_perceptual=[1., 8.])
    hook.perceptual = Largest()
    losses = hook._losses([coded_batch((2, 1), x_hat)])
    assert losses['loss_perceptual'].item() == (8 * 0.5 + 1 * 0.25) / 2


def test_perceptual_distance_may_be_of_what_the_machine_sees():
    x_hat = torch.full((2, 3, 8, 8), 0.25)
    x_bar = torch.full((2, 3, 8, 8), 0.5)
    hook = RateLossHook(lmbda_perceptual=4., perceptual_of='x_bar')
    hook.perceptual = Largest()
    losses = hook._losses([coded_batch(None, x_hat, x_bar)])
    assert losses['loss_perceptual'].item() == 4 * 0.5


@pytest.mark.parametrize('shown', ['x_hat', 'x_bar'])
def test_adapter_learns_from_the_image_of_the_machine(shown):
    adapter = DynamicAdaptation(width=2)
    model = wrapped_model(tiny_codec('MeanScaleHyperprior'), adapter)
    hook = RateLossHook(
        lmbda_task=0,
        perceptual=dict(type='mmhmc.FeatureLoss'),
        perceptual_of=shown)
    hook.attach(model)
    losses_of(model)['loss_perceptual'].backward()
    learns = adapter.layers[-1].bias.grad
    assert (learns is not None) == (shown == 'x_bar')
    assert learns is None or learns.any()
    assert model.backbone.codec.g_a[0].weight.grad.any()


@MODELS.register_module()
class PlainStages(BaseModule):
    """Two feature maps, each what a module gives; counts its forwards."""

    calls = 0

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.first = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4))
        self.second = nn.Conv2d(4, 8, 3, padding=1)

    def forward(self, inputs):
        self.calls += 1
        first = self.first(inputs)
        return first, self.second(first.relu())


def seen_by_its_host(tmp_path, **kwargs):
    """A model before a frozen backbone, and a hook that compares by it."""
    model = wrapped_model(
        tiny_codec('MeanScaleHyperprior'), DynamicAdaptation(width=2))
    backbone = PlainStages().requires_grad_(False)
    nn.init.normal_(backbone.first[1].running_mean)
    path = str(tmp_path / 'host.pth')
    torch.save(dict(state_dict=backbone.state_dict()), path)
    model.backbone.backbone = backbone
    nn.init.normal_(model.backbone.adapter.layers[-1].weight, std=0.1)
    hook = RateLossHook(
        lmbda_task=0.,
        perceptual=dict(
            type='mmhmc.BackboneLoss',
            backbone=dict(
                type='mmhmc.PlainStages',
                init_cfg=dict(type='Pretrained', checkpoint=path)),
            input_norm=PREPROCESSOR,
            unit=False),
        **{
            'perceptual_of': 'x_bar',
            **kwargs
        })
    hook.attach(model)
    return model, hook


def perceptual_of(model, hook):
    """The loss of one step, the codec's gradient, forwards of the loss."""
    network = hook.perceptual._networks[0].backbone
    network.calls = 0
    model.zero_grad()
    data = model.train().data_preprocessor(batch_of(*SIZES), training=True)
    model.backbone.backbone.eval()
    torch.manual_seed(1)
    loss = model(**data, mode='loss')['loss_perceptual']
    loss.backward()
    gradient = model.backbone.codec.g_a[0].weight.grad.clone()
    return loss.detach(), gradient, network.calls


def test_features_of_a_frozen_host_are_computed_once(tmp_path):
    model, hook = seen_by_its_host(tmp_path)
    loss, gradient, calls = perceptual_of(model, hook)
    assert calls > 1  # it had nothing to know the features by
    shared, same, calls = perceptual_of(model, hook)
    assert calls == 1
    torch.testing.assert_close(shared, loss, rtol=1e-4, atol=0)
    torch.testing.assert_close(same, gradient, rtol=1e-3, atol=1e-7)
    assert not model.backbone.backbone.first._forward_hooks


@pytest.mark.parametrize(
    'other', ['weights', 'learns', 'moves', 'image', 'norm', 'half'])
def test_features_of_another_backbone_are_not_taken(tmp_path, other):
    model, hook = seen_by_its_host(
        tmp_path, perceptual_of='x_hat' if other == 'image' else 'x_bar')
    backbone = model.backbone.backbone
    perceptual_of(model, hook)
    if other == 'weights':
        with torch.no_grad():
            backbone.second.bias[0] += 1
    elif other == 'learns':
        backbone.second.requires_grad_()
    elif other == 'moves':
        backbone.eval = lambda: backbone
    elif other == 'norm':
        model.backbone.input_norm.mean.add_(1)
    elif other == 'half':
        backbone.to(torch.bfloat16)
        backbone.register_forward_pre_hook(
            lambda module, args: tuple(one.to(torch.bfloat16) for one in args))
        model.head.to(torch.bfloat16)
    assert perceptual_of(model, hook)[2] == 2


def test_images_of_machines_are_not_latents():
    hook = RateLossHook(perceptual_of='x_bar')
    hook.perceptual = Largest()
    latents = torch.zeros(2, 8, 1, 1)
    with pytest.raises(ValueError, match="latents.*perceptual_of='x_hat'"):
        hook._losses([coded_batch(None, torch.zeros(2, 3, 8, 8), latents)])


def test_perceptual_distance_of_something_else_is_refused():
    with pytest.raises(ValueError, match="'x_hat' or 'x_bar', got 'y_hat'"):
        RateLossHook(perceptual_of='y_hat')


def test_perceptual_loss_is_built_from_its_config(model):
    hook = RateLossHook(
        lmbda_distortion=0., perceptual=dict(type='mmhmc.FeatureLoss'))
    hook.attach(model)
    losses = losses_of(model)
    assert losses['loss_perceptual'] > 0
    losses['loss_perceptual'].backward()
    assert model.backbone.codec.g_a[0].weight.grad.abs().sum() > 0
