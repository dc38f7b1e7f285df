"""Who shares the work, by what launchers say."""
import os
import subprocess

import pytest

from mmhmc.engine import ranks
from mmhmc.engine.ranks import Ranks, join_ranks

NAMES = ('RANK', 'WORLD_SIZE', 'LOCAL_RANK', 'MASTER_ADDR', 'MASTER_PORT',
         'SLURM_PROCID', 'SLURM_NTASKS', 'SLURM_LOCALID', 'SLURM_JOB_NODELIST')


@pytest.fixture
def launcher(monkeypatch):
    """Set what a launcher sets, and note where the processes would meet."""
    met = []

    def meet(backend, timeout):
        met.append((backend, os.environ.get('MASTER_ADDR')))

    monkeypatch.setattr(ranks.dist, 'init_process_group', meet)
    monkeypatch.setattr(ranks.dist, 'new_group', lambda timeout: 'group')
    # What is set meanwhile is taken back at the end.
    for name in NAMES:
        monkeypatch.setenv(name, '')
        monkeypatch.delenv(name)

    def launch(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return met

    return launch


def scontrol(monkeypatch, answer):
    asked = []

    def run(command, **_):
        asked.append(command)
        if isinstance(answer, Exception):
            raise answer
        return subprocess.CompletedProcess(command, 0, stdout=answer)

    monkeypatch.setattr(subprocess, 'run', run)
    return asked


@pytest.mark.parametrize('variables',
                         [{},
                          dict(RANK='0', WORLD_SIZE='1'),
                          dict(SLURM_PROCID='0', SLURM_NTASKS='1'),
                          dict(SLURM_NTASKS='4')])
def test_one_process_is_alone_and_waits_for_nobody(launcher, variables):
    met = launcher(**variables)
    alone = join_ranks()
    assert alone == Ranks() and met == []
    assert alone.share('abc') == ['a', 'b', 'c']
    assert alone.gather(1) == [1]
    alone.leave()


def test_torchrun_says_who_we_are(launcher):
    met = launcher(RANK='3', WORLD_SIZE='4', LOCAL_RANK='1')
    assert join_ranks() == Ranks(3, 4, 1, 'group')
    assert met == [('gloo', None)]


def test_slurm_says_who_we_are_and_where_to_meet(launcher, monkeypatch):
    met = launcher(
        SLURM_PROCID='5',
        SLURM_NTASKS='8',
        SLURM_LOCALID='1',
        SLURM_JOB_NODELIST='n[3-6]')
    asked = scontrol(monkeypatch, 'n3\nn4\nn5\nn6\n')
    assert join_ranks() == Ranks(5, 8, 1, 'group')
    assert met == [('gloo', 'n3')]
    assert asked == [['scontrol', 'show', 'hostnames', 'n[3-6]']]


def test_address_that_is_set_counts_under_slurm(launcher):
    met = launcher(SLURM_PROCID='1', SLURM_NTASKS='2', MASTER_ADDR='here')
    assert join_ranks().rank == 1
    assert met == [('gloo', 'here')]


def test_slurm_without_scontrol_is_refused_with_the_remedy(
        launcher, monkeypatch):
    launcher(SLURM_PROCID='1', SLURM_NTASKS='2')
    scontrol(monkeypatch, FileNotFoundError('no scontrol'))
    with pytest.raises(ValueError, match='no scontrol.*Set MASTER_ADDR'):
        join_ranks()


def test_others_that_do_not_come_are_missed(launcher, monkeypatch):
    launcher(RANK='0', WORLD_SIZE='2')

    def nobody(*_, **__):
        raise RuntimeError('timed out')

    monkeypatch.setattr(ranks.dist, 'init_process_group', nobody)
    with pytest.raises(RuntimeError, match='2 processes .* did not meet: tim'):
        join_ranks()


@pytest.mark.parametrize('count', range(5))
def test_shares_are_the_whole_without_overlap(count):
    items = list(range(count))
    shares = [Ranks(rank, 3).share(items) for rank in range(3)]
    assert sorted(sum(shares, [])) == items
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
