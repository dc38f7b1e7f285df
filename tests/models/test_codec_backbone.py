import copy
import pickle

import pytest
import torch
from conftest import (PREPROCESSOR, MockTaskModel, TinyBackbone, batch_of,
                      smooth_images, tiny_codec, wrapped_model)
from mmengine.registry import MODELS
from mmengine.runner import load_checkpoint
from torch import nn

from mmhmc.adapters import DynamicAdaptation, MachineSynthesis
from mmhmc.codecs import IdentityCodec
from mmhmc.engine import RateLossHook
from mmhmc.functional import count_bits, extend_edges
from mmhmc.input_norm import InputNorm
from mmhmc.models import CodecBackbone
from mmhmc.refinement import LatentRefinement

SIZES = [(64, 64), (48, 40), (33, 64)]


@pytest.fixture(scope='module')
def trained():
    """A codec whose latents cost bits; not to be changed."""
    torch.manual_seed(0)
    return tiny_codec('MeanScaleHyperprior')


def trained_adapter(**kwargs):
    adapter = DynamicAdaptation(8, **kwargs)
    nn.init.normal_(adapter.layers[-1].weight, std=0.1)
    return adapter


def backbone_with(codec, adapter=None, **kwargs):
    backbone = CodecBackbone(
        copy.deepcopy(codec), TinyBackbone(), PREPROCESSOR, adapter, **kwargs)
    return backbone.eval()


def host_inputs(count=3, height=64, width=64):
    """Images, normalised as the host does."""
    norm = InputNorm.from_preprocessor(PREPROCESSOR)
    x = smooth_images(count, height, width)
    return (x * 255 - norm.mean) / norm.std


def seen_by(backbone):
    """Inputs of the inner backbone, as they come."""
    seen = []
    backbone.backbone.register_forward_pre_hook(
        lambda module, args: seen.append(args[0]))
    return seen


def coded(backbone, inputs, sizes=None):
    """What was coded in one forward."""
    expected = [] if sizes is None else [(inputs, sizes)]
    with backbone.recording(expected) as records:
        backbone(inputs)
    return records[0]


# Equality with the bare host.


@pytest.mark.parametrize('hooked', [False, True])
def test_identity_codec_gives_the_bare_hosts_losses_and_predictions(hooked):
    bare, model = MockTaskModel(), wrapped_model(IdentityCodec())
    model.load_state_dict(bare.state_dict())
    if hooked:
        RateLossHook().attach(model)
    data = batch_of(*SIZES)
    losses = []
    for one in (bare, model):
        one.train()
        packed = one.data_preprocessor(data, training=True)
        losses.append(one(**packed, mode='loss'))
    assert set(losses[0]) <= set(losses[1])
    for name in ('loss_task', 'acc'):
        assert torch.equal(losses[0][name], losses[1][name])
    assert losses[0]['loss_parts'] == losses[1]['loss_parts']
    scores = [
        torch.stack([s.score for s in one.eval().test_step(batch_of(*SIZES))])
        for one in (bare, model)
    ]
    assert torch.equal(*scores)


def test_identity_codec_gives_the_bare_hosts_gradients():
    bare, model = MockTaskModel(), wrapped_model(IdentityCodec())
    model.load_state_dict(bare.state_dict())
    for one in (bare, model):
        one.parse_losses(
            one(**one.data_preprocessor(batch_of(*SIZES), training=True),
                mode='loss'))[0].backward()
    inner = dict(model.backbone.backbone.named_parameters())
    for name, parameter in bare.backbone.named_parameters():
        assert torch.equal(inner[name].grad, parameter.grad)


# What the host sees.


@pytest.mark.parametrize('training', [True, False])
def test_batch_padding_is_left_as_the_host_had_it(trained, training):
    backbone, inputs = backbone_with(trained), host_inputs()
    backbone.train(training)
    seen = seen_by(backbone)
    coded(backbone, inputs, SIZES)
    for i, (h, w) in enumerate(SIZES):
        outside = torch.ones(64, 64, dtype=torch.bool)
        outside[:h, :w] = False
        assert torch.equal(seen[0][i, :, outside], inputs[i, :, outside])
        assert not torch.equal(seen[0][i, :, ~outside], inputs[i, :, ~outside])


