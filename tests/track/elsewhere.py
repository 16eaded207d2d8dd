"""Real stores elsewhere: PostgreSQL of Debian's packages, and `mlflow server`, both on loopback."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Postgres", "Server", "free_port", "postgres_programs"]

USER, PASSWORD = "clarify", "se cret%"
WRITTEN = "se%20cret%25"


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def postgres_programs() -> Path | None:
    """The newest folder with PostgreSQL's programs that is installed; None without."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    here = shutil.which("initdb")
    folders += [Path(here).resolve().parent] if here else []
    return next((each for each in folders if (each / "pg_ctl").exists()), None)


class Postgres:
    """A private cluster, run by a user that is not root, who PostgreSQL refuses."""

    def __init__(self, folder: Path, programs: Path) -> None:
        self.programs, self.port = programs, free_port()
        self.folder = folder / "cluster"
        self._pid = self.folder / "postmaster.pid"
        self._as = ["runuser", "-u", "nobody", "--"] if os.getuid() == 0 else []
        folder.chmod(0o777)
        word = folder / "word"
        word.write_text(PASSWORD)
        word.chmod(0o644)
        self._run(
            "initdb",
            "-D",
            str(self.folder),
            "-U",
            USER,
            "--auth=scram-sha-256",
            f"--pwfile={word}",
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
        )

    def start(self) -> None:
        """Start it, unless it runs."""
        if self._pid.exists():
            return
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories= "
            "-c fsync=off -c shared_buffers=16MB"
        )
        self._run(
            "pg_ctl",
            "-D",
            str(self.folder),
            "-w",
            "-t",
            "60",
            "-l",
            str(self.folder / "log"),
            "-o",
            options,
            "start",
        )

    def stop(self) -> None:
        """Stop it at once, whoever is connected."""
        if self._pid.exists():
            self._run("pg_ctl", "-D", str(self.folder), "-w", "-m", "immediate", "stop")

    def make_database(self, name: str) -> str:
        """Make an empty database, and return its address."""
        self.sql(f'CREATE DATABASE "{name}"', "postgres")
        return self.address(name)

    def address(self, name: str, *, password: str = WRITTEN, user: str = USER) -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{name}"

    def sql(self, statement: str, database: str) -> list[tuple[object, ...]]:
        import psycopg2

        with contextlib.closing(psycopg2.connect(self.address(database))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as, str(self.programs / program), *arguments],
            cwd="/tmp",
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=120,
        )


class Server:
    """An MLflow server with one worker, that takes files too."""

    def __init__(self, folder: Path, *extra: str) -> None:
        self.folder, self.port, self.extra = folder, free_port(), extra
        self.uri = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, seconds: float = 120) -> None:
        """Start it, unless it runs."""
        if self._process is not None:
            return
        environment = {key: value for key, value in os.environ.items() if "MLFLOW" not in key}
        environment |= {
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "OMP_NUM_THREADS": "1",
        }
        files = ["--serve-artifacts", "--artifacts-destination", str(self.folder / "files")]
        with open(self.folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "mlflow",
                    "server",
                    "--host",
                    "127.0.0.1",
                    "--port",
                    str(self.port),
                    "--workers",
                    "1",
                    "--backend-store-uri",
                    f"sqlite:///{self.folder}/server.db",
                    *(self.extra or files),
                ],
                cwd=self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((self.folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def stop(self) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """The server is there and answers nothing."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self._process.pid, signal.SIGCONT)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.uri}/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False
