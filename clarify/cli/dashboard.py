"""The command that opens the dashboard, and the one by which it retrains: serve, job."""

from __future__ import annotations

import dataclasses
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.assembly import open_project
from clarify.cli.shell import Commands, Shell
from clarify.errors import ClarifyError, InputError, shown

if TYPE_CHECKING:
    from clarify.config import Settings
    from clarify.workflow.jobs.files import Job
    from clarify.workflow.model.project import Workspace

__all__ = ["add_job", "add_serve", "serve"]

PORT = 8501
INSTALLED = Path(__file__).resolve().parents[1] / "dashboard_files"
"""Where the wheel puts what a checkout has at its top: app.py, pages, the theme."""


def serve(settings: Settings, *, host: str = "localhost", port: int = PORT, base_path: str = "") -> None:
    """Become the dashboard's server; comes back only if that cannot be started.

    Parameters
    ----------
    settings : Settings
        Handed on through the environment.
    host : str
        Which address it listens at: ``localhost``, or ``0.0.0.0`` for a team.
    base_path : str
        What a proxy puts before all its addresses, as ``team``.

    Raises InputError for a base path that is none.
    """
    if base_path and not re.fullmatch(r"/?\w[\w.~-]*(/\w[\w.~-]*)*/?", base_path, re.ASCII):
        raise InputError(
            f"--base-path {shown(base_path)}; legal is what a proxy puts before addresses, as team or a/team"
        )
    app = INSTALLED / "app.py"
    if not app.is_file():
        app = Path(__file__).resolve().parents[2] / "app.py"
    own = {
        "CLARIFY_HOME": str(settings.home),
        "CLARIFY_ENCODER": settings.encoder,
        "CLARIFY_BACKBONE": settings.backbone,
        "CLARIFY_REVIEWER": settings.reviewer,
        "CLARIFY_WORKERS": str(settings.workers),
        "MLFLOW_TRACKING_URI": settings.tracking_uri,
        "CLARIFY_LEADS": ",".join(settings.leads),
        "CLARIFY_TRUSTED_ISSUER": settings.trusted_issuer,
    }
    os.environ.update({name: value for name, value in own.items() if value})
    command = ["-m", "streamlit", "run", str(app), "--server.port", str(port)]
    command += ["--server.address", host, "--server.headless", "true"]
    if base_path.strip("/"):
        command += ["--server.baseUrlPath", base_path.strip("/")]
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *command])


def _serve(shell: Shell) -> None:
    """Open the dashboard for reviewers."""
    args = shell.args
    path = args.base_path.strip("/")
    shell.say(f"the dashboard of {shell.settings.home}: http://{args.host}:{args.port}/{path}".rstrip("/"))
    serve(shell.settings, host=args.host, port=args.port, base_path=args.base_path)


def add_serve(commands: Commands) -> None:
    """Add ``serve``."""
    command = commands.add("serve", _serve, "serve --home /data/birds --host 0.0.0.0", data_set=False)
    command.takes(
        "--host",
        "where it listens; 0.0.0.0 is for everybody who can reach this machine (default: localhost)",
        default="localhost",
    )
    command.takes("--port", f"(default: {PORT})", type=int, default=PORT)
    command.takes(
        "--base-path", "what a proxy puts before its addresses, as team (default: nothing)", default=""
    )


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


def add_job(commands: Commands) -> None:
    """Add ``job``, which the dashboard gives, and people do not."""
    command = commands.add("job", _job, "job 9f2c", data_set=False)
    command.takes("digest JOB", "its folder in jobs/")
