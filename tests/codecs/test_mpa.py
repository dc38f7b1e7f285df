import copy

import pytest
import torch
import torch.distributed as dist
from conftest import (CODECS, PREPROCESSOR, make_runner, smooth_images,
                      tiny_codec, wrapped_model)
from mmengine.runner.checkpoint import load_state_dict
from torch import nn

from mmhmc.bitstream import Bitstream
from mmhmc.codecs import MPA
from mmhmc.codecs.layers.multi_path import strongest_part
from mmhmc.codecs.mpa import decoder_path, encoder_path
from mmhmc.engine import EntropyTableHook, RateLossHook, TrainingStageHook
from mmhmc.evaluation import count_kmac
from mmhmc.models import CodecModel, GenerativeCodecModel
from mmhmc.structures import CodingCondition

TASKS = ('mse', 'cls', 'seg')
STAGES = ['g_a.1', 'g_a.3', 'g_a.5', 'g_s.2', 'g_s.4', 'g_s.6']


def at(quality, task=None, alpha=None):
    return CodingCondition(quality=quality, task=task, alpha=alpha)


def fresh(tasks=TASKS, **kwargs):
    # Two blocks in a stage, so that they can disagree.
    sizes = {**CODECS['MPA'], 'depths': (1, 2, 1, 1, 1, 1)}
    return MPA(tasks, **sizes, **kwargs)


@pytest.fixture(scope='module')
def codec():
    """Tasks that differ; not to be changed."""
    torch.manual_seed(0)
    codec = tiny_codec('MPA', tasks=TASKS)
    with torch.no_grad():
        for name, parameter in codec.named_parameters():
            if 'sides' in name or 'gain' in name or 'gamma' in name:
                parameter.add_(0.3 * torch.rand_like(parameter))
    codec.update_entropy_tables()
    return codec


@pytest.fixture(scope='module')
def published():
    """With the paper's sizes, but no values."""
    with torch.device('meta'):
        return {tasks: MPA(tasks) for tasks in ((), TASKS)}


def count(*parts):
    return sum(p.numel() for part in parts for p in part.parameters())


# Sizes.


@pytest.mark.parametrize('tasks, expected', [((), 29001363),
                                             (TASKS, 32124579)])
def test_published_sizes_have_the_published_parameters(published, tasks,
                                                       expected):
    assert count(published[tasks]) == expected


@pytest.mark.parametrize('task, expected', [('mse', 2042672), ('cls', 540272),
                                            ('seg', 540272)])
def test_tasks_have_the_published_parameters(published, task, expected):
    assert count(*published[TASKS].task_parts(task)) == expected


def test_kinds_of_paths_can_be_chosen(published):
    with torch.device('meta'):
        codec = MPA(dict(mse='bottleneck', det='inverted'))
    assert count(*codec.task_parts('mse')) == 540272
    assert count(*codec.task_parts('det')) == 2042672


def test_two_paths_are_where_the_paper_has_them(codec):
    assert list(codec.path_masks(smooth_images(1, 64, 64),
                                 at(4, 'mse'))) == STAGES


@pytest.mark.parametrize('tasks, match', [
    ('mse', '`tasks` must be a list'),
    (['a.b'], "'a.b' cannot name a task"),
    (['perceptual'], "'perceptual' cannot name"),
    (['keys'], "'keys' cannot name"),
    (dict(mse='wide'), "'mse' must be one of .*'inverted'], got 'wide'"),
])
def test_names_and_kinds_that_do_not_fit_are_refused(tasks, match):
    with pytest.raises(ValueError, match=match):
        MPA(tasks)


def test_trained_task_that_is_none_is_refused():
    with pytest.raises(ValueError, match=r"one of .*'seg'\], got 'det'"):
        MPA(TASKS, trained_task='det')


@pytest.mark.parametrize('weight', [-1, float('inf'), float('nan')])
def test_impossible_weight_is_refused(weight):
    with pytest.raises(ValueError, match='`lmbda_ratio` weighs'):
        MPA(lmbda_ratio=weight)


# Controls.


def test_share_of_the_main_path_follows_the_quality():
    shares = [encoder_path(float(q)).ratio for q in range(1, 9)]
    assert shares == pytest.approx(
        [0, .0646, .1460, .2483, .3771, .5392, .7432, 1], abs=5e-5)
    assert shares[0] == 0 and shares[-1] == 1


def test_share_of_the_main_path_follows_alpha():
    assert decoder_path(at(1, 'mse', 0)).ratio == 1
    assert decoder_path(at(1, 'mse', 1)).ratio == 0
    assert decoder_path(at(1, 'mse')).ratio == 0
    levels = [decoder_path(at(1, 'mse', i / 7)).level for i in range(8)]
    assert levels == list(range(8))
    for condition in (None, at(1), at(1, 'perceptual', 0.5)):
        assert decoder_path(condition) is None


