"""Engines: where the groups of a study are trained.

An engine takes tasks and gives their results in the order in which they finish.  ``Local`` trains
in this process or in several of its own; ``Ray`` on a cluster.  A worker that dies costs a retry of
what it was training, not the run.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from .framework import StudyError

__all__ = ["ENGINES", "Engine", "Local", "Ray", "Task", "engine"]

ATTEMPTS = 3

#: Trains the members of a task and gives their rows, each member's apart.
Function = Callable[["Task"], Any]
Keep = Callable[[], bool]


@dataclass(frozen=True)
class Task:
    """One group of a study, so described that any process can train it.

    ``checkpoint`` is the folder that keeps the state of its training, where there is one.
    """

    study: str
    stage: str
    members: tuple[Any, ...]
    device: str
    checkpoint: Path | None = None

    def __str__(self) -> str:
        return f"{self.study}/{self.stage} ({len(self.members)} members)"


class Engine(Protocol):
    """Runs ``function`` on tasks; yields (index of the task, its result) as each finishes."""

    def run(
        self, function: Function, tasks: Sequence[Task], more: Keep
    ) -> Iterator[tuple[int, Any]]:
        """Start no further task once ``more()`` is false."""


class Local:
    """This machine: ``workers`` processes, or this very process where ``workers`` is 1."""

    def __init__(self, workers: int = 1) -> None:
        if workers < 1:
            raise StudyError(f"workers must be at least 1, not {workers}")
        self.workers = workers

    def run(
        self, function: Function, tasks: Sequence[Task], more: Keep
    ) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as tasks finish; raise what a task raises."""
        if self.workers == 1:
            for index, task in enumerate(tasks):
                if not more():
                    return
                yield index, function(task)
            return
        yield from _Pool(function, tasks, min(self.workers, len(tasks)), more).results()


class _Pool:
    """Processes that take a task at a time, and are replaced when they die."""

    def __init__(self, function: Function, tasks: Sequence[Task], size: int, more: Keep) -> None:
        self.function, self.tasks, self.size, self.more = function, tasks, size, more
        self.waiting = list(range(len(tasks)))[::-1]
        self.attempts = [0] * len(tasks)
        self.busy: dict[Connection, tuple[Any, int]] = {}

    def results(self) -> Iterator[tuple[int, Any]]:
        try:
            while True:
                while len(self.busy) < self.size and self.waiting and self.more():
                    self._start()
                if not self.busy:
                    return
                for connection in wait(list(self.busy)):
                    yield from self._finished(connection)  # type: ignore[arg-type]
        finally:
            for process, _ in self.busy.values():
                process.terminate()
                process.join()

    def _start(self, idle: tuple[Connection, Any] | None = None) -> None:
        index = self.waiting.pop()
        self.attempts[index] += 1
        if idle is None:
            # A fresh interpreter: a forked one would inherit the threads and the GPU of this one.
            context = multiprocessing.get_context("spawn")
            connection, theirs = context.Pipe()
            process = context.Process(target=_worker, args=(theirs, self.function), daemon=True)
            process.start()
            theirs.close()
        else:
            connection, process = idle
        with suppress(OSError):  # it has died: waiting for its answer will show it
            connection.send(self.tasks[index])
        self.busy[connection] = process, index

    def _finished(self, connection: Connection) -> Iterator[tuple[int, Any]]:
        process, index = self.busy.pop(connection)
        try:
            good, result = connection.recv()
        except (EOFError, OSError):
            process.join()
            self._died(index, process.exitcode)
            return
        if not good:
            raise result
        if self.waiting and self.more():
            self._start((connection, process))
        else:
            connection.close()
            process.join()
        yield index, result

    def _died(self, index: int, code: int | None) -> None:
        if self.attempts[index] >= ATTEMPTS:
            raise StudyError(
                f"a worker died {ATTEMPTS} times while training {self.tasks[index]} (exit status "
                f"{code}); is there memory enough? What was finished is kept."
            )
        self.waiting.append(index)


def _worker(connection: Connection, function: Function) -> None:
    """Serve tasks until the other side hangs up; with it, its end is the end of this process."""
    with suppress(EOFError, OSError, KeyboardInterrupt):
        while True:
            task = connection.recv()
            try:
                answer = True, function(task)
            except Exception as error:
                answer = False, error
            connection.send(answer)


class Ray:
    """A Ray cluster: the one at ``address`` (default: that of the environment, else this machine).

    Each task asks for one processor, and for one GPU when it trains on one.  Raises StudyError
    where Ray is not installed.
    """

    def __init__(self, workers: int | None = None, address: str | None = None) -> None:
        try:
            import ray
        except ImportError as error:
            raise StudyError("the engine ray needs Ray: pip install 'actbook[ray]'") from error
        self.ray, self.workers = ray, workers
        if not ray.is_initialized():
            known = address or os.environ.get("RAY_ADDRESS")
            ray.init(address=known, log_to_driver=False, include_dashboard=False)

    def run(
        self, function: Function, tasks: Sequence[Task], more: Keep
    ) -> Iterator[tuple[int, Any]]:
        """Yield (index, result) as tasks finish; a lost worker or node is retried elsewhere."""
        ray = self.ray
        waiting, flying = list(range(len(tasks)))[::-1], dict[Any, int]()
        attempts = [0] * len(tasks)
        try:
            while True:
                while waiting and len(flying) < self._width() and more():
                    index = waiting.pop()
                    attempts[index] += 1
                    gpus = 1 if tasks[index].device.startswith("cuda") else 0
                    remote = ray.remote(num_cpus=1, num_gpus=gpus, max_retries=0)(function)
                    flying[remote.remote(tasks[index])] = index
                if not flying:
                    return
                ready, _ = ray.wait(list(flying), num_returns=1)
                index = flying.pop(ready[0])
                try:
                    result = ray.get(ready[0])
                except ray.exceptions.RayTaskError as error:
                    raise error.cause from None
                except ray.exceptions.RayError as error:
                    if attempts[index] >= ATTEMPTS:
                        raise StudyError(
                            f"{tasks[index]} was lost {ATTEMPTS} times on the cluster: {error}. "
                            "What was finished is kept."
                        ) from error
                    waiting.append(index)
                    continue
                yield index, result
        finally:
            for reference in flying:
                ray.cancel(reference, force=True)

    def _width(self) -> int:
        """How many tasks may be in flight: what the cluster has now, which may have changed."""
        return self.workers or max(1, int(self.ray.cluster_resources().get("CPU", 1)))


ENGINES = ("local", "ray")


def engine(name: str, workers: int | None = None) -> Engine:
    """The engine ``name``; StudyError for an unknown one."""
    if name not in ENGINES:
        raise StudyError(f"no engine {name!r}; there are: {', '.join(ENGINES)}")
    return Ray(workers) if name == "ray" else Local(workers or 1)
