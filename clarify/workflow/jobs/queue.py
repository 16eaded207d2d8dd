"""Retrainings in processes of their own, which every session sees alike.

A job's folder is ``<home>/jobs/<digest>/``, the digest being that of what is asked for: two people who
start the same thing get one job. In it lie ``job.json`` (what, by whom, when), ``progress.json``
(how far), ``log``, and ``lock``. Whoever starts a job takes the lock and hands it to the process
as its standard input; the system drops it when the process ends in whatever way. So a job that
says that it runs, and whose lock is free, was killed. Nobody is told from a process number.

A file ``cancel`` asks a job to end. Only the process itself says how it ended.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from clarify.data.files import writing
from clarify.errors import NotFoundError
from clarify.track.runs import ModelRun
from clarify.workflow.jobs.files import Job, JobFolder, JobStatus, Request, now
from clarify.workflow.model.project import Workspace

__all__ = ["cancel", "jobs", "start"]


def start(project: Workspace, request: Request, phrases: tuple[tuple[str, str], ...]) -> bool:
    """Start a retraining in a process of its own; whether there was none of it yet.

    One that waits, runs or is done is left as it is; one that failed, was cancelled or was killed,
    or whose run was deleted since, is started again.

    Parameters
    ----------
    project : Workspace
        Its reviewer is who asks.
    phrases : tuple of (class name, phrase)
        Of the descriptions, for people.

    Raises
    ------
    StoreError
        If the home cannot be written.
    """
    folder = JobFolder(project.home, request.digest)
    with writing(project.home, hint="start the retraining again"):
        folder.path.mkdir(parents=True, exist_ok=True)
        held = folder.take()
        if held is None:
            return False
        try:
            if _is_done(project, folder):
                return False
            folder.cancel.unlink(missing_ok=True)
            status = JobStatus(state="queued", message="It starts.", at=now())
            job = Job(
                request=request, phrases=phrases, by=project.reviewer, asked_at=status.at, status=status
            )
            folder.write(job)
            _spawn(folder, held)
        finally:
            os.close(held)
    return True


def jobs(home: Path, data_set: str | None = None, *, most: int = 20) -> list[Job]:
    """Return the jobs of a data set, or all: those at work in their order, then the newest.

    Parameters
    ----------
    most : int
        How many.
    """
    found: list[Job] = []
    for path in _newest(home / "jobs"):
        with contextlib.suppress(NotFoundError):
            job = JobFolder(home, path.name).read()
            if data_set in (None, job.request.data_set):
                found.append(job)
        if len(found) == most:
            break
    return sorted(found, key=lambda job: (0, job.asked_at) if job.active else (1, -job.asked_at))


def cancel(home: Path, digest: str) -> None:
    """Ask a job to end; it does so within seconds, unless it is already being recorded.

    Raises
    ------
    NotFoundError
        If there is no such job.
    StoreError
        If the home cannot be written.
    """
    folder = JobFolder(home, digest)
    folder.read()
    with writing(folder.path, hint="cancel it again"):
        folder.cancel.touch()


def _is_done(project: Workspace, folder: JobFolder) -> bool:
    """Whether a job became a run that is still there."""
    try:
        job = folder.read()
    except NotFoundError:
        return False
    runs = project.tracking.runs(job.request.data_set, ModelRun)
    return job.status.state == "done" and job.status.run in {run.id for run in runs}


def _spawn(folder: JobFolder, held: int) -> None:
    command = [sys.executable, "-m", "clarify.cli", "job", folder.digest, f"--home={folder.home}"]
    with folder.log.open("wb") as log:
        process = subprocess.Popen(command, stdin=held, stdout=log, stderr=log, start_new_session=True)
    # Somebody has to ask how it ended, or the system keeps it as a zombie.
    threading.Thread(target=process.wait, daemon=True).start()


def _newest(folder: Path) -> Iterator[Path]:
    """Yield the folders of jobs, the one that was written to last first."""
    stamped: list[tuple[int, str]] = []
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        stamped = [(each.stat().st_mtime_ns, each.path) for each in entries if each.is_dir()]
    for _, path in sorted(stamped, reverse=True):
        yield Path(path)
