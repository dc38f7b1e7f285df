"""A search at encode time makes files better, and never worse."""
import copy

import pytest
import torch
from conftest import CODECS, smooth_images, tiny_codec
from skimage import data

from mmhmc.apis import load_codec
from mmhmc.codecs import build_codec
from mmhmc.refinement import (FeatureReader, LatentRefinement,
                              RefinementObjective, build_refinement)
from mmhmc.refinement.latent_refinement import FREEZE_Z, PATIENCE
from mmhmc.structures import CodingCondition

LMBDA = 0.01
CONDITIONS = {
    'MPA': CodingCondition(quality=3., task='perceptual'),
    'MRIC': CodingCondition(beta=1.)
}


@pytest.fixture(scope='module')
def codecs():
    return {}


def codec_of(codecs, name):
    if name not in codecs:
        codecs[name] = seeing_codec(name)
    return codecs[name]


def seeing_codec(name):
    """A codec whose images depend on its latents within [0, 1]."""
    codec = tiny_codec(name)
    x = smooth_images(1, 64, 128)
    last = [m for m in codec.g_s.modules() if hasattr(m, 'kernel_size')][-1]
    with torch.no_grad():
        last.bias.zero_()
        last.weight.mul_(0.2 / codec(x, CONDITIONS.get(name)).x_hat.std())
        last.bias.add_(0.5 - codec(x, CONDITIONS.get(name)).x_hat.mean())
    return codec


@pytest.mark.parametrize('name', CODECS)
def test_every_codec_gains_and_stays_what_it_is(codecs, name):
    codec, x = codec_of(codecs, name), smooth_images(1, 64, 128)
    state = copy.deepcopy(codec.state_dict())
    condition = CONDITIONS.get(name)
    found = LatentRefinement(
        LMBDA, steps=15, lr=0.2).refine(codec, x, condition)
    assert found.steps == 15
    assert found.is_refined and found.after < found.before
    # An ordinary file: a codec that knows nothing of the search reads it.
    reader = copy.deepcopy(codec)
    y_hat = reader.read(found.bitstream, condition)
    assert y_hat.isfinite().all()
    assert found.bitstream.device is None
    for key, value in codec.state_dict().items():
        assert torch.equal(value, state[key]), key
    assert all(p.grad is None for p in codec.parameters())
    plain, = codec.compress(x, condition)
    assert torch.equal(
        codec.read(plain, condition),
        codec.encode_latents(x, condition, False).y_hat)


def test_the_objective_is_that_of_the_file(codecs):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 60, 100)
    found = LatentRefinement(LMBDA, steps=8).refine(codec, x)
    x_hat = codec.decompress([found.bitstream])
    bpp = 8 * found.bitstream.num_bytes / (60 * 100)
    mse = (x_hat - x).square().mean().item()
    assert found.after == pytest.approx(bpp + LMBDA * 255**2 * mse, rel=1e-5)


def test_a_seed_gives_the_same_file_and_another_one_another(codecs):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 64, 64)

    def coded(seed):
        found = LatentRefinement(LMBDA, steps=10, seed=seed).refine(codec, x)
        return found.bitstream.to_bytes()

    assert coded(0) == coded(0) != coded(1)


def test_bfloat16_finds_as_much(codecs, monkeypatch):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 64, 64)
    decode, seen, gains = codec.decode_latents, [], []
    one = torch.ones(1, 1)
    monkeypatch.setattr(
        codec, 'decode_latents', lambda *args: (seen.append(
            (one @ one).dtype == torch.bfloat16), decode(*args))[1])
    for dtype in ('float32', 'bfloat16'):
        monkeypatch.setenv('MMHMC_COMPUTE', dtype)
        seen.clear()
        found = LatentRefinement(LMBDA, steps=15, lr=0.2).refine(codec, x)
        gains.append(found.before - found.after)
        # Files are compared in float32.
        assert sum(seen) == (15 if dtype == 'bfloat16' else 0) < len(seen)
    assert gains[1] == pytest.approx(gains[0], rel=0.1)


def test_a_search_that_finds_nothing_better_leaves_the_file(codecs):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 64, 64)
    # Steps so long that what comes out is nonsense.
    found = LatentRefinement(LMBDA, steps=1, lr=50.).refine(codec, x)
    assert not found.is_refined
    assert found.after == found.before
    plain, = codec.compress(x)
    assert found.bitstream.to_bytes() == plain.to_bytes()