@pytest.mark.parametrize('training', [True, False])
def test_result_does_not_depend_on_what_the_padding_holds(trained, training):
    backbone = backbone_with(trained).train(training)
    inputs = host_inputs()
    other = inputs.clone()
    for i, (h, w) in enumerate(SIZES):
        other[i, :, h:] = 7
        other[i, :, :, w:] = -3
    records = []
    for one in (inputs, other):
        torch.manual_seed(1)
        records.append(coded(backbone, one, SIZES))
    assert torch.equal(records[0].bits, records[1].bits)
    assert records[0].num_bytes == records[1].num_bytes
    for i, (h, w) in enumerate(SIZES):
        for name in ('x', 'x_hat', 'x_bar'):
            one, two = (getattr(r, name)[i, :, :h, :w] for r in records)
            assert torch.equal(one, two), name


@pytest.mark.parametrize('training', [True, False])
def test_host_sees_the_decoded_image_in_its_own_normalisation(
        trained, training):
    backbone, inputs = backbone_with(trained), host_inputs()
    backbone.train(training)
    seen = seen_by(backbone)
    record = coded(backbone, inputs)
    norm = backbone.input_norm
    torch.testing.assert_close(
        seen[0], (record.x_bar * 255 - norm.mean) / norm.std,
        rtol=0,
        atol=1e-4)


# Evaluation.


def test_each_image_is_coded_as_if_it_were_alone(trained):
    backbone, inputs = backbone_with(trained), host_inputs()
    together = coded(backbone, inputs, SIZES)
    for i, (h, w) in enumerate(SIZES):
        alone = coded(backbone, inputs[i:i + 1, :, :h, :w], [(h, w)])
        assert alone.num_bytes == together.num_bytes[i:i + 1]
        assert torch.equal(alone.bits, together.bits[i:i + 1])
        for name in ('x', 'x_hat', 'x_bar'):
            one, two = getattr(alone, name)[0], getattr(together, name)[i]
            assert torch.equal(one, two[:, :h, :w]), name


def test_bytes_are_those_of_the_stored_file(trained):
    backbone, inputs = backbone_with(trained), host_inputs(1, 50, 70)
    record = coded(backbone, inputs)
    stream, = backbone.codec.compress(record.x)
    assert record.num_bytes == [stream.num_bytes]
    assert torch.equal(record.x_hat, backbone.codec.decompress([stream]))
    # Few and costly symbols: within the header and two flushes.
    assert 0 < 8 * stream.num_bytes - record.bits.item() < 8 * 64
    # The estimate is of all that is written, up to the codec's stride.
    padded = extend_edges(record.x, [(50, 70)], (64, 128))
    with torch.no_grad():
        likelihoods = backbone.codec.encode_latents(padded).likelihoods
    torch.testing.assert_close(record.bits,
                               count_bits(likelihoods, [(64, 128)], (64, 128)))


def test_real_bits_can_be_left_out(trained):
    backbone, inputs = backbone_with(trained), host_inputs()
    with_bytes = coded(backbone, inputs, SIZES)
    backbone.test_cfg['real_bits'] = False
    without = coded(backbone, inputs, SIZES)
    assert without.num_bytes == [None] * 3
    assert None not in with_bytes.num_bytes
    for name in ('bits', 'x_hat', 'x_bar'):
        assert torch.equal(getattr(with_bytes, name), getattr(without,
                                                              name)), name


def test_tables_are_needed_for_real_bits_only():
    codec = dict(
        type='mmhmc.ScaleHyperprior', hidden_channels=8, latent_channels=8)
    backbone = CodecBackbone(codec, TinyBackbone(), PREPROCESSOR).eval()
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        backbone(host_inputs())
    backbone.test_cfg['real_bits'] = False
    assert (coded(backbone, host_inputs()).bits > 0).all()


