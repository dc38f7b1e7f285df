"""All stages of a benchmark, each cached, resumable and shared out.

.. code-block:: none

    plan ─► images × points ─► workers ─► coded ───┐
                                                     ▼
            hosts × points ────► workers ─► task ─► results.jsonl ─► report
                                                     ▲
            points ────────────► this one ► complexity

A record is written as soon as it is there, and carries a fingerprint of all
that decided it: what another run has made under the same fingerprint is not
made again.
"""
import os
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from operator import methodcaller
from pathlib import Path

from mmhmc.engine.ranks import Ranks, join_ranks
from mmhmc.engine.workers import work
from mmhmc.evaluation.results_file import FORMAT
from mmhmc.progress import progress
from ..result_log import ResultLog
from .fingerprints import (content_hash, fingerprint, point_settings, state_of,
                           task_key, versions)
from .images import ImageCoder, ImageTask
from .plan import Plan, Point, Task
from .records import ERRORS, failure


@dataclass(frozen=True)
class Outcome:
    """Counts and failures of a run.

    Args:
        made: Records that are new.
        kept: Records of earlier runs.
        failures: Records of what failed.
        path: File of the results.
        rank: Number of this process; 0 is to speak for all.
    """

    made: int
    kept: int
    failures: list[dict]
    path: Path
    rank: int


def run_benchmark(plan: Plan, resume: bool = False, jobs: int = 1) -> Outcome:
    """Encode, test and measure; ``WORK_DIR/results.jsonl`` has all results.

    Args:
        plan: From :func:`~mmhmc.apis.benchmark.read_plan`.
        resume: Keep what is there under the same settings; what is there
            under others is made anew.
        jobs: Processes, with one thread each.

    Returns:
        What was made, what was kept, and what failed.

    Raises:
        FileExistsError: If there are results and ``resume`` is not given.
        RuntimeError: If a worker process or another rank has ended early.
        ValueError: If ``jobs`` is no number of processes, or the results are
            of another version.
    """
    if jobs < 1:
        raise ValueError(f'`jobs` must be 1 or more, got {jobs}.')
    plan.work_dir.mkdir(parents=True, exist_ok=True)
    run = _Run(plan, join_ranks(), jobs)
    run.ranks.from_first(partial(run.begin, resume))
    run.work('coding', ImageCoder, run.image_tasks)
    if plan.tasks:
        from .tasks import HostTester

        # mmengine would share the images of a test with other ranks.
        run.work('tasks', HostTester, run.host_tasks, apart=run.ranks.size > 1)
    if plan.complexity is not None:
        from .cost import CostMeter
        run.work('complexity', CostMeter, run.cost_tasks, alone=True)
    return run.finish()


#: Sorts before all other records.
_RUN = ' run'