@pytest.mark.parametrize('condition, match', [
    (at(0.5), '`quality` must be a number from 1'),
    (at(3, 'det'), r"one of \['perceptual', 'mse', .*, got 'det'"),
    (at(3, 'mse', 1.1), '`alpha` must be a number from 0 to 1, got 1.1'),
    (at(3, 'mse', -0.1), '`alpha` must be a number from 0 to 1, got -0.1'),
    (at(3, 'mse', float('nan')), '`alpha` must be a number from 0'),
    (at(3, None, 0.5), '`alpha` leads from people to a task'),
    (CodingCondition(beta=1.), 'but no `beta`, got 1.0'),
])
def test_impossible_controls_are_refused_by_name(codec, condition, match):
    x = smooth_images(1, 64, 64)
    stream, = codec.compress(x)
    for refuses in (
            lambda: codec(x, condition), lambda: codec.compress(x, condition),
            lambda: codec.decode_latents(codec.read(stream), condition)):
        with pytest.raises(ValueError, match=match):
            refuses()


@pytest.mark.parametrize('quality', [1, 4.5, 8])
def test_one_bitstream_serves_all_tasks(codec, quality):
    x = smooth_images(1, 64, 128)
    stream, = codec.compress(x, at(quality))
    for task in (*TASKS, 'perceptual'):
        assert codec.compress(x, at(quality, task)) == [stream]
    stream = Bitstream.from_bytes(stream.to_bytes())
    images = [
        codec.decompress([stream], CodingCondition(task=task))
        for task in TASKS
    ]
    with torch.no_grad():
        for task, image in zip(TASKS, images):
            whole = codec(x, at(quality, task)).x_hat.clamp(0, 1)
            assert image.equal(whole)
    assert not images[0].equal(images[1])
    assert not images[1].equal(images[2])


def test_alpha_of_zero_is_the_image_for_people_whatever_the_task(codec):
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        expected = codec(x, at(5)).x_hat
        for task in TASKS:
            assert codec(x, at(5, task, 0)).x_hat.equal(expected)
        assert codec(x, at(5, 'perceptual')).x_hat.equal(expected)


def test_alpha_leads_from_people_to_the_task(codec):
    x, before = smooth_images(1, 64, 64), None
    for alpha in (0, 0.25, 0.5, 0.75, 1):
        with torch.no_grad():
            masks = codec.path_masks(x, at(5, 'seg', alpha))
        for name in STAGES[3:]:
            side = {'g_s.2': 8, 'g_s.4': 16, 'g_s.6': 32}[name]
            assert masks[name].sum() == int(side**2 * (1 - alpha))
        # A stage sees what the one before made of it; the first is nested.
        if before is not None:
            assert (masks['g_s.2'] <= before).all()
        before = masks['g_s.2']


def test_masks_are_those_of_coding_and_leave_no_trace(codec):
    x = smooth_images(1, 64, 64)
    stream, = codec.compress(x, at(4))
    with torch.no_grad():
        masks = codec.path_masks(x, at(4))
    assert list(masks) == STAGES[:3]
    for name, side in zip(STAGES, (32, 16, 8)):
        assert masks[name].shape == (1, side, side)
        assert masks[name].sum() == int(side**2 * encoder_path(4.).ratio)
    assert codec.compress(x, at(4)) == [stream]


@pytest.mark.parametrize('side', ['encoder', 'decoder'])
def test_bottleneck_takes_fewer_operations(codec, side):
    expensive = count_kmac(codec, (64, 64), at(8, 'cls', 0))
    cheap = count_kmac(
        codec, (64, 64),
        at(1, 'cls', 0) if side == 'encoder' else at(8, 'cls', 1))
    # In each block 16 to 8 to 16 channels in place of 16 to 32 to 16.
    saved = (32**2 + 16**2 + 8**2) * 2 * 16 * (32 - 8)
    for part in ('encoder', 'hyper', 'decoder'):
        expected = -saved / 1000 / 64**2 if part == side else 0
        assert cheap[part] - expensive[part] == pytest.approx(
            expected, abs=1e-9)


# Training.


def step(codec, condition, x):
    codec.train()
    output = codec(x, condition)
    loss = output.x_hat.square().mean() + sum(
        -p.log2().mean() for p in output.likelihoods.values())
    loss = loss + sum(output.extra_losses.values())
    loss.backward()
    torch.optim.SGD([p for p in codec.parameters() if p.requires_grad],
                    lr=0.1).step()
    return output


