"""Runs whole, as plain values: what a bundle carries of each beside its files, to another store."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING, Any, get_args

from clarify.errors import is_name, shown
from clarify.track.outbox import Entry
from clarify.track.record import TAGS, Kind, RunRecord
from clarify.track.runs import read_run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clarify.track.artifacts import Artifact
    from clarify.track.mlflow import TrackingStore
    from clarify.track.record import DatasetRef
    from clarify.track.run import StoredRun

__all__ = ["known_runs", "order_of", "record_of", "run_values", "runs_to_carry"]

RUN_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
RUN_KEYS = {"id", "kind", "name", "params", "metrics", "tags", "started", "files"}


def runs_to_carry(store: TrackingStore, data_set: str, manifest: str) -> list[StoredRun]:
    """Return the runs of a manifest, first those that others stand on."""
    found = (run for kind in get_args(Kind) for run in store.stored(data_set, kind=kind))
    return [run for run in found if run.tags["manifest"] == manifest]


def known_runs(store: TrackingStore, data_set: str) -> dict[str, str]:
    """Return by the id that each run had in the store that it was first written to, its own."""
    return {run.origin: run.id for kind in get_args(Kind) for run in store.stored(data_set, kind=kind)}


def run_values(run: StoredRun, files: Sequence[str], origins: Mapping[str, str]) -> dict[str, Any]:
    """Return a run as plain values, by its first id, and its parent by `origins`."""
    values = {name: value for name, value in dataclasses.asdict(run).items() if name in RUN_KEYS}
    values |= {"id": run.origin, "files": list(files)}
    parent = run.tags["parent"]
    values["tags"] = {**run.tags, "parent": origins.get(parent, parent)}
    return values


def order_of(values: Mapping[str, Any]) -> tuple[int, int]:
    """Return what to sort runs by: first those that others stand on, the oldest first.

    Raises
    ------
    ValueError, KeyError, TypeError
        If they are no run as `run_values` writes it; the message is for people.
    """
    if set(values) != RUN_KEYS or not RUN_ID.fullmatch(values["id"]):
        raise ValueError("it has other keys, or another id")
    if not all(isinstance(values[name], dict) for name in ("params", "metrics", "tags")):
        raise ValueError("its params, metrics or tags are no objects")
    reviewer = values["tags"].get("reviewer", "unknown")
    if not is_name(reviewer):
        raise ValueError(f"its reviewer is {shown(reviewer)}")
    return get_args(Kind).index(values["kind"]), int(values["started"])


def record_of(
    values: Mapping[str, Any],
    dataset: DatasetRef,
    *,
    artifacts: tuple[Artifact, ...] = (),
    known: Mapping[str, str] | None = None,
) -> RunRecord:
    """Return the record that `run_values` was made from, for this store.

    Parameters
    ----------
    dataset : DatasetRef
        What it must be of.
    known : mapping of str to str, optional
        Of the runs that are here, their ids by those they had first; its parent is among them.

    Raises
    ------
    ValueError, KeyError, TypeError, InputError, StoreError
        If the values are not legal, or of another data set.
    """
    tags = {name: str(values["tags"].get(name, "")) for name in TAGS}
    if (tags["data_set"], tags["manifest"]) != (dataset.name, dataset.digest):
        raise ValueError("it is of another data set")
    parent = (known or {}).get(tags["parent"], tags["parent"])
    record = RunRecord(
        kind=values["kind"],
        name=str(values["name"]),
        params={str(name): str(value) for name, value in values["params"].items()},
        metrics={str(name): float(value) for name, value in values["metrics"].items()},
        tags=tags | {"original": values["id"], "parent": parent},
        artifacts=artifacts,
        dataset=dataset,
    )
    # One that cannot be listed would be in the way of all others once it is here.
    entry = Entry(delivery=values["id"], store="", at=int(values["started"]), record=record)
    read_run(dataclasses.replace(entry.as_run(), id=values["id"]))
    return record
