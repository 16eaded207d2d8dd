"""A run as MLflow has it: written whole and once, listed when it is complete."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from clarify.errors import StoreError
from clarify.track.backend import LocalFiles
from clarify.track.pages import EXPERIMENT_KIND, experiment_tags, run_tags
from clarify.track.record import TAGS, RunRecord

if TYPE_CHECKING:
    import mlflow.entities
    from mlflow import MlflowClient

    from clarify.track.backends import Backend

__all__ = [
    "DELIVERY",
    "PREFIX",
    "WAITING",
    "StoredRun",
    "after_newest",
    "begin",
    "completed",
    "end_abandoned",
    "experiment_of",
    "log_step",
    "paged",
    "search",
    "without_files",
    "write_once",
]

PREFIX = "clarify."
STATUS = "clarify.status"
DELIVERY = "clarify.delivery"
"""Tag that is equal for every attempt to write a record."""

WAITING = "waiting-"
"""Begins the id of a run that was not delivered yet; its delivery id follows."""

PROCESS = "clarify.process"
"""Tag of who writes a run, ``HOST/NAMESPACE:PID``: tells what a killed process left from what goes on."""

COMPLETED = "completed"
PAGE = 1000
BATCH = 100
NEWEST_FIRST = ["attributes.start_time DESC"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """A completed run as MLflow has it, or one that waits in the outbox; see `runs.py` for others' eyes.

    Parameters
    ----------
    started, changed : int
        When it began, and when it or one of its tags was written last: milliseconds since 1970.
    delivery : str
        What made it unique when it was written; empty of old ones.
    """

    id: str
    kind: str
    name: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    started: int
    changed: int = 0
    delivery: str = ""

    @property
    def origin(self) -> str:
        """Return the id that it had in the store that it was first written to."""
        return self.tags.get("original") or self.id


def write_once(
    client: MlflowClient, backend: Backend, record: RunRecord, delivery: str, *, at: int, first: bool
) -> str:
    """Write a run whole unless it is there already, and return its id.

    Parameters
    ----------
    client, backend
        The store, open.
    delivery : str
        Equal for every attempt.
    at : int
        When it began, milliseconds since 1970.
    first : bool
        Whether nobody can have tried before, so that nothing needs to be looked for.
    """
    experiment = _experiment(client, backend, record.tags["data_set"])
    if not first:
        done = None
        for run in list(_runs(client, experiment, f"tags.`{DELIVERY}` = '{delivery}'")):
            if run.data.tags.get(STATUS) == COMPLETED and done is None:
                done = run
            else:
                client.delete_run(run.info.run_id)
        if done is not None:
            client.set_terminated(done.info.run_id)  # the attempt may have ended just before
            return str(done.info.run_id)
    return _write(client, backend, record, experiment, delivery, at)


def search(
    client: MlflowClient, backend: Backend, data_set: str, kind: str | None = None, *, since: int = 0
) -> Iterator[StoredRun]:
    """Yield completed runs, newest first: of a kind or of all, those changed since then (ms since 1970)."""
    known = experiment_of(client, backend, data_set)
    if known is None:
        return
    asked = f"tags.`{STATUS}` = '{COMPLETED}'"
    if kind is not None:
        asked += f" AND tags.`{PREFIX}kind` = '{kind}'"
    if since > 0:
        asked += f" AND attributes.end_time >= {since}"
    for run in _runs(client, known.experiment_id, asked):
        yield StoredRun(
            id=run.info.run_id,
            kind=run.data.tags.get(PREFIX + "kind", ""),
            name=run.info.run_name or "",
            params=dict(run.data.params),
            metrics=dict(run.data.metrics),
            tags={name: run.data.tags.get(PREFIX + name, "") for name in TAGS},
            started=run.info.start_time,
            changed=run.info.end_time or 0,  # a writer that was killed at its end leaves none
            delivery=run.data.tags.get(DELIVERY, ""),
        )


def after_newest(client: MlflowClient, backend: Backend, data_set: str, at: int) -> int:
    """Return when a run is to begin: at `at`, or after the newest (which counts) if a clock went back."""
    known = experiment_of(client, backend, data_set)
    if known is None:
        return at
    newest = client.search_runs([known.experiment_id], max_results=1, order_by=NEWEST_FIRST)
    return max([at, *(int(run.info.start_time) + 1 for run in newest)])


def without_files(client: MlflowClient, backend: Backend, data_set: str) -> list[str]:
    """Return the names of completed runs whose files should lie on this machine, and whose folder is gone."""
    known = client.get_experiment_by_name(_name(data_set))
    if known is None or not isinstance(backend, LocalFiles):
        return []
    runs = _runs(client, known.experiment_id, f"tags.`{STATUS}` = '{COMPLETED}'")
    return [run.info.run_name or run.info.run_id for run in runs if not backend.folder(run).is_dir()]


def completed(client: MlflowClient, delivery: str) -> str | None:
    """Return the id of the run that a delivery became, in whatever experiment."""
    asked = f"tags.`{DELIVERY}` = '{delivery}' AND tags.`{STATUS}` = '{COMPLETED}'"
    for experiment in client.search_experiments(filter_string="name LIKE 'clarify/%'"):
        for run in _runs(client, experiment.experiment_id, asked):
            return str(run.info.run_id)
    return None


def _runs(client: MlflowClient, experiment: str, asked: str) -> Iterator[mlflow.entities.Run]:
    return paged(
        lambda token: client.search_runs(
            [experiment], asked, max_results=PAGE, page_token=token, order_by=NEWEST_FIRST
        )
    )


def paged(ask: Callable[[str | None], Any]) -> Iterator[Any]:
    """Yield what MLflow answers page by page; `ask` gets the token of a page, None of the first."""
    token = None
    while True:
        page = ask(token)
        yield from page
        token = page.token
        if not token:
            return


def _name(data_set: str) -> str:
    return f"clarify/{data_set}"


def experiment_of(client: MlflowClient, backend: Backend, data_set: str) -> mlflow.entities.Experiment | None:
    """Return the experiment that holds a data set's runs; None before the first run.

    Raises
    ------
    StoreError
        If somebody deleted it in MLflow, which keeps it, and its name, in a trash.
    """
    found = client.get_experiment_by_name(_name(data_set))
    if found is not None and found.lifecycle_stage != "active":
        raise StoreError(
            f"the experiment {found.name} of {backend.address.shown} was deleted in MLflow and lies in its "
            f"trash, with every run of {data_set}; take it out: MLFLOW_TRACKING_URI={backend.address.shown} "
            f"mlflow experiments restore -x {found.experiment_id}"
        )
    return found


def _experiment(client: MlflowClient, backend: Backend, data_set: str) -> str:
    from mlflow.exceptions import MlflowException

    known = experiment_of(client, backend, data_set)
    if known is None:
        place = backend.experiment_place(data_set)
        try:
            made = client.create_experiment(_name(data_set), artifact_location=place)
            known = client.get_experiment(made)
        except MlflowException:  # another process may have been faster
            known = experiment_of(client, backend, data_set)
            if known is None:
                raise
    found = str(known.experiment_id)
    if EXPERIMENT_KIND not in known.tags:  # it is new, or of an older version; the kind is set last
        for name, value in experiment_tags(data_set, found).items():
            if name not in known.tags:  # what people wrote stays
                client.set_experiment_tag(found, name, value)
    return found


def begin(client: MlflowClient, backend: Backend, tags: Mapping[str, str], name: str, delivery: str) -> str:
    """Begin a run that is not complete, in place of what an earlier attempt left; returns its id.

    It is listed by nobody but MLflow, and gone once the delivery is written whole.
    """
    experiment = _experiment(client, backend, tags["data_set"])
    for run in list(_runs(client, experiment, f"tags.`{DELIVERY}` = '{delivery}'")):
        if run.data.tags.get(STATUS) != COMPLETED:
            client.delete_run(run.info.run_id)
    return str(_create(client, experiment, tags, name, delivery, now()).info.run_id)


def end_abandoned(client: MlflowClient) -> int:
    """End the runs that killed processes of this machine left running; return how many.

    What was written whole is marked so, the rest is removed: whoever does the same again writes it anew.
    """
    ended = 0
    for experiment in client.search_experiments(filter_string=f"name LIKE '{_name('%')}'"):
        for run in list(_runs(client, experiment.experiment_id, "attributes.status = 'RUNNING'")):
            host, _, process = run.data.tags.get(PROCESS, "").rpartition(":")
            if host != _machine() or not process.isdecimal() or _lives(int(process)):
                continue
            whole = run.data.tags.get(STATUS) == COMPLETED
            client.set_terminated(run.info.run_id, status="FINISHED" if whole else "KILLED")
            if not whole:
                client.delete_run(run.info.run_id)
            ended += 1
    return ended


def _machine() -> str:
    """Return where numbers of processes mean the same: two containers may share the name of a host."""
    with contextlib.suppress(OSError):
        return f"{socket.gethostname()}/{os.stat('/proc/self/ns/pid').st_ino}"
    return socket.gethostname()


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    return True


def log_step(client: MlflowClient, run_id: str, step: int, values: Mapping[str, float]) -> None:
    """Log metrics at a step."""
    from mlflow.entities import Metric

    at = now()
    client.log_batch(run_id, metrics=[Metric(key, value, at, step) for key, value in values.items()])


def _create(
    client: MlflowClient, experiment: str, tags: Mapping[str, str], name: str, delivery: str, at: int
) -> mlflow.entities.Run:
    return client.create_run(
        experiment,
        start_time=at,
        run_name=name,
        tags={
            **{PREFIX + key: value for key, value in tags.items()},
            STATUS: "started",
            DELIVERY: delivery,
            PROCESS: f"{_machine()}:{os.getpid()}",
            "mlflow.user": tags["reviewer"],
            "mlflow.source.name": "clarify",
        },
    )


def _write(
    client: MlflowClient, backend: Backend, record: RunRecord, experiment: str, delivery: str, at: int
) -> str:
    run = _create(client, experiment, record.tags, record.name, delivery, at)
    run_id = str(run.info.run_id)
    try:
        _log_values(client, run_id, experiment, record, at)
        backend.write(run, record.artifacts)
        _log_dataset(client, run_id, record)
        client.set_tag(run_id, STATUS, COMPLETED)
        client.set_terminated(run_id)
    except BaseException:
        # What stopped it is raised below; a second failure must not hide it.
        with contextlib.suppress(Exception):
            client.set_terminated(run_id, status="FAILED")
        raise
    return run_id


def _log_values(client: MlflowClient, run_id: str, experiment: str, record: RunRecord, at: int) -> None:
    from mlflow.entities import Metric, Param, RunTag

    tags = [RunTag(key, value) for key, value in run_tags(record, run_id, experiment).items()]
    params = [Param(key, str(value)) for key, value in record.params.items()]
    metrics = [Metric(key, value, at, 0) for key, value in record.metrics.items()]
    metrics += [
        Metric(key, value, at, step) for step, values in record.history for key, value in values.items()
    ]
    client.log_batch(run_id, params=params[: BATCH - len(tags)], metrics=metrics[: PAGE - BATCH], tags=tags)
    for start in range(BATCH - len(tags), len(params), BATCH):
        client.log_batch(run_id, params=params[start : start + BATCH])
    for start in range(PAGE - BATCH, len(metrics), PAGE):
        client.log_batch(run_id, metrics=metrics[start : start + PAGE])


def _log_dataset(client: MlflowClient, run_id: str, record: RunRecord) -> None:
    from mlflow.data.code_dataset_source import CodeDatasetSource
    from mlflow.data.polars_dataset import from_polars
    from mlflow.entities import DatasetInput, InputTag

    ref = record.dataset
    # Given a path, MLflow looks for what it could be, and warns that it found several things.
    source = CodeDatasetSource(tags={"mlflow.source.name": ref.source})
    found = from_polars(ref.table, source=source, name=ref.name, digest=ref.digest[:12])
    tag = InputTag(key="mlflow.data.context", value=record.kind)
    client.log_inputs(run_id, [DatasetInput(dataset=found._to_mlflow_entity(), tags=[tag])])


def now() -> int:
    """Return the time in milliseconds since 1970, as MLflow counts it."""
    return int(time.time() * 1000)
