"""Training a codec in layers now and then."""
import pytest
from conftest import make_runner, tiny_codec, wrapped_model
from mmengine.hooks import EMAHook

from mmhmc.engine import EntropyTableHook, LayerDrawHook, RateLossHook


def layers_of_steps(work_dir, *hooks, name='ScaleHyperprior', **kwargs):
    """Factors of the codec in each step, and its codec afterwards."""
    model = wrapped_model(tiny_codec(name))
    seen = []
    encode = model.backbone.codec.encode_latents
    model.backbone.codec.encode_latents = lambda *args: (seen.append(
        model.backbone.codec.layers), encode(*args))[1]
    runner = make_runner(model, work_dir, [RateLossHook(), *hooks], **kwargs)
    runner.train()
    return seen, model.backbone.codec


def test_a_share_of_the_steps_has_layers(tmp_path):
    seen, codec = layers_of_steps(tmp_path, LayerDrawHook([3], 0.5))
    assert set(seen) == {(), (3, )}
    assert codec.layers == ()
    again, _ = layers_of_steps(tmp_path / 'b', LayerDrawHook([3], 0.5))
    assert again == seen
    always, _ = layers_of_steps(tmp_path / 'c', LayerDrawHook([3, 5], 1))
    assert set(always) == {(3, 5)}


@pytest.mark.parametrize('name', ['ScaleHyperprior', 'JointAutoregressive'])
def test_averaged_weights(name, tmp_path):
    """No step makes tables, which both models would have to have."""
    _, codec = layers_of_steps(
        tmp_path, EMAHook(), EntropyTableHook(), LayerDrawHook([3], 0.5),
        name=name)
    assert not codec.gaussian_conditional.scale_table.numel()


@pytest.mark.parametrize('share', [0, -0.1, 1.1])
def test_shares_that_are_refused(share):
    with pytest.raises(ValueError, match='`share`'):
        LayerDrawHook([3], share)


def test_a_codec_without_layers_is_refused(tmp_path):
    with pytest.raises(ValueError, match='layers'):
        layers_of_steps(
            tmp_path, LayerDrawHook([3], 1), name='FactorizedPrior')