def test_stream_that_does_not_decode_to_its_latents_is_an_error(trained):
    backbone = backbone_with(trained)
    read = backbone.codec.read
    backbone.codec.read = lambda *args: read(*args) + 1
    with pytest.raises(RuntimeError, match='did not decode to the latents'):
        backbone(host_inputs())


def test_training_writes_no_bytes(trained):
    backbone = backbone_with(trained).train()
    record = coded(backbone, host_inputs(), SIZES)
    assert record.num_bytes == [None] * 3
    assert record.bits.requires_grad and record.x_bar.requires_grad


# Adapter.


def test_adapter_can_be_bypassed_at_identical_bits(trained):
    backbone = backbone_with(trained, trained_adapter())
    inputs = host_inputs()
    adapted = coded(backbone, inputs, SIZES)
    bypassed = coded(
        backbone_with(trained, backbone.adapter, test_cfg=dict(adapter=False)),
        inputs, SIZES)
    assert adapted.num_bytes == bypassed.num_bytes
    assert torch.equal(adapted.bits, bypassed.bits)
    assert torch.equal(adapted.x_hat, bypassed.x_hat)
    assert torch.equal(bypassed.x_bar, bypassed.x_hat)
    for i, (h, w) in enumerate(SIZES):
        assert not torch.equal(adapted.x_bar[i, :, :h, :w],
                               adapted.x_hat[i, :, :h, :w])


@pytest.mark.parametrize('training', [True, False])
def test_untrained_adapter_shows_the_host_what_people_see(trained, training):
    for placement in (dict(), dict(placement='latent', in_channels=8)):
        backbone = backbone_with(trained, DynamicAdaptation(8, **placement))
        record = coded(backbone.train(training), host_inputs())
        # While training, x_hat is not clamped: its error has to count.
        assert torch.equal(record.x_bar, record.x_hat.clamp(0, 1))


@pytest.mark.parametrize('training', [True, False])
def test_latent_adapter_works_before_g_s(trained, training):
    adapter = trained_adapter(placement='latent', in_channels=8)
    backbone = backbone_with(trained, adapter).train(training)
    latents = []
    adapter.register_forward_hook(lambda module, args, output: latents.append(
        (args[0], output)))
    record = coded(backbone, host_inputs(1))
    (y_hat, y_bar), = latents
    x_hat, x_bar = (backbone.codec.decode_latents(y) for y in (y_hat, y_bar))
    torch.testing.assert_close(record.x_bar, x_bar.clamp(0, 1))
    torch.testing.assert_close(record.x_hat,
                               x_hat if training else x_hat.clamp(0, 1))
    assert not torch.equal(record.x_bar, record.x_hat)


@pytest.mark.parametrize(
    'placement', [dict(), dict(placement='latent', in_channels=8)])
def test_adapter_learns_behind_a_frozen_codec(trained, placement):
    backbone = backbone_with(trained, trained_adapter(**placement)).train()
    backbone.codec.requires_grad_(False)
    backbone.codec.eval()
    record = coded(backbone, host_inputs(), SIZES)
    assert not record.x_hat.requires_grad and not record.bits.requires_grad
    record.x_bar.mean().backward()
    assert all(p.grad is not None for p in backbone.adapter.parameters())
    assert all(p.grad is None for p in backbone.codec.parameters())


def test_latent_adapter_of_other_channels_is_refused(trained):
    adapter = DynamicAdaptation(8, placement='latent', in_channels=5)
    with pytest.raises(ValueError, match='of 5 channels, .* have 8: set `in'):
        backbone_with(trained, adapter)


def test_latent_adapter_without_a_latent_is_refused():
    adapter = DynamicAdaptation(8, placement='latent', in_channels=3)
    with pytest.raises(ValueError, match='IdentityCodec has no latent'):
        backbone_with(IdentityCodec(), adapter)