def test_first_stage_learns_everything_and_the_encoders_ratio():
    codec = fresh(())
    output = step(codec, at(4), smooth_images(2, 64, 64))
    assert list(output.extra_losses) == ['encoder_ratio']
    assert output.extra_losses['encoder_ratio'] > 0
    silent = [
        name for name, p in codec.named_parameters()
        if p.requires_grad and p.grad is None
    ]
    assert silent == []


def test_ratio_loss_is_weighed():
    x = smooth_images(2, 64, 64)
    codec = fresh((), lmbda_ratio=10., drop_path=0.)
    other = fresh((), lmbda_ratio=5., drop_path=0.)
    other.load_state_dict(codec.state_dict())
    losses = []
    for one in (codec, other):
        torch.manual_seed(3)
        losses.append(one(x, at(4)).extra_losses['encoder_ratio'])
    assert losses[0] == 2 * losses[1] > 0


@pytest.mark.parametrize('task', ['mse', 'seg'])
def test_second_stage_changes_one_path_and_no_byte_of_the_stream(codec, task):
    trained = MPA(TASKS, task, **CODECS['MPA'])
    trained.load_state_dict(codec.state_dict())
    before = {k: v.clone() for k, v in trained.state_dict().items()}
    x = smooth_images(2, 64, 64)
    streams = trained.eval().compress(x, at(4))
    output = step(trained, at(4, task, 3 / 7), x)
    assert list(output.extra_losses) == ['decoder_ratio']
    own = {
        id(p)
        for part in trained.task_parts(task)
        for p in part.parameters()
    }
    for name, parameter in trained.named_parameters():
        assert (id(parameter) in own) == (parameter.grad is not None), name
    changed = [
        name for name, value in trained.state_dict().items()
        if not value.equal(before[name])
    ]
    assert changed and all(f'.{task}.' in name for name in changed)
    trained.eval().update_entropy_tables()
    assert trained.compress(x, at(4)) == streams
    for other in set(TASKS) - {task}:
        with torch.no_grad():
            assert trained(x, at(4, other)).x_hat.equal(
                codec(x, at(4, other)).x_hat)


def test_frozen_parts_rest_while_one_path_trains():
    codec = fresh(trained_task='cls', drop_path=0.5)
    holder = nn.Sequential(codec).train()
    awake = {id(m) for part in codec.task_parts('cls') for m in part.modules()}
    for module in codec.modules():
        assert module.training == (id(module) in awake)
    x = smooth_images(1, 64, 64)
    with torch.no_grad():
        assert codec(x, at(4, 'mse')).x_hat.equal(codec(x, at(4, 'mse')).x_hat)
        # Masks are drawn.
        assert not codec(x, at(4, 'cls', 0.5)).x_hat.equal(
            codec(x, at(4, 'cls', 0.5)).x_hat)
    holder.eval()
    assert not any(m.training for m in codec.modules())


def test_main_path_learns_again_and_bits_and_tasks_stay(codec):
    trained = MPA(TASKS, 'perceptual', **CODECS['MPA'])
    trained.load_state_dict(codec.state_dict())
    x, condition = smooth_images(1, 64, 64), at(4, 'perceptual')
    optimizer = torch.optim.SGD(
        [p for p in trained.parameters() if p.requires_grad], lr=0.1)
    trained.train()(x, condition).x_hat.square().mean().backward()
    optimizer.step()
    before = codec.state_dict()
    changed = {
        name
        for name, value in trained.state_dict().items()
        if not value.equal(before[name])
    }
    assert changed and all(
        name.startswith('g_s.') and ('.mlp.' in name or '.norm2.' in name)
        for name in changed)
    trained.eval()
    assert trained.compress(x, at(4)) == codec.compress(x, at(4))
    with torch.no_grad():
        assert not trained(x, at(4)).x_hat.equal(codec(x, at(4)).x_hat)
        for task in TASKS:
            assert trained(x, at(4, task)).x_hat.equal(
                codec(x, at(4, task)).x_hat)


def test_losses_of_paths_reach_the_hosts_losses():
    model = CodecModel(
        fresh(trained_task='mse'),
        PREPROCESSOR,
        condition=dict(task='mse'),
        train_condition=dict(quality=[1, 4], alpha=[0.5]))
    hook = RateLossHook()
    hook.attach(model)
    inputs = smooth_images(2, 64, 64)
    losses = model.train()(inputs, None, mode='loss')
    assert set(losses) >= {
        'loss_rate', 'loss_distortion', 'loss_decoder_ratio'
    }
    sum(v for k, v in losses.items() if 'loss' in k).backward()
    model.eval()
    assert model.codec.g_s[2].predictors['mse'].shift.grad.any()


