import copy

import pytest
import torch
from conftest import (CODECS, Probe, make_runner, smooth_images, tiny_codec,
                      with_val, wrapped_model)
from mmengine.hooks import CheckpointHook, EMAHook

from mmhmc.codecs import build_codec
from mmhmc.engine import EntropyTableHook, RateLossHook
from mmhmc.models import CodecModel

NAME = 'ScaleHyperprior'


def tables_are_fresh(codec):
    """Whether new tables would be the same."""
    renewed = copy.deepcopy(codec)
    renewed.update_entropy_tables()
    return all(
        torch.equal(value,
                    renewed.state_dict()[key])
        for key, value in codec.state_dict().items())


def saved(path):
    """Weights in a checkpoint of the runner."""
    return torch.load(path, weights_only=False)['state_dict']


def codec_in(path):
    """The codec of a saved CodecModel."""
    codec = build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME]))
    codec.load_state_dict({
        key.removeprefix('codec.'): value
        for key, value in saved(path).items() if key.startswith('codec.')
    })
    return codec


#: Moves the entropy model within one step.
QUICK = dict(optim_wrapper=dict(optimizer=dict(type='Adam', lr=0.05)))


def test_saved_tables_are_those_of_the_saved_weights(tmp_path):
    model = CodecModel(tiny_codec(NAME))
    # At the end of the iteration, before saving, the tables are stale.
    probe = Probe(lambda runner: tables_are_fresh(runner.model.codec))
    make_runner(model, tmp_path,
                [RateLossHook(), EntropyTableHook(), probe], **QUICK).train()
    assert probe.seen == [False] * 4
    for epoch in (1, 2):
        codec = codec_in(tmp_path / f'epoch_{epoch}.pth')
        assert codec.entropy_tables()['z'].cdf.numel()
        assert tables_are_fresh(codec)


def test_weights_in_a_checkpoint_are_left_as_they_are(tmp_path):
    # Another hook may have put averages there.
    class Marker(EntropyTableHook):
        priority = 'HIGH'

        def before_save_checkpoint(self, runner, checkpoint):
            checkpoint['state_dict']['codec.g_a.0.bias'].fill_(7)

    make_runner(
        CodecModel(tiny_codec(NAME)),
        tmp_path, [RateLossHook(),
                   Marker(), EntropyTableHook()],
        max_epochs=1).train()
    state = saved(tmp_path / 'epoch_1.pth')
    assert (state['codec.g_a.0.bias'] == 7).all()


def test_averaged_weights_get_tables_of_their_own(tmp_path):
    make_runner(
        CodecModel(tiny_codec(NAME)), tmp_path,
        [RateLossHook(), EntropyTableHook(),
         EMAHook()], **QUICK, **with_val(['BitrateMetric'])).train()
    assert tables_are_fresh(codec_in(tmp_path / 'epoch_2.pth'))


def test_saving_leaves_the_model_as_it_was(tmp_path):
    # One process saves: under DDP its buffers would no longer be those of the
    # others, which aborts a model that broadcasts them.
    model = CodecModel(build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME])))
    probe = Probe(lambda runner: copy.deepcopy(model.state_dict()))
    make_runner(
        model,
        tmp_path, [RateLossHook(), EntropyTableHook(), probe],
        max_epochs=1).train()
    for key, value in model.state_dict().items():
        assert torch.equal(value, probe.seen[-1][key]), key


def test_tables_are_fresh_at_validation(tmp_path):
    model = wrapped_model(
        build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME])))
    probe = Probe(
        lambda runner: tables_are_fresh(runner.model.backbone.codec),
        when='before_val_iter')
    # Saving would rebuild them too.
    make_runner(
        model,
        tmp_path, [RateLossHook(), EntropyTableHook(), probe],
        default_hooks=dict(checkpoint=None),
        **QUICK,
        **with_val(['BitrateMetric'])).train()
    assert probe.seen == [True, True]


def test_tables_are_fresh_at_test(tmp_path):
    model = wrapped_model(
        build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME])))
    settings = with_val(['BitrateMetric'])
    settings = {
        key.replace('val', 'test', 1): value
        for key, value in settings.items()
    }
    runner = make_runner(model, tmp_path,
                         [RateLossHook(), EntropyTableHook()], **settings)
    metrics = runner.test()
    assert metrics['rate/bpp'] > 0
    assert tables_are_fresh(model.backbone.codec)


