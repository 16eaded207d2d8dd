"""The command of a retraining that the dashboard started: job."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from clarify.assembly import open_project
from clarify.cli.shell import Commands, Shell
from clarify.errors import ClarifyError

if TYPE_CHECKING:
    from clarify.workflow.jobs.files import Job
    from clarify.workflow.model.project import Workspace

__all__ = ["add_commands"]


def _job(shell: Shell) -> None:
    """Do a retraining that the dashboard was asked for; the dashboard starts this by itself."""
    from clarify.workflow.jobs.files import JobFolder
    from clarify.workflow.jobs.process import run_job

    def opened(job: Job) -> Workspace:
        request = job.request
        settings = dataclasses.replace(
            shell.settings, encoder=request.encoder, backbone=request.backbone, reviewer=job.by
        )
        return open_project(settings, request.data_set, say=shell.say)

    ended = run_job(JobFolder(shell.settings.home, shell.args.digest), opened)
    if ended.state == "failed":
        raise ClarifyError(ended.message)
    result = {"job": shell.args.digest, "state": ended.state, "run": ended.run}
    shell.answer(result, f"job {shell.args.digest}: {ended.state}")


def add_commands(commands: Commands) -> None:
    """Add it."""
    command = commands.add("job", _job, "job 9f2c", data_set=False)
    command.takes("digest JOB", "its folder in jobs/")