def test_features_of_a_reader_come_nearer(codecs):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 64, 256)
    torch.manual_seed(3)
    network = torch.nn.Conv2d(3, 8, 5, stride=4).requires_grad_(False)

    def features(image):
        # It sees a part of the image.
        return [network(image[..., :64]).relu()]

    def distance(stream):
        seen = features(codec.decompress([stream]))[0]
        return (seen - features(x)[0]).square().mean().item()

    settings = dict(lmbda=1., steps=25, lr=0.2)
    plain = LatentRefinement(**settings).refine(codec, x)
    asked = LatentRefinement(
        **settings, readers=[FeatureReader(features)],
        task_weight=1.).refine(codec, x)
    assert distance(asked.bitstream) < 0.9 * distance(plain.bitstream)


def in_layers(codecs, name):
    codec = copy.deepcopy(codec_of(codecs, name))
    codec.layers = [3]
    return codec


@pytest.mark.parametrize('name', [
    'MeanScaleHyperprior', 'JointAutoregressive', 'ELIC', 'TinyLIC', 'MPA',
    'DCVCUFIntra'
])
def test_a_codec_in_layers_gains(codecs, name):
    codec, x = in_layers(codecs, name), smooth_images(1, 64, 128)
    found = LatentRefinement(
        LMBDA, steps=15, lr=0.2).refine(codec, x, CONDITIONS.get(name))
    assert found.is_refined
    assert list(found.bitstream.streams) == ['z', 'y0', 'y1']


@pytest.mark.parametrize('name', ['MeanScaleHyperprior', 'ELIC'])
def test_readers_see_the_base_and_people_all_layers(codecs, name):
    codec, x = in_layers(codecs, name), smooth_images(1, 64, 128)
    reader = FeatureReader(lambda image: [image[..., :32]])

    def lost(stream, **layers):
        error = (codec.decompress([stream], **layers) - x).square()
        energy = x[..., :32].square().mean()
        return error.mean().item(), (error[..., :32].mean() / energy).item()

    found = LatentRefinement(
        0.1, steps=15, lr=0.3, readers=[reader],
        machine_layers=1).refine(codec, x)
    assert found.is_refined
    base = lost(found.bitstream, layers=1)[1]
    people = lost(found.bitstream)[0]
    bpp = 8 * found.bitstream.num_bytes / (64 * 128)
    assert found.after == pytest.approx(
        bpp + 0.1 * (0.5 * 255**2 * people + 0.5 * 150 * base), rel=1e-4)
    plain, = codec.compress(x)
    assert base < lost(plain, layers=1)[1]
    assert people < lost(plain)[0]


def test_layers_that_are_not_there_are_refused(codecs):
    refinement = LatentRefinement(
        LMBDA, readers=[FeatureReader(lambda x: [x])], machine_layers=2)
    with pytest.raises(ValueError, match='see 2 layers, and MeanScaleHyper'):
        refinement.refine(
            codec_of(codecs, 'MeanScaleHyperprior'), smooth_images(1, 64, 64))


def test_important_pixels_are_decoded_better(codecs):
    codec, x = codec_of(codecs,
                        'MeanScaleHyperprior'), smooth_images(1, 64, 128)
    left = torch.zeros(1, 1, 64, 128)
    left[..., :64] = 1
    refinement = LatentRefinement(LMBDA, steps=25)

    def errors(importance):
        found = refinement.refine(codec, x, importance=importance)
        error = (codec.decompress([found.bitstream]) - x).square().mean((0, 1))
        return error[:, :48].mean() / error[:, 80:].mean()

    assert errors(left) < errors(None)


def test_progress_is_told_step_by_step(codecs):
    codec, x = codec_of(codecs, 'FactorizedPrior'), smooth_images(1, 64, 64)
    steps = []
    LatentRefinement(LMBDA, steps=4).refine(codec, x, on_step=steps.append)
    assert steps == [1, 2, 3, 4]