def test_without_the_hook_validation_says_what_is_missing(tmp_path):
    model = wrapped_model(
        build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME])))
    runner = make_runner(model, tmp_path, [RateLossHook()],
                         **with_val(['BitrateMetric']))
    with pytest.raises(RuntimeError, match='update_entropy_tables'):
        runner.train()


def test_saving_comes_after_the_tables():
    order = ('VERY_HIGH', 'HIGH', 'ABOVE_NORMAL', 'NORMAL', 'BELOW_NORMAL',
             'LOW', 'VERY_LOW', 'LOWEST')
    assert order.index(EntropyTableHook.priority) < order.index(
        CheckpointHook.priority)


# Tables that need not be made anew.


def published(name, seed=3):
    """A codec whose tables are not those that would be made of it now."""
    torch.manual_seed(seed)
    codec = tiny_codec(name)
    bottleneck = codec.entropy_bottleneck
    if not hasattr(bottleneck, 'quantiles'):
        bottleneck._offset = bottleneck._offset - 1
        return codec
    with torch.no_grad():
        bottleneck.quantiles[:, 0, 1] += 0.25
    codec.update_entropy_tables(update_quantiles=False)
    return codec


@pytest.mark.parametrize('hooks', [[], [EMAHook]], ids=['plain', 'averaged'])
def test_frozen_codec_reads_its_files_whatever_happens(tmp_path, hooks):
    codec = published(NAME)
    x = smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    expected, whole = codec.read(stream), codec.weights_hash()
    model = wrapped_model(codec)
    model.backbone.codec.requires_grad_(False)
    settings = with_val(['BitrateMetric'])
    settings.update(
        test_dataloader=settings['val_dataloader'],
        test_cfg=dict(),
        test_evaluator=settings['val_evaluator'])

    def run(**kwargs):
        made = [RateLossHook(), EntropyTableHook(), *(h() for h in hooks)]
        return make_runner(model, tmp_path, made, **settings, **kwargs)

    runner = run(max_epochs=1)
    runner.train()
    runner.test()
    runner = run(max_epochs=2, resume=True)
    runner.train()
    for epoch in (1, 2):
        other = build_codec(dict(type=f'mmhmc.{NAME}', **CODECS[NAME])).eval()
        prefix = 'backbone.codec.'
        other.load_state_dict({
            key.removeprefix(prefix): value
            for key, value in saved(tmp_path / f'epoch_{epoch}.pth').items()
            if key.startswith(prefix)
        })
        assert other.weights_hash() == whole
        assert torch.equal(other.read(stream), expected)
    codec.eval()
    assert codec.weights_hash() == whole
    assert torch.equal(codec.read(stream), expected)


@pytest.mark.parametrize('name', CODECS)
def test_tables_are_made_anew_only_after_weights_have_changed(name):
    codec = published(name)
    before = copy.deepcopy(codec.state_dict())
    codec.refresh_entropy_tables()
    loaded = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()
    loaded.load_state_dict(before)
    loaded.refresh_entropy_tables()
    for one in (codec, loaded):
        for key, value in one.state_dict().items():
            assert torch.equal(value, before[key]), key
    with torch.no_grad():
        next(loaded.entropy_bottleneck.parameters()).add_(0.5)
    loaded.refresh_entropy_tables()
    assert tables_are_fresh(loaded)
    assert not torch.equal(loaded.entropy_bottleneck._quantized_cdf,
                           before['entropy_bottleneck._quantized_cdf'])


@pytest.mark.parametrize('name', CODECS)
def test_missing_tables_are_made(name):
    codec = published(name)
    state = {
        key: value
        for key, value in codec.state_dict().items()
        if not key.endswith(('_quantized_cdf', '_offset', '_cdf_length'))
    }
    other = build_codec(dict(type=f'mmhmc.{name}', **CODECS[name])).eval()
    other.load_state_dict(state, strict=False)
    other.refresh_entropy_tables()
    assert all(t.cdf.numel() for t in other.entropy_tables().values())


def test_quantiles_of_weights_from_elsewhere_can_be_kept():
    codec = published(NAME)
    kept = codec.entropy_bottleneck.quantiles.clone()
    codec.update_entropy_tables(update_quantiles=False)
    assert torch.equal(codec.entropy_bottleneck.quantiles, kept)
    codec.update_entropy_tables()
    assert not torch.equal(codec.entropy_bottleneck.quantiles, kept)