def test_adapter_is_built_from_its_config(trained):
    backbone = backbone_with(trained,
                             dict(type='mmhmc.DynamicAdaptation', width=4))
    assert isinstance(backbone.adapter, DynamicAdaptation)


# What is refused.


@pytest.mark.parametrize('training', [True, False])
def test_image_that_is_not_finite_is_refused(trained, training):
    backbone, inputs = backbone_with(trained), host_inputs()
    inputs[1, 0, 3, 3] = torch.nan
    with pytest.raises(ValueError, match='must be finite'):
        backbone.train(training)(inputs)


def test_sizes_of_another_batch_are_refused(trained):
    backbone = backbone_with(trained)
    with pytest.raises(ValueError, match='2 image sizes .* of 3 images'):
        coded(backbone, host_inputs(), SIZES[:2])


def test_size_larger_than_the_canvas_is_refused(trained):
    backbone = backbone_with(trained)
    with pytest.raises(ValueError, match=r'\(65, 64\) does not fit'):
        coded(backbone, host_inputs(), [(65, 64)] * 3)


def test_unknown_test_cfg_key_is_refused(trained):
    with pytest.raises(ValueError, match=r"unknown keys \['realbits'\]; it m"):
        backbone_with(trained, test_cfg=dict(realbits=False))


def test_parts_of_the_wrong_kind_are_refused(trained):
    with pytest.raises(TypeError, match='`codec` must be an ImageCodec'):
        CodecBackbone(TinyBackbone(), TinyBackbone(), PREPROCESSOR)
    with pytest.raises(TypeError, match='`input_norm` must be the data prep'):
        CodecBackbone(trained, TinyBackbone(), None)


# Recording.


def test_nothing_is_kept_unless_it_is_asked_for(trained):
    backbone = backbone_with(trained)
    backbone(host_inputs())
    with backbone.recording() as records:
        assert records == []
        backbone(host_inputs())
        backbone(host_inputs())
    backbone(host_inputs())
    assert len(records) == 2


def test_whole_canvas_counts_where_sizes_are_unknown(trained):
    record = coded(backbone_with(trained), host_inputs(2, 50, 70))
    assert record.sizes == [(50, 70)] * 2


def test_sizes_hold_for_the_batch_that_they_came_with(trained):
    backbone = backbone_with(trained)
    one, two = host_inputs(2), host_inputs(2)
    other, crops = host_inputs(3), host_inputs(2, 40, 40)
    sizes = [[(64, 64), (30, 50)], [(64, 20), (64, 64)]]
    expected = [(one, sizes[0]), (two, sizes[1])]
    with backbone.recording(expected) as records:
        for inputs in (other, crops, two, one):
            backbone(inputs)
    # Expected batches come first.
    assert [r.sizes for r in records
            ] == [*sizes[::-1], [(64, 64)] * 3, [(40, 40)] * 2]


def test_other_tensor_of_the_same_shape_has_the_same_sizes(trained):
    backbone = backbone_with(trained)
    inputs = host_inputs(2)
    with backbone.recording([(inputs, SIZES[:2])]) as records:
        backbone(inputs.clone())
    assert records[0].sizes == SIZES[:2]


def test_what_was_decoded_before_is_not_coded_again(trained):
    backbone, inputs = backbone_with(trained), host_inputs()
    seen = seen_by(backbone)
    with backbone.recording([(inputs, SIZES)]) as records, \
            backbone.decoded(inputs) as decoded:
        backbone(decoded[..., :32, :32])
    assert len(records) == 1
    assert torch.equal(seen[0], decoded[..., :32, :32])
    # And that ends with the context.
    backbone(inputs)
    assert torch.equal(seen[1], backbone.decode(inputs))


