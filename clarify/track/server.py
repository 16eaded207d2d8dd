"""The tracking store behind an MLflow server; files go through the server as well.

The server is asked one cheap question first, with a short limit: MLflow's client alone would try
for minutes.
"""

from __future__ import annotations

import tempfile
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.errors import AwayError, NotFoundError, StoreError
from clarify.track.address import Address
from clarify.track.artifacts import Artifact
from clarify.track.backend import Elsewhere, client_on, in_the_way, put, quieten
from clarify.track.deadline import OverdueError, within

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

__all__ = ["ServerBackend"]

ANSWER_SECONDS = 5
QUESTION = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=clarify"
NO_EXPERIMENT = "RESOURCE_DOES_NOT_EXIST"
AWAY = {408, 429, 500, 502, 503, 504}
"""What a server answers that cannot reach its own database, or is overloaded or starting."""


class ServerBackend(Elsewhere):
    """An MLflow server.

    Parameters
    ----------
    address : Address
        Of kind ``server``.
    """

    def __init__(self, address: Address) -> None:
        self.address = address

    def open(self, say: Callable[[str], None]) -> MlflowClient:
        """Check that it answers and fits, and return a client on it."""
        self.look()
        return client_on(self.address.uri)

    def reach(self, seconds: float) -> None:
        """Ask it for an experiment."""
        answer = self._asked(QUESTION)
        status = answer.status_code
        where = f"the tracking server {self.address.shown}"
        if status == 200 or (status == 404 and NO_EXPERIMENT in answer.text):
            return
        if status in AWAY:
            raise AwayError(
                f"{where} answers {status}: it starts, is overloaded, or cannot use its own "
                "database; look at its log, then run the same command again"
            )
        if status in {401, 403}:
            raise StoreError(
                f"{where} refuses with {status}; set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD, or let it serve this name: mlflow server "
                "--allowed-hosts"
            )
        raise StoreError(
            f"{where} answers {status}, as no MLflow server does; give its address in "
            "MLFLOW_TRACKING_URI, as http://HOST:PORT"
        )

    def look(self) -> str:
        """Say what is there: its version, which must be of the client's generation."""
        self.reach(ANSWER_SECONDS)
        import mlflow

        found = str(self._asked("/version").text).strip().strip('"')
        if found.split(".")[0] != mlflow.__version__.split(".")[0]:
            raise StoreError(
                f"the tracking server {self.address.shown} runs MLflow {found[:20]!r}, this is "
                f"{mlflow.__version__}; install one of the same first number"
            )
        return f"{self.address.shown}: MLflow {found}"

    def trouble(self, error: Exception) -> StoreError:
        """Say in one line what MLflow or the network raised."""
        said = self.address.hide(str(error))[:300] or type(error).__name__
        return StoreError(f"the tracking server {self.address.shown} refuses: {said}")

    def passing(self, error: Exception) -> bool:
        """Whether the network or the server failed rather than refused, or others were in the way."""
        code = getattr(error, "error_code", "")
        failed = isinstance(error, OSError) or code in {"INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"}
        return failed or in_the_way(error)

    def experiment_place(self, data_set: str) -> str | None:
        """Leave it to the server."""
        return None

    def write(self, run: mlflow.entities.Run, artifacts: Sequence[Artifact]) -> None:
        """Send a run's files."""
        with tempfile.TemporaryDirectory(prefix="clarify-") as name:
            put(artifacts, Path(name))
            self._send(run, Path(name), "")

    def read(self, run: mlflow.entities.Run, path: str) -> bytes:
        """Fetch a run's file."""
        from mlflow.exceptions import MlflowException

        run_id = run.info.run_id
        with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
            try:
                client = client_on(self.address.uri)
                return Path(client.download_artifacts(run_id, path, folder)).read_bytes()
            except (MlflowException, OSError) as error:
                self.reach(ANSWER_SECONDS)  # away is not the same as missing
                raise NotFoundError(
                    f"run {run_id[:8]}: its file {path} cannot be fetched from "
                    f"{self.address.shown} ({self.address.hide(str(error))[:200]}); restore it, "
                    "or make the run again"
                ) from None

    def files(self, run: mlflow.entities.Run) -> list[str]:
        """Ask for the paths of a run's files, folder by folder."""
        client, folders = client_on(self.address.uri), [""]
        found: list[str] = []
        while folders:
            for each in client.list_artifacts(run.info.run_id, folders.pop() or None):
                (folders if each.is_dir else found).append(each.path)
        return found

    def add_folder(self, run: mlflow.entities.Run, folder: Path) -> str:
        """Send a model's folder under a name of its own."""
        name = f"model-{uuid.uuid4().hex[:8]}"
        self._send(run, folder, name)
        return f"{run.info.artifact_uri}/{name}"

    def place(self, run: mlflow.entities.Run) -> str:
        """Return the run's page."""
        info = run.info
        return f"{self.address.shown}/#/experiments/{info.experiment_id}/runs/{info.run_id}"

    def relocate(self) -> int:
        """Change nothing: the server knows its places."""
        return 0

    def _send(self, run: mlflow.entities.Run, folder: Path, path: str) -> None:
        place = str(run.info.artifact_uri)
        if ":" not in place or place.startswith("file:"):
            raise StoreError(
                f"the tracking server {self.address.shown} keeps files in a folder of its own, "
                f"{place}, and takes none; start it with --serve-artifacts and "
                "--artifacts-destination, and a new data set name"
            )
        client_on(self.address.uri).log_artifacts(run.info.run_id, str(folder), path or None)

    def _asked(self, question: str) -> Any:
        quieten()
        from mlflow.exceptions import MlflowException
        from mlflow.utils.credentials import get_default_host_creds
        from mlflow.utils.rest_utils import http_request

        def ask() -> Any:
            return http_request(  # type: ignore[no-untyped-call]
                get_default_host_creds(self.address.uri),  # type: ignore[no-untyped-call]
                question,
                "GET",
                max_retries=0,
                timeout=ANSWER_SECONDS,
                raise_on_status=False,
            )

        try:
            return within(2 * ANSWER_SECONDS, ask)
        except (MlflowException, OSError, OverdueError) as error:
            raise AwayError(
                f"the tracking server {self.address.shown} cannot be reached "
                f"({_reason(str(error))}); start it or mend the network, then run the same command "
                "again"
            ) from None


def _reason(said: str) -> str:
    """Return why nothing answered, in the few words that people know."""
    known = {
        "refused": "connection refused",
        "overdue": f"it began to answer, and was not done within {2 * ANSWER_SECONDS} s",
        "timed out": f"no answer within {ANSWER_SECONDS} s",
        "resolve": "its name is not known",
        "No route": "no route to it",
        "CERTIFICATE": "its certificate is not trusted",
        "SSL": "it does not speak https",
    }
    return next((words for sign, words in known.items() if sign in said), "connection lost")
