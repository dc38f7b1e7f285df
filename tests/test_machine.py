"""What is chosen for which machine."""
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmhmc import machine
from mmhmc.machine import (choose_arithmetic, computes_bf16, free_cores,
                           tune_cpu)


@pytest.fixture(autouse=True)
def nothing_asked_for(monkeypatch):
    for name in (machine.VARIABLE, 'SLURM_CPUS_PER_TASK',
                 *machine._LOCAL_RANKS):
        monkeypatch.delenv(name, raising=False)


def chosen_with(**environ):
    """Choice of a fresh interpreter: oneDNN reads its limit once."""
    env = {k: v for k, v in os.environ.items() if k not in machine._LIMITS}
    return subprocess.run([
        sys.executable, '-W', 'ignore', '-c',
        'from mmhmc.machine import choose_arithmetic as c; print(c())'
    ],
                          env={
                              **env,
                              **environ
                          },
                          capture_output=True,
                          text=True,
                          check=True).stdout


@pytest.mark.parametrize('limit', ['AVX2', 'AVX512_CORE'])
def test_cpu_without_instructions_for_bfloat16_computes_in_float32(limit):
    # AVX-512 alone passes oneDNN's query, and emulates.
    assert chosen_with(ONEDNN_MAX_CPU_ISA=limit).startswith('float32, ')


@pytest.mark.parametrize('gain, dtype', [(1.9, 'bfloat16'), (0.4, 'float32')])
def test_where_a_query_does_not_decide_a_measurement_does(
        monkeypatch, gain, dtype):
    monkeypatch.setenv('ATEN_CPU_CAPABILITY', 'avx2')
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported',
                        lambda: True)
    monkeypatch.setattr(machine, '_gain_of_bf16', lambda: gain)
    machine._cpu_computes_bf16.cache_clear()
    try:
        chosen = choose_arithmetic()
    finally:
        machine._cpu_computes_bf16.cache_clear()
    assert chosen.dtype == dtype
    assert f'{gain} times as fast' in str(chosen)


def test_convolution_that_is_refused_is_no_arithmetic(monkeypatch):

    def refuse():
        raise RuntimeError('could not create a primitive')

    monkeypatch.setenv('ATEN_CPU_CAPABILITY', 'avx2')
    monkeypatch.setattr(torch.backends.mkldnn, 'is_available', lambda: True)
    monkeypatch.setattr(torch.ops.mkldnn, '_is_mkldnn_bf16_supported',
                        lambda: True)
    monkeypatch.setattr(machine, '_gain_of_bf16', refuse)
    machine._cpu_computes_bf16.cache_clear()
    try:
        chosen = choose_arithmetic()
    finally:
        machine._cpu_computes_bf16.cache_clear()
    assert chosen.dtype == 'float32'
    assert 'could not create a primitive' in str(chosen)


def test_measuring_leaves_no_trace():
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert machine._gain_of_bf16() > 0
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('capability, native',
                         [((7, 5), False), ((8, 0), True), ((9, 0), True)])
def test_gpu_is_asked_for_what_it_does_not_emulate(monkeypatch, capability,
                                                   native):
    asked = []
    monkeypatch.setattr(torch.version, 'hip', None)
    monkeypatch.setattr(torch.cuda, 'get_device_name', lambda device: 'Some')
    monkeypatch.setattr(torch.cuda, 'get_device_capability',
                        lambda device: asked.append(device) or capability)
    assert computes_bf16('cuda:1')[0] is native
    assert asked == [torch.device('cuda:1')]
    assert choose_arithmetic('cuda').bf16 is native


@pytest.mark.parametrize('text, dtype, channels_last',
                         [('float32', 'float32', True),
                          ('bfloat16,contiguous', 'bfloat16', False),
                          ('channels_last, float32', 'float32', True)])
def test_variable_overrules(monkeypatch, text, dtype, channels_last):
    monkeypatch.setenv('MMHMC_COMPUTE', text)
    chosen = choose_arithmetic()
    assert (chosen.dtype, chosen.channels_last) == (dtype, channels_last)
    assert 'MMHMC_COMPUTE' in str(chosen)


def test_variable_may_leave_the_type_to_the_machine(monkeypatch):
    free = choose_arithmetic()
    monkeypatch.setenv('MMHMC_COMPUTE', 'contiguous')
    chosen = choose_arithmetic()
    assert chosen.dtype == free.dtype and not chosen.channels_last


@pytest.mark.parametrize('text', ['bf16', 'float32 bfloat16', 'float32,,x'])
def test_unknown_word_is_refused_with_the_known_ones(monkeypatch, text):
    monkeypatch.setenv('MMHMC_COMPUTE', text)
    with pytest.raises(ValueError, match='one of bfloat16, float32 and one'):
        choose_arithmetic()


# Threads.


def with_cores(monkeypatch, affinity, quotas=()):
    monkeypatch.setattr(
        os,
        'sched_getaffinity',
        lambda pid: set(range(affinity)),
        raising=False)
    monkeypatch.setattr(machine, '_cgroup_quotas', lambda: list(quotas))


def test_affinity_quota_and_other_processes_limit_the_cores(monkeypatch):
    with_cores(monkeypatch, 16)
    assert free_cores() == 16
    with_cores(monkeypatch, 16, [6.5, 12.])
    assert free_cores() == 6
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert free_cores() == 1
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '3')
    assert free_cores() == 2
    monkeypatch.setenv('SLURM_CPUS_PER_TASK', '5')
    assert free_cores() == 5
    with_cores(monkeypatch, 2, [0.5])
    assert free_cores() == 1


@pytest.mark.parametrize('version, files, quotas', [
    ('0::/a/b', {
        'a/b/cpu.max': 'max 100000',
        'a/cpu.max': '250000 100000',
        'cpu.max': '400000 100000'
    }, [2.5, 4.]),
    ('0::/', {}, []),
    ('5:cpu,cpuacct:/a\n4:memory:/m', {
        'cpu,cpuacct/a/cpu.cfs_quota_us': '150000',
        'cpu,cpuacct/a/cpu.cfs_period_us': '50000',
        'cpu,cpuacct/cpu.cfs_quota_us': '-1',
        'cpu,cpuacct/cpu.cfs_period_us': '100000'
    }, [3.]),
])
def test_quotas_of_all_groups_above_are_read(tmp_path, version, files, quotas):
    groups, root = tmp_path / 'cgroup', tmp_path / 'fs'
    groups.write_text(version + '\n')
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text + '\n')
    assert machine._cgroup_quotas(groups, root) == quotas
    assert machine._cgroup_quotas(Path('/nowhere'), root) == []


@pytest.mark.parametrize('free, threads', [(1, '1'), (2, '1'), (3, '3'),
                                           (8, None)])
def test_threads_follow_the_free_cores(monkeypatch, free, threads):
    monkeypatch.setattr(machine, 'free_cores', lambda: free)
    monkeypatch.setattr(os, 'cpu_count', lambda: 8)
    monkeypatch.setattr(machine.ctypes, 'CDLL', lambda name: None)
    # `setenv` first, so that what is set here is taken back.
    for name in ('OMP_NUM_THREADS', 'OMP_WAIT_POLICY'):
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)
    tune_cpu()
    assert os.environ.get('OMP_NUM_THREADS') == threads
    monkeypatch.setenv('OMP_NUM_THREADS', '7')
    tune_cpu()
    assert os.environ['OMP_NUM_THREADS'] == '7'
