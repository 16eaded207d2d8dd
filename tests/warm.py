"""Processes that begin warm: forked from one that has imported what takes seconds.

What is to be killed, or to run beside others, has to be a process of its own; that each imports torch and
MLflow anew has not, and was most of such tests' time. Tests of importing, of the interpreter and of other
people's programs start theirs by `subprocess`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["SUBPROCESS", "Warm", "run"]

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = (
    "mlflow.data.polars_dataset",
    "mlflow.pyfunc",
    "mlflow.store.tracking.sqlalchemy_store",
    "open_clip",
    "scipy.stats",
    "timm",
    "plotly.graph_objects",
    "streamlit.web.bootstrap",
    "clarify.assembly",
    "clarify.workflow.jobs.process",
    "clarify.workflow.retrain.retrain",
)


class Warm:
    """A process as `subprocess.Popen` has it, of ``"-c", CODE, ...`` or ``"-m", MODULE, ...``.

    Parameters
    ----------
    stdin : int, optional
        A descriptor that it inherits; an empty file unless given.
    stdout, stderr : file or int, optional
        `subprocess.PIPE`, `subprocess.DEVNULL`, an open file, or this process's own.
    """

    def __init__(
        self,
        *arguments: str,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        stdin: int = subprocess.DEVNULL,
        stdout: IO[Any] | int | None = None,
        stderr: IO[Any] | int | None = None,
        start_new_session: bool = False,
    ) -> None:
        self.returncode: int | None = None
        self.stdout, self._errors = None, None
        given = os.open(os.devnull, os.O_RDONLY) if stdin == subprocess.DEVNULL else os.dup(stdin)
        if stdout == subprocess.PIPE:
            reading, out = os.pipe()
            self.stdout = open(reading, encoding="utf-8")  # noqa: SIM115
        else:
            out = _outlet(stdout, 1)
        if stderr == subprocess.PIPE:  # a file: nobody reads it before the end
            self._errors = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115
            err = os.dup(self._errors.fileno())
        else:
            err = _outlet(stderr, 2)
        asked = {
            "arguments": arguments,
            "cwd": os.path.abspath(cwd or "."),
            "env": dict(os.environ if env is None else env),
            "session": start_new_session,
        }
        self._line = socket.socket(socket.AF_UNIX)
        self._line.connect(_parent())
        socket.send_fds(self._line, [b"?"], [given, out, err])
        self._line.sendall(json.dumps(asked).encode())
        self._line.shutdown(socket.SHUT_WR)
        for own in (given, out, err):
            os.close(own)
        self.pid = int.from_bytes(self._line.recv(4), "big")

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a warm process", timeout or 0)
            self.returncode = os.waitstatus_to_exitcode(int.from_bytes(self._line.recv(4), "big"))
            self._line.close()
        return self.returncode

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for its end, and return what it wrote."""
        until, said = None if timeout is None else time.monotonic() + timeout, b""
        while self.stdout is not None:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([self.stdout], [], [], left)[0]:
                raise subprocess.TimeoutExpired("a warm process", timeout or 0)
            if not (read := os.read(self.stdout.fileno(), 1 << 16)):
                break
            said += read
        self.wait(None if until is None else max(0.0, until - time.monotonic()))
        wrong = ""
        if self._errors is not None:
            self._errors.seek(0)
            wrong = self._errors.read()
        self._close()
        return said.decode(), wrong

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self.wait()
        self._close()

    def _close(self) -> None:
        for each in (self.stdout, self._errors):
            if each is not None:
                each.close()


def run(*arguments: str, timeout: float = 300, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run one to its end as `subprocess.run` does, and keep what it says."""
    process = Warm(*arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)
    out, err = process.communicate(timeout)
    return subprocess.CompletedProcess(arguments, process.wait(), out, err)


def exec_warm(_: str, command: Sequence[str]) -> None:
    """Be ``python -m MODULE ...`` without leaving this process: what `os.execv` is for what began warm."""
    sys.argv = [command[2], *command[3:]]
    runpy.run_module(command[2], run_name="__main__", alter_sys=True)


def started(command: Sequence[str], *, text: bool = True, **how: Any) -> Warm:
    """Start one as `subprocess.Popen` is asked to by Clarify itself."""
    assert command[0] == sys.executable
    return Warm(*command[1:], **how)


SUBPROCESS = types.SimpleNamespace(
    Popen=started, PIPE=subprocess.PIPE, DEVNULL=subprocess.DEVNULL, TimeoutExpired=subprocess.TimeoutExpired
)
"""What a module of Clarify that starts processes has for `subprocess` where they are to begin warm."""


def _outlet(asked: IO[Any] | int | None, own: int) -> int:
    if asked == subprocess.DEVNULL:
        return os.open(os.devnull, os.O_WRONLY)
    return os.dup(own if asked is None else asked if isinstance(asked, int) else asked.fileno())


@functools.cache
def _parent() -> str:
    """Start the process that others are forked from, once; return where it listens."""
    place = os.path.join(tempfile.mkdtemp(prefix="clarify-"), "warm")
    threads = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS")}
    environment = {**os.environ, **threads, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.warm", place]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    atexit.register(process.kill)
    assert process.stdout is not None
    assert process.stdout.readline() == b"warm\n"
    return place


def _listen(place: str) -> None:
    """Import the libraries, and fork for each that asks; tell it the number, and the status at the end."""
    for name in LIBRARIES:
        importlib.import_module(name)
    lines: dict[int, socket.socket] = {}
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(place)
        door.listen(64)
        os.write(1, b"warm\n")
        while os.getppid() != 1:
            if select.select([door], [], [], 0.02)[0]:
                line, _ = door.accept()
                _, inherited, _, _ = socket.recv_fds(line, 1, 3)
                asked = json.loads(b"".join(iter(lambda: line.recv(1 << 16), b"")))  # noqa: B023
                if (number := os.fork()) == 0:
                    door.close()
                    _become(asked, inherited)
                for each in inherited:
                    os.close(each)
                line.sendall(number.to_bytes(4, "big"))
                lines[number] = line
            while lines and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with contextlib.suppress(OSError), lines.pop(ended[0]) as line:
                    line.sendall(ended[1].to_bytes(4, "big"))


def _become(asked: dict[str, Any], inherited: list[int]) -> None:
    """Be what was asked for, to its end."""
    if asked["session"]:
        os.setsid()
    for number, own in enumerate(inherited):
        os.dup2(own, number)
    os.closerange(3, 256)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["env"])
    sys.stdin, sys.stdout, sys.stderr = (
        open(number, mode)  # noqa: SIM115
        for number, mode in enumerate("rww")
    )
    kind, what, *rest = asked["arguments"]
    sys.argv = ["-c", *rest]
    sys.path[0] = ""
    sys.modules["__main__"] = main = types.ModuleType("__main__")
    status = 0
    try:
        if kind == "-c":
            exec(compile(what, "<string>", "exec"), main.__dict__)
        else:
            sys.argv[0] = what
            runpy.run_module(what, run_name="__main__", alter_sys=True)
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    except BaseException:
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for each in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            each.flush()
    os._exit(status)


if __name__ == "__main__":
    _listen(sys.argv[1])
