"""What the scripts for several processes start."""
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

TOOLS = Path(__file__).parents[2] / 'tools'

# Stands in for python and srun: writes down its arguments, one a line.
STUB = '''#!/usr/bin/env bash
printf '%s\\n' "$(basename "$0")" "$@" >"$CALLED"
echo "$PYTHONPATH" >"$CALLED.path"
exit 3
'''


@pytest.fixture
def launch(tmp_path):
    """Runs a script, returns its status and what it has started."""
    for name in ('python', 'srun'):
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    called = tmp_path / 'called'

    def run(script, *args, **env):
        result = subprocess.run(
            [str(TOOLS / script), *args],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            env={
                'PATH': f'{tmp_path}:{os.environ["PATH"]}',
                'CALLED': str(called),
                **env
            })
        words = called.read_text().splitlines() if called.exists() else []
        return result, words

    return run


def torchrun(*changes):
    words = dict(
        nnodes='1',
        node_rank='0',
        master_addr='127.0.0.1',
        nproc_per_node='2',
        master_port='29500')
    words.update(changes)
    return ['python', '-m', 'torch.distributed.run'
            ] + [f'--{name}={value}' for name, value in words.items()]


def srun(*changes):
    words = {
        'job-name': 'name',
        'gres': 'gpu:8',
        'ntasks': '8',
        'ntasks-per-node': '8',
        'cpus-per-task': '5',
        'kill-on-bad-exit': '1'
    }
    words.update(changes)
    return ['srun', '-p', 'part'
            ] + [f'--{name}={value}' for name, value in words.items()]


MEETING = dict(
    PORT='1234', NNODES='3', NODE_RANK='2', MASTER_ADDR='first.node')
MEETING_WORDS = [('master_port', '1234'), ('nnodes', '3'), ('node_rank', '2'),
                 ('master_addr', 'first.node')]


@pytest.mark.parametrize('env, words', [({}, []), (MEETING, MEETING_WORDS)])
@pytest.mark.parametrize('name, files', [
    ('train', ['mmdet::a b.py']),
    ('test', ['mmdet::a b.py', 'epoch 1.pth']),
])
def test_dist_scripts_start_torchrun(launch, name, files, env, words):
    result, called = launch(f'dist_{name}.sh', *files, '2', '--cfg-options',
                            'a="[1, 2]"', **env)
    assert called == torchrun(*words) + [
        str(TOOLS / f'{name}.py'), *files, '--launcher', 'pytorch',
        '--cfg-options', 'a="[1, 2]"'
    ]
    assert result.returncode == 3


JOB = dict(
    GPUS='4', GPUS_PER_NODE='2', CPUS_PER_TASK='7', SRUN_ARGS='-q high -x n1')
JOB_WORDS = [('ntasks', '4'), ('gres', 'gpu:2'), ('ntasks-per-node', '2'),
             ('cpus-per-task', '7')]


@pytest.mark.parametrize('env, words, extra', [
    ({}, [], []),
    (JOB, JOB_WORDS, ['-q', 'high', '-x', 'n1']),
])
@pytest.mark.parametrize('name, last, given', [
    ('train', 'work dir', '--work-dir=work dir'),
    ('test', 'epoch 1.pth', 'epoch 1.pth'),
])
def test_slurm_scripts_start_srun(launch, name, last, given, env, words,
                                  extra):
    result, called = launch(f'slurm_{name}.sh', 'part', 'name', 'c.py', last,
                            '--amp', **env)
    assert called == srun(*words) + extra + [
        'python', '-u',
        str(TOOLS / f'{name}.py'), 'c.py', given, '--launcher=slurm', '--amp'
    ]
    assert result.returncode == 3


def test_scripts_find_the_package_from_any_folder(launch, tmp_path):
    for script, count in (('dist_train.sh', 2), ('slurm_train.sh', 4)):
        launch(script, *['x'] * count, PYTHONPATH='/mine')
        first, second = (tmp_path / 'called.path').read_text().split(':')
        assert Path(first).resolve() == TOOLS.parent
        assert second.strip() == '/mine'


@pytest.mark.parametrize('script, count', [('dist_train.sh', 2),
                                           ('dist_test.sh', 3),
                                           ('slurm_train.sh', 4),
                                           ('slurm_test.sh', 4)])
def test_missing_arguments_are_said(launch, script, count):
    result, called = launch(script, *['x'] * (count - 1))
    assert result.returncode == 2 and not called
    assert result.stderr.startswith('usage:')


CONFIG = """
default_scope = 'mmengine'
model = dict(
    type='mmhmc.CodecModel',
    codec=dict(
        type='mmhmc.FactorizedPrior', hidden_channels=8, latent_channels=8))
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        type='mmhmc.ImageFolder',
        data_root='images',
        pipeline=[
            dict(type='mmcv.LoadImageFromFile'),
            dict(type='mmhmc.PackImageInputs')
        ]))
train_cfg = dict(by_epoch=False, max_iters=2)
optim_wrapper = dict(optimizer=dict(type='SGD', lr=8e-3))
default_hooks = dict(checkpoint=dict(
    type='CheckpointHook', by_epoch=False, interval=2))
custom_hooks = [dict(type='mmhmc.RateLossHook'),
                dict(type='mmhmc.RandomStateHook')]
auto_scale_lr = dict(enable=False, base_batch_size=16)
"""


def free_port():
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return str(one.getsockname()[1])


@pytest.mark.skipif(torch.cuda.is_available(), reason='for CPUs')
def test_two_processes_train_together_without_a_gpu(tmp_path):
    (tmp_path / 'tiny.py').write_text(CONFIG)
    (tmp_path / 'images').mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (4, 64, 64, 3))
    for number, image in enumerate(pixels.astype(np.uint8)):
        Image.fromarray(image).save(tmp_path / f'images/{number}.png')
    bin_folder = Path(sys.executable).parent
    result = subprocess.run(
        [
            str(TOOLS / 'dist_train.sh'), 'tiny.py', '2', '--auto-scale-lr',
            '--work-dir', 'out'
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={
            **os.environ, 'PATH': f'{bin_folder}:{os.environ["PATH"]}',
            'PORT': free_port(),
            'OMP_NUM_THREADS': '1'
        })
    assert result.returncode == 0, result.stderr[-3000:]
    state = torch.load(tmp_path / 'out/iter_2.pth', weights_only=False)
    assert len(state['random_states']) == 2
    # Two processes with two images each, of 16.
    rate = state['optimizer']['param_groups'][0]['lr']
    assert rate == pytest.approx(8e-3 * 4 / 16)