def test_runner_trains_one_path_for_a_host(codec, tmp_path):
    trained = MPA(TASKS, 'cls', **CODECS['MPA'])
    trained.load_state_dict(codec.state_dict())
    model = wrapped_model(
        trained,
        condition=dict(task='cls'),
        train_condition=dict(quality=[1, 4, 8], alpha=[0, 3 / 7, 1]))
    hooks = [
        RateLossHook(lmbda_distortion=1e-4),
        EntropyTableHook(),
        TrainingStageHook([dict(begin=0, trainable=['codec'])])
    ]
    make_runner(model, tmp_path, hooks).train()
    before = codec.state_dict()
    changed = {
        name
        for name, value in trained.state_dict().items()
        if not value.equal(before[name])
    }
    assert changed and all('.cls.' in name for name in changed)
    x = smooth_images(1, 64, 64)
    assert trained.eval().compress(x, at(3)) == codec.compress(x, at(3))


@pytest.mark.parametrize('task', [None, 'seg', 'perceptual'])
def test_every_batch_uses_all_that_trains_as_several_processes_need(task):
    dist.init_process_group(
        'gloo', store=dist.HashStore(), rank=0, world_size=1)
    try:
        tasks = () if task in (None, 'perceptual') else (task, )
        codec = fresh(tasks, trained_task=task)
        wrapped = nn.parallel.DistributedDataParallel(codec.train())
        for quality, alpha in ((1, 1), (8, 0), (4, 0.5)):
            condition = at(quality, task, alpha if tasks else None)
            # The next forward complains of what has got no gradient.
            output = wrapped(smooth_images(1, 64, 64), condition)
            bits = sum(p.log2().sum() for p in output.likelihoods.values())
            extra = sum(output.extra_losses.values())
            (output.x_hat.sum() - bits + extra).backward()
    finally:
        dist.destroy_process_group()


def test_generative_model_has_the_codecs_own_loss():
    model = GenerativeCodecModel(
        fresh(()), perceptual=None, discriminator=None).train()
    losses = model(smooth_images(1, 64, 64), None, 'loss')
    assert set(losses) == {
        'loss_rate', 'loss_distortion', 'loss_encoder_ratio', 'bpp', 'psnr'
    }
    assert losses['loss_encoder_ratio'].requires_grad


# Checkpoints.


@pytest.mark.parametrize('load', [
    lambda codec, state: codec.load_state_dict(state, strict=True),
    lambda codec, state: load_state_dict(codec, state, strict=True)
])
def test_checkpoint_without_a_task_loads_and_changes_no_other_task(load):
    old, codec = fresh(('mse', )), fresh(('mse', 'det'))
    own = {k: v.clone() for k, v in codec.state_dict().items()}
    load(codec, old.state_dict())
    for name, value in codec.state_dict().items():
        if 'sides.det.' not in name:
            expected = own if '.det.' in name else old.state_dict()
            assert value.equal(expected[name]), name


def test_inverted_path_begins_as_the_main_path(codec):
    # As of stage 1: a codec without tasks.
    state = {
        name: value
        for name, value in codec.state_dict().items()
        if not name.startswith('g_s.')
        or not ('.sides.' in name or '.predictors.' in name)
    }
    new = tiny_codec('MPA', tasks=dict(mse='inverted', seg='bottleneck'))
    new.load_state_dict(state)
    x = smooth_images(1, 64, 128)
    with torch.no_grad():
        for_people = codec(x, at(3)).x_hat
        assert torch.allclose(new(x, at(3, 'mse')).x_hat, for_people)
        assert not torch.allclose(new(x, at(3, 'seg')).x_hat, for_people)


def test_bottleneck_begins_with_the_strongest_channels():
    block = fresh(()).g_s[2].blocks[0]
    inward, _, outward = block.mlp
    side = fresh(('seg', )).g_s[2].sides['seg'][0]
    kept = [1, 5, 6, 9, 14, 20, 27, 30]
    with torch.no_grad():
        inward.weight[kept] *= 10
        begun = strongest_part(block.state_dict(), side)
        side.load_state_dict(begun)
    assert side[1][0].weight.equal(inward.weight[kept])
    assert side[1][2].weight.equal(outward.weight[:, kept])
    assert side[1][2].bias.equal(outward.bias)
    assert side[0].weight.equal(block.norm2.weight)


def test_checkpoint_with_a_part_of_a_task_is_refused():
    state = fresh(('mse', )).state_dict()
    del state['g_s.2.predictors.mse.shift']
    with pytest.raises(RuntimeError, match='g_s.2.predictors.mse.shift'):
        fresh(('mse', )).load_state_dict(state)


def test_copies_decode_alike(codec):
    x = smooth_images(1, 64, 64)
    stream, = codec.compress(x, at(3))
    other = copy.deepcopy(codec)
    for task in TASKS:
        condition = CodingCondition(task=task, alpha=0.4)
        assert other.decompress([stream], condition).equal(
            codec.decompress([stream], condition))