class _Run:
    """Records so far, and how more of them are made.

    The first rank alone knows what there is and what is to be done; the
    others do their share of it.
    """

    def __init__(self, plan: Plan, ranks: Ranks, jobs: int) -> None:
        self.plan, self.ranks, self.jobs = plan, ranks, jobs
        self.log = ResultLog(plan.work_dir, 'results', ranks.rank, ranks.size)
        self.known: dict[str, dict] = {}
        # Fingerprint of each record that is wanted; None: it could not be
        # found out, so what there is stays.
        self.wanted: dict[str, str | None] = {}
        self.point_keys: dict[tuple[str, str], str | None] = {}
        self.new: dict[str, dict] = {}
        self.failures: list[dict] = []

    # On the first rank.

    def begin(self, resume: bool) -> None:
        """Read earlier records, and write the record of this run."""
        self.known = self.log.read()
        self._check_known(resume)
        run = dict(
            kind='run',
            format=FORMAT,
            settings=self.plan.settings,
            versions=versions(),
            output=_RUN)
        self.wanted[_RUN] = None
        if self.known.get(_RUN) != run:
            self._keep(run)
        for point in self.plan.points:
            self._begin_point(point)

    def _check_known(self, resume: bool) -> None:
        if not self.known:
            return
        if not resume:
            raise FileExistsError(
                f'{self.plan.work_dir} holds results. Go on with --resume, '
                'which makes anew only what has changed, or choose another '
                '`work_dir`.')
        found = self.known.get(_RUN, {}).get('format')
        if found != FORMAT:
            raise ValueError(
                f'The results in {self.plan.work_dir} are of format {found}, '
                f'expected {FORMAT}: another version of mmhmc wrote them. '
                'Move them away.')

    def _begin_point(self, point: Point) -> None:
        """Find all settings that decide the decoded images of a point."""
        record = dict(kind='point', codec=point.codec, point=point.name)
        name, key = _id(record), None
        try:
            settings = point_settings(point)
            key = fingerprint(settings)
            if not self._has(name, key):
                self._keep(
                    dict(
                        record,
                        key=key,
                        settings=settings,
                        versions=versions(),
                        output=name))
        except ERRORS as error:
            self._fail(
                failure('coding', error, codec=point.codec, point=point.name))
        self.wanted[name] = key
        self.point_keys[point.codec, point.name] = key

    def image_tasks(self) -> list[ImageTask]:
        """The first stage: every image by every point."""
        tasks = []
        if self.plan.protocol == 'in the model':
            return tasks
        for point in self.plan.points:
            for name in point.datasets:
                images = self.plan.datasets[name]
                for image in images.files:
                    path = str(Path(images.root) / image)
                    key = self._image_key(point, path)
                    ids = [
                        _coded_id(row, point, name, image)
                        for row in point.rows
                    ]
                    self.wanted.update(dict.fromkeys(ids, key))
                    # A metric that could not be had is tried again.
                    if key and not all(
                            self._has(i, key)
                            and not self.known[i].get('lacks') for i in ids):
                        tasks.append(
                            ImageTask(point, key, name, image, path,
                                      str(self.plan.work_dir)))
        return tasks

    def _image_key(self, point: Point, path: str) -> str | None:
        key = self.point_keys[point.codec, point.name]
        if key is None:
            return None
        metrics = sorted(self.plan.image_metrics)
        return fingerprint([key, state_of(path), metrics])

    def host_tasks(self) -> list:
        """The second stage: every host on what every point decoded."""
        runs = []
        for task in self.plan.tasks:
            base = self._task_key(task)
            runs.append(self._host_run(task, None, None, base))
            for point in self.plan.points:
                if task.dataset in point.datasets:
                    runs += [
                        self._host_run(task, row, point, base)
                        for row in point.rows
                    ]
        return [run for run in runs if run is not None]

    def _task_key(self, task: Task) -> str | None:
        """Fingerprint of a host's test; None, and a failure, if unknown."""
        try:
            return task_key(task, self.plan)
        except ERRORS as error:
            self._fail(
                failure('task', error, dataset=task.dataset, task=task.name))
            return None

    def _host_run(self, task: Task, row: str | None, point: Point | None,
                  base: str | None):
        """A test that is to be done; None if it is done or cannot be."""
        from .tasks import TaskRun
        keys = [base, row]
        if point is not None:
            keys.append(self.point_keys[point.codec, point.name])
            lacking = []
            if self.plan.protocol != 'in the model':
                coded = {
                    image: _coded_id(row, point, task.dataset, image)
                    for image in self.plan.datasets[task.dataset].files
                }
                keys += [self.wanted[name] for name in coded.values()]
                lacking = [
                    image for image, name in coded.items()
                    if not self._has(name, self.wanted[name])
                ]
        key = None if None in (base, *keys[2:]) else fingerprint(keys)
        run = TaskRun(task, row, point, key)
        name = _id(dict(run.origin, kind='task'))
        self.wanted[name] = key
        if key is None or self._has(name, key):
            return None
        if point is not None and lacking:
            self._fail(
                failure(
                    'task', f'{len(lacking)} of {len(coded)} images were not '
                    f'coded, first {lacking[0]}.', **run.origin))
            return None
        return run

    def cost_tasks(self) -> list:
        """The third stage."""
        from .cost import CostTask
        tasks = []
        for point in self.plan.points:
            key = self.point_keys[point.codec, point.name]
            name = _id(
                dict(kind='complexity', codec=point.codec, point=point.name))
            if key is not None:
                key = fingerprint([key, self.plan.complexity])
                if not self._has(name, key):
                    tasks.append(CostTask(point, key))
            self.wanted[name] = key
        return tasks

    def _has(self, name: str, key: str | None) -> bool:
        """Whether a record is there, and the image that it speaks of."""
        record = self.known.get(name)
        if record is None or key not in (None, record.get('key')):
            return False
        if 'decoded' not in record:
            return True
        path = str(self.plan.work_dir / record['decoded'])
        if not os.path.isfile(path):
            return False
        # Records of earlier versions have no hash.
        wanted = record.get('decoded_sha256')
        return wanted is None or content_hash(path) == wanted

    # On every rank.

    def work(self,
             name: str,
             build: Callable,
             todo: Callable[[], list],
             apart: bool = False,
             alone: bool = False) -> None:
        """Do a stage.

        Args:
            name: What progress calls it.
            build: Makes a worker of the plan.
            todo: Its tasks, on the first rank.
            apart: Whether the work needs processes without a process group.
            alone: Whether one process does all of it, for the clock's sake.
        """
        tasks = self.ranks.from_first(todo)
        if alone:
            tasks = tasks if self.ranks.rank == 0 else []
        else:
            tasks = self.ranks.share(tasks)
        jobs = 1 if alone else self.jobs
        with progress(name, len(tasks), self.ranks.rank == 0) as advance:
            with closing(
                    work(
                        partial(build, self.plan), tasks, jobs, apart,
                        methodcaller('lost'))) as results:
                for records in results:
                    for record in records:
                        if record['kind'] == 'failure':
                            self._fail(record)
                        else:
                            self._keep(dict(record, output=_id(record)))
                    advance()
        for new in self.ranks.gather(self.new):
            self.known.update(new)

    def _keep(self, record: dict) -> None:
        self.log.append(record)
        self.known[record['output']] = self.new[record['output']] = record

    def _fail(self, record: dict) -> None:
        self.failures.append(dict(record, output=_id(record)))

    def finish(self) -> Outcome:
        """Merge the records of all ranks, and drop unwanted ones."""
        made = sum(self.ranks.gather(len(self.new)))
        # What went wrong before any image went wrong for each of them.
        failures = list({
            record['output']: record
            for record in sum(self.ranks.gather(self.failures), [])
        }.values())
        there = [
            self.known[name] for name, key in self.wanted.items()
            if name in self.known and key in (None,
                                              self.known[name].get('key'))
        ]
        if self.ranks.rank == 0:
            self.log.replace(there + failures)
        # A launcher ends all when one ends: wait for the log.
        self.ranks.gather(None)
        self.ranks.leave()
        return Outcome(made, max(0,
                                 len(there) - made), failures,
                       self.plan.work_dir / 'results.jsonl', self.ranks.rank)


def _id(record: dict) -> str:
    parts = [
        record['kind'],
        *(str(record.get(key) or '-')
          for key in ('stage', 'dataset', 'task', 'codec', 'point', 'image'))
    ]
    return '/'.join(parts)


def _coded_id(row: str, point: Point, dataset: str, image: str) -> str:
    return _id(
        dict(
            kind='coded',
            codec=row,
            point=point.name,
            dataset=dataset,
            image=image))
