"""What the process of a job does: wait for its turn, retrain, and write how far it is."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator

from clarify.errors import ClarifyError, InputError
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.jobs.files import Job, JobFolder, JobStatus, State, locked, now
from clarify.workflow.jobs.queue import jobs
from clarify.workflow.model.models import open_model
from clarify.workflow.model.progress import RetrainingProgress
from clarify.workflow.model.project import Workspace
from clarify.workflow.model.recipe import PARTS
from clarify.workflow.retrain.engine import Means
from clarify.workflow.retrain.retrain import alone, retrain

__all__ = ["run_job"]

LOOK_S = 0.2
PATIENCE_S = 5.0
"""A job that was asked to end and has not by then ends without being asked."""

WRITE_S = 0.4
MOST_LOOKS = 240
"""Values a group in the lines of losses; beyond it every other one is left out."""

MOST_GROUPS = 12
WORKERS = 2
"""Threads that decode for a network."""

SAID = {
    "read": "It reads the features.",
    "fit": "It fits heads, one a weight decay.",
    "control": "It fits heads without the phrases, to know what these bring.",
    "record": "It records the model.",
}


def _cancelled(job: Job) -> str:
    resumes = PARTS[job.request.recipe.part].network
    kept = " Started again, it goes on from its last epoch." if resumes else ""
    return f"It was cancelled; nothing of it is recorded.{kept}"


class CancelledError(Exception):
    """Somebody asked the job to end."""


def run_job(folder: JobFolder, open_project: Callable[[Job], Workspace]) -> JobStatus:
    """Do a job from beginning to end; returns how it ended.

    Parameters
    ----------
    folder : JobFolder
        Its lock is this process's standard input.
    open_project : callable
        Builds the adapters for the job, with who asked as reviewer.

    Raises
    ------
    InputError
        If the lock was not handed over.
    """
    job = folder.read()
    _check_lock(folder)
    os.nice(10)  # the dashboard has the cores first
    board = Board(folder)
    with _watching(board):
        try:
            with _turn(folder, job, board):
                board.write("running", message=SAID["read"])
                run = _retrain(open_project(job), job, board)
            board.write("done", message="", run=run, step=board.status.steps)
        except CancelledError:
            board.write("cancelled", message=_cancelled(job))
        except ClarifyError as error:
            board.write("failed", message=str(error))
        except MemoryError:
            board.write(
                "failed",
                message="There was not enough memory; close something, or free memory, and start it again.",
            )
        except Exception as error:
            traceback.print_exc()
            board.write(
                "failed",
                message="It ended by a fault in the program "
                f"({type(error).__name__}: {error}); please report it with the file "
                f"{folder.log}",
            )
    return board.status


def _retrain(project: Workspace, job: Job, board: Board) -> str:
    request = job.request
    if project.manifest.digest != request.manifest:
        raise InputError(
            f"data set {request.data_set} was changed since this was asked for (manifest "
            f"{request.manifest[:12]} then, {project.manifest.digest[:12]} now); start it anew"
        )
    base = open_model(project, request.base)
    descriptions = kept_descriptions(project, base, request.descriptions)
    means = Means(report=board.told, workers=WORKERS)
    trained = retrain(project, base, descriptions, recipe=request.recipe, means=means, delivery=job.digest)
    return alone(trained).model.run_id


class Board:
    """Writes how far a job is, from the thread that works and the one that watches."""

    def __init__(self, folder: JobFolder) -> None:
        self.folder = folder
        self.cancelled = threading.Event()
        self.status = JobStatus(state="queued", pid=os.getpid())
        self._lock = threading.Lock()
        self._recording = False
        self._written = 0.0

    def write(self, state: State, **changes: object) -> None:
        """Write a new state."""
        with self._lock:
            self._write(state, **changes)

    def told(self, progress: RetrainingProgress) -> None:
        """Take note of the progress; ends the work where somebody asked for that.

        From the moment that recording begins it is too late to cancel.
        """
        with self._lock:
            if self.cancelled.is_set():
                raise CancelledError
            self._recording = progress.stage == "record"
            moved = progress.step != self.status.step or self._recording
            if not moved and time.monotonic() - self._written < WRITE_S:
                return
            self._write(
                "running",
                message=_said(progress),
                figures=dict(progress.figures),
                step=progress.step,
                steps=progress.steps,
                losses=_longer(self.status.losses, progress.losses),
            )

    def give_up(self) -> None:
        """End the process at once as cancelled, unless it is being recorded."""
        with self._lock:
            if not self._recording and self.status.state in ("queued", "running"):
                self._write("cancelled", message="It was cancelled; nothing of it is recorded.")
                os.killpg(os.getpgrp(), signal.SIGTERM)

    def _write(self, state: State, **changes: object) -> None:
        self.status = dataclasses.replace(
            self.status,
            state=state,
            at=now(),
            **changes,  # type: ignore[arg-type]
        )
        self.folder.write_status(self.status)
        self._written = time.monotonic()


def _said(progress: RetrainingProgress) -> str:
    if progress.seconds_left is None or progress.images_a_second is None:
        return SAID[progress.stage]
    what = {"control": "It trains the control"}.get(progress.stage, "It trains the network")
    minutes = progress.seconds_left / 60
    left = f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{progress.seconds_left:.0f} seconds"
    return f"{what}: {progress.images_a_second:,.0f} images a second, about {left} left."


def _longer(lines: dict[str, list[float]], losses: object) -> dict[str, list[float]]:
    """Return the lines with one more look; thinned out where they grow long."""
    if not isinstance(losses, dict) or not losses:
        return lines
    described = sorted(losses, key=lambda name: " · " not in name)[:MOST_GROUPS]
    longer = {name: [*lines.get(name, []), round(losses[name], 5)] for name in described}
    if len(next(iter(longer.values()))) <= MOST_LOOKS:
        return longer
    return {name: values[::2] for name, values in longer.items()}


@contextlib.contextmanager
def _turn(folder: JobFolder, job: Job, board: Board) -> Iterator[None]:
    """Wait until no other job of the home runs, and none that was asked for before waits."""
    board.write("queued", message="It starts.")
    while True:
        if board.cancelled.is_set():
            raise CancelledError
        held = None if _is_behind(folder, job) else locked(folder.path.parent / "turn")
        if held is not None:
            break
        if board.status.message != "It waits for another retraining to end.":
            board.write("queued", message="It waits for another retraining to end.")
        time.sleep(LOOK_S)
    try:
        yield
    finally:
        os.close(held)


def _is_behind(folder: JobFolder, job: Job) -> bool:
    before = (job.asked_at, job.digest)
    return any(
        (other.asked_at, other.digest) < before
        for other in jobs(folder.home)
        if other.status.state == "queued" and other.digest != job.digest
    )


@contextlib.contextmanager
def _watching(board: Board) -> Iterator[None]:
    """Look for the file that cancels, as long as the work goes on."""
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(LOOK_S):
            if board.folder.cancel.exists():
                board.cancelled.set()
                if not ended.wait(PATIENCE_S):
                    board.give_up()
                return

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _check_lock(folder: JobFolder) -> None:
    """Make sure that the standard input is the job's lock, and held."""
    try:
        if os.path.samestat(os.fstat(0), os.stat(folder.lock)):
            fcntl.flock(0, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
    except OSError:
        pass
    raise InputError(
        f"job {folder.digest} was not handed to this process; the dashboard starts jobs by itself"
    )