def test_other_arguments_reach_the_hosts_backbone():

    class Masked(TinyBackbone):

        def forward(self, inputs, mask, scale=1):
            return super().forward(inputs * mask * scale)

    bare = Masked().eval()
    backbone = CodecBackbone(IdentityCodec(), bare, PREPROCESSOR).eval()
    inputs, mask = host_inputs(), torch.rand(3, 1, 64, 64)
    assert torch.equal(
        backbone(inputs, mask, scale=2)[0],
        bare(inputs, mask, scale=2)[0])


def test_initialisation_that_a_host_sets_is_that_of_its_backbone():
    backbone = CodecBackbone(
        IdentityCodec(),
        dict(type='TinyBackboneWithInit'),
        PREPROCESSOR,
        pretrained='here',
        init_cfg=dict(type='Pretrained_Part'))
    assert backbone.backbone.given == dict(
        pretrained='here', init_cfg=dict(type='Pretrained_Part'))
    assert backbone.init_cfg is None


@MODELS.register_module()
class TinyBackboneWithInit(TinyBackbone):

    def __init__(self, **given):
        super().__init__()
        self.given = given


# Checkpoints.


def host_checkpoint(tmp_path, host=None):
    host = MockTaskModel() if host is None else host
    path = str(tmp_path / 'host.pth')
    torch.save(dict(meta=dict(), state_dict=host.state_dict()), path)
    return host, path


@pytest.fixture
def log(monkeypatch):
    """What CodecBackbone logs."""
    lines = []
    monkeypatch.setattr('mmhmc.models.codec_backbone.print_log',
                        lambda message, **kwargs: lines.append(message))
    return lines


def load_with_torch(model, path):
    state = torch.load(path, weights_only=True)['state_dict']
    model.load_state_dict(state, strict=True)


def load_with_mmengine(model, path):
    load_checkpoint(model, path, strict=True)


either_way = pytest.mark.parametrize('load',
                                     [load_with_torch, load_with_mmengine])


@either_way
def test_host_checkpoint_loads_as_it_is(tmp_path, log, trained, load):
    host, path = host_checkpoint(tmp_path)
    model = wrapped_model(copy.deepcopy(trained), trained_adapter())
    own = {
        k: v.clone()
        for k, v in model.state_dict().items()
        if k.startswith(('backbone.codec.', 'backbone.adapter.'))
    }
    load(model, path)
    state = model.state_dict()
    for key, value in host.state_dict().items():
        inner = key.replace('backbone.', 'backbone.backbone.')
        assert torch.equal(state.pop(inner), value), key
    assert state.keys() == own.keys()
    assert all(torch.equal(state[k], own[k]) for k in own)
    assert log == [
        'Host checkpoint: 7 of 7 tensors of the backbone TinyBackbone taken; '
        'codec and adapter keep their own.'
    ]


@either_way
def test_synthesis_of_the_machine_outlives_a_host_checkpoint(
        tmp_path, trained, load):
    _, path = host_checkpoint(tmp_path)
    model = wrapped_model(copy.deepcopy(trained), MachineSynthesis())
    weight = next(model.backbone.adapter.parameters())
    torch.nn.init.ones_(weight)
    load(model, path)
    assert weight.eq(1).all()


@either_way
def test_wrapped_checkpoint_loads_strictly_and_silently(
        tmp_path, log, trained, load):
    model, path = host_checkpoint(
        tmp_path, wrapped_model(copy.deepcopy(trained), trained_adapter()))
    # Other weights, and no tables.
    codec = dict(
        type='mmhmc.MeanScaleHyperprior', hidden_channels=8, latent_channels=8)
    other = wrapped_model(codec, DynamicAdaptation(8))
    load(other, path)
    assert other.state_dict().keys() == model.state_dict().keys()
    for key, value in other.state_dict().items():
        assert torch.equal(value, model.state_dict()[key]), key
    assert log == []


@either_way
def test_host_checkpoint_of_another_shape_is_refused(tmp_path, trained, load):
    host = MockTaskModel(TinyBackbone(6))
    host.head = nn.Conv2d(4, 1, 1)
    _, path = host_checkpoint(tmp_path, host)
    with pytest.raises(
            ValueError,
            match=r"6 of 7 .* 'backbone.conv.weight' with \(6, 3, 3, 3\), "
            r'expected \(4, 3, 3, 3\)'):
        load(wrapped_model(trained), path)