@pytest.mark.parametrize('kwargs, message', [
    (dict(steps=0), '`steps` must be a positive integer, got 0'),
    (dict(steps=2.5), '`steps` must be'),
    (dict(lr=0.), '`lr` must be positive'),
    (dict(lmbda=float('nan')), '`lmbda` must be positive'),
    (dict(lmbda=-1.), '`lmbda` must be positive'),
])
def test_arguments_that_make_no_sense(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LatentRefinement(**{'lmbda': LMBDA, **kwargs})


@pytest.mark.parametrize('importance, message', [
    (torch.ones(1, 1, 32, 64), 'must have the shape'),
    (-torch.ones(1, 1, 64, 64), 'not negative'),
    (torch.zeros(1, 1, 64, 64), 'positive somewhere'),
    (torch.full((1, 1, 64, 64), float('nan')), 'must be finite'),
])
def test_maps_that_make_no_sense(codecs, importance, message):
    codec = codec_of(codecs, 'FactorizedPrior')
    with pytest.raises(ValueError, match=message):
        LatentRefinement(LMBDA).refine(
            codec, smooth_images(1, 64, 64), importance=importance)


def test_a_codec_without_latents_and_a_batch_are_refused(codecs):
    identity = build_codec(dict(type='mmhmc.IdentityCodec'))
    with pytest.raises(RuntimeError, match='writes no bits'):
        LatentRefinement(LMBDA).refine(identity, smooth_images(1, 64, 64))
    with pytest.raises(ValueError, match='for one image'):
        LatentRefinement(LMBDA).refine(
            codec_of(codecs, 'FactorizedPrior'), smooth_images(2, 64, 64))


def test_compress_takes_a_refinement(codecs):
    codec, x = codec_of(codecs, 'DCVCUFIntra'), smooth_images(2, 64, 64)
    refinement = LatentRefinement(LMBDA, steps=3)
    streams = codec.compress(x, None, refinement)
    for one, stream in zip(x, streams):
        assert stream == refinement.refine(codec, one[None]).bitstream


def test_compress_takes_what_a_refinement_is_built_of(codecs):
    codec = codec_of(codecs, 'MeanScaleHyperprior')
    x = smooth_images(1, 64, 64)
    settings = dict(lmbda=LMBDA, steps=3)
    assert codec.compress(x, refinement=settings) == codec.compress(
        x, refinement=LatentRefinement(**settings))
    with pytest.raises(ValueError, match='must be a positive integer'):
        codec.compress(x, refinement=0)
    with pytest.raises(TypeError, match='must be a number of steps'):
        codec.compress(x, refinement='much')


def test_a_search_ends_when_nothing_changes_any_more(codecs):
    codec = codec_of(codecs, 'MeanScaleHyperprior')
    x = smooth_images(1, 64, 64)
    found = LatentRefinement(LMBDA, steps=100, lr=1e-5).refine(codec, x)
    # Not before all is cool, and after so many steps without a change.
    assert FREEZE_Z * 100 + PATIENCE <= found.steps + 1 < 100


class Careless(LatentRefinement):
    """Finds another image, which its machine likes better."""

    def _search(self, codec, objective, *args):
        return codec.compress(1 - objective.x)[0], 1, {}


@pytest.mark.parametrize('loss, is_taken', [(None, True), (50., True),
                                            (0.1, False)])
def test_no_more_psnr_is_lost_than_may_be(codecs, loss, is_taken):
    codec = codec_of(codecs, 'MeanScaleHyperprior')
    x = torch.linspace(0, 1, 64).expand(1, 3, 64, 64)
    wanted = codec.decompress(codec.compress(1 - x))
    machine = FeatureReader(lambda y: [y], targets=lambda y: [wanted])
    found = Careless(
        1., readers=[machine], task_weight=1.,
        max_psnr_loss=loss).refine(codec, x)
    assert found.is_refined == is_taken


def test_less_than_the_least_psnr_weighs_more():
    x = smooth_images(1, 16, 16)
    bits = torch.tensor(0.)
    free = RefinementObjective(x, 1.)
    held = RefinementObjective(x, 1., least_psnr=30.)
    above, below = x + 10**-1.6, x + 10**-1.4
    assert held(bits, above).item() == pytest.approx(free(bits, above).item())
    extra = 10 * 255**2 * (10**-2.8 - 10**-3)
    assert held(bits, below).item() == pytest.approx(
        free(bits, below).item() + extra, rel=1e-3)


def test_people_and_machine_share_the_weight():
    x = smooth_images(1, 16, 16)
    x_hat = (x + 0.1).clamp(0, 1)
    bits = torch.tensor(256.)
    reader = FeatureReader(lambda image: [image.mean((2, 3)), image])

    def of(share):
        return RefinementObjective(
            x, 0.01, [reader], task_weight=share)(bits, x_hat).item()

    people = RefinementObjective(x, 0.01)(bits, x_hat).item()
    assert of(0.) == pytest.approx(people)
    mse = (x_hat - x).square().mean()
    means = (x_hat - x).mean((2, 3)).square().mean() / x.mean(
        (2, 3)).square().mean()
    distance = (means + mse / x.square().mean()) / 2
    assert of(1.) == pytest.approx(1 + 0.01 * 150 * distance.item(), rel=1e-5)
    assert of(0.5) == pytest.approx((of(0.) + of(1.)) / 2, rel=1e-5)


def test_targets_may_differ_from_features():
    x = smooth_images(1, 16, 16)
    reader = FeatureReader(lambda image: [image], targets=lambda y: [2 * y])
    objective = RefinementObjective(x, 1., [reader], task_weight=1.)
    assert objective.task_distance(x).item() == pytest.approx(0.25)


def test_values_that_hardly_matter_move_little(codecs):
    """By Adam alone all would move alike, by the noise of rounding."""
    codec, x = codec_of(codecs, 'FactorizedPrior'), smooth_images(1, 64, 128)
    corner = torch.zeros(1, 1, 64, 128)
    corner[..., :16] = 1
    found = LatentRefinement(
        100., steps=10).refine(
            codec, x, importance=corner).bitstream
    plain, = codec.compress(x)
    changed = codec.read(found) != codec.read(plain)
    assert changed[..., :1].float().mean() > 4 * changed[...,
                                                         4:].float().mean()


@pytest.mark.parametrize('given', [3, dict(steps=3), 'same'])
def test_a_refinement_is_built_of_little(given):
    one = LatentRefinement(steps=3)
    built = build_refinement(one if given == 'same' else given)
    assert built.settings() == one.settings()
    assert (built is one) == (given == 'same')


@pytest.mark.parametrize('given', ['text', True, None])
def test_what_is_no_refinement_is_refused(given):
    with pytest.raises(TypeError, match='must be a number of steps'):
        build_refinement(given)


def test_a_codec_that_trades_nothing_needs_a_lmbda(codecs):
    codec = codec_of(codecs, 'MeanScaleHyperprior')
    with pytest.raises(ValueError, match='`lmbda` cannot be measured'):
        LatentRefinement(steps=2).refine(codec, smooth_images(1, 64, 64))


@pytest.mark.parametrize('kwargs, message', [
    (dict(task_weight=0.5), 'there are none'),
    (dict(machine_layers=1), 'there are none'),
    (dict(machine_layers=0), 'must be a positive integer'),
    (dict(readers=[FeatureReader(list)], task_weight=1.5), r'in \[0, 1\]'),
    (dict(max_psnr_loss=float('inf')), 'a number of dB'),
])
def test_arguments_that_do_not_belong_together(kwargs, message):
    with pytest.raises(ValueError, match=message):
        LatentRefinement(LMBDA, **kwargs)


def test_a_codec_that_predicts_from_itself_sees_rounded_values(codecs):
    """Else what it predicts in a search is not what the decoder predicts."""
    codec = codec_of(codecs, 'JointAutoregressive')
    seen = []
    predict = codec.run_context_model

    def watch(params, code_step):

        def note(select, scales_hat, means_hat):
            values = code_step(select, scales_hat, means_hat)
            seen.append((values - means_hat).detach())
            return values

        return predict(params, note)

    ends = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, 'run_context_model', watch)
        LatentRefinement(
            LMBDA, steps=10).search(codec, smooth_images(1, 64, 64))
        ends = seen[-1], seen[len(seen) // 2]
    for values in ends:
        assert torch.allclose(values, values.round(), atol=1e-4)


def test_a_trained_codec_that_predicts_from_itself_gains():
    codec = load_codec('cheng2020-attn_pictures_0.0018')
    x = torch.from_numpy(data.astronaut()[:128, 128:256]).movedim(2, 0)
    found = LatentRefinement(0.0018, steps=30).refine(codec, x[None] / 255)
    assert found.after < 0.97 * found.before