@either_way
def test_checkpoint_of_another_host_is_refused(tmp_path, trained, load):
    host = MockTaskModel(nn.Sequential(nn.Conv2d(3, 4, 1)))
    _, path = host_checkpoint(tmp_path, host)
    with pytest.raises(
            ValueError,
            match="none of its keys .* 7 tensors .*'backbone.0.weight', "
            "expected e.g. 'backbone.conv.weight'"):
        load(wrapped_model(trained), path)


def test_tensors_that_a_host_checkpoint_lacks_are_named(
        tmp_path, log, trained):
    host, path = host_checkpoint(tmp_path)
    state = host.state_dict()
    del state['backbone.norm.bias']
    model = wrapped_model(copy.deepcopy(trained))
    result = model.load_state_dict(state, strict=False)
    assert result.missing_keys == ['backbone.backbone.norm.bias']
    assert result.unexpected_keys == []
    assert '6 of 7 tensors' in log[0]


# A module like any other.


def test_host_finds_the_attributes_of_its_backbone(trained):
    backbone = backbone_with(trained)
    assert backbone.out_channels == 4
    assert backbone.conv is backbone.backbone.conv
    assert backbone.adapter is None
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        backbone.nonsense


@pytest.mark.parametrize(
    'copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
@pytest.mark.parametrize('name', ['MeanScaleHyperprior', 'Cheng2020Attention'])
def test_copy_of_a_wrapped_model_is_its_equal(copied, name):
    model = wrapped_model(tiny_codec(name), trained_adapter()).eval()
    other = copied(model)
    scores = [
        torch.stack([s.score for s in one.test_step(batch_of(*SIZES))])
        for one in (model, other)
    ]
    assert torch.equal(*scores)
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    assert all(p.any() for p in model.backbone.codec.g_a.parameters())


def test_in_training_too_the_host_sees_nothing_outside_a_image(trained):
    # Else an adapter learns to work outside [0, 1], which no test shows it.
    adapter = DynamicAdaptation(8)
    nn.init.constant_(adapter.layers[-1].bias, 3.)
    backbone = backbone_with(trained, adapter).train()
    x = torch.rand(2, 3, 64, 64)
    x[0, 0, :8] = 1.25
    record = backbone.code_images(x)
    assert record.x_bar[1].min() >= 0 and record.x_bar[1].max() == 1
    # An image that augmentation has brightened may be as bright as it is.
    assert record.x_bar[0].max() == 1.25


def test_a_refinement_is_measured_as_it_is_coded(trained):
    search = dict(steps=10, lmbda=1e-4, lr=0.3)
    backbone = backbone_with(trained, test_cfg=dict(refinement=search))
    inputs = host_inputs(1)
    record = coded(backbone, inputs, [(48, 40)])
    refined, = trained.compress(record.x[..., :48, :40], None,
                                LatentRefinement(**search))
    plain, = trained.compress(record.x[..., :48, :40])
    assert record.num_bytes == [refined.num_bytes]
    assert refined != plain
    assert torch.equal(record.x_hat[..., :48, :40],
                       trained.decompress([refined]))


def test_a_refinement_is_built_with_the_model(trained):
    backbone = backbone_with(trained, test_cfg=dict(refinement=7))
    assert backbone.refinement.steps == 7
    with pytest.raises(ValueError, match='must be a positive integer'):
        backbone_with(trained, test_cfg=dict(refinement=dict(steps=0)))
    with pytest.raises(TypeError, match='must be a number of steps'):
        backbone_with(trained, test_cfg=dict(refinement='much'))


def test_a_refinement_needs_real_bits(trained):
    with pytest.raises(ValueError, match='compares real files'):
        backbone_with(
            trained, test_cfg=dict(refinement=dict(), real_bits=False))
