"""Look over an installation and a home: what is there, what is wrong, what to do about it."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Literal

from clarify.data.captions import kept_captions
from clarify.data.manifest import find_manifests, read_manifest
from clarify.embed.packages import EXTRA, NETWORKS, SENTENCES
from clarify.errors import AwayError, ClarifyError, InputError, StoreError, shown
from clarify.track.mlflow import TrackingStore
from clarify.track.registry import uncrowned, without_champion
from clarify.track.run import experiment_of, without_files
from clarify.workflow.home.probe import SECONDS, UNSEALED, finish_probe, start_probe
from clarify.workflow.home.settling import Settled

__all__ = ["Finding", "examine"]

State = Literal["ok", "note", "wrong"]
PACKAGES = ("torch", "torchvision", "timm", "open_clip_torch", "mlflow", "streamlit", "polars", "plotly")
GIGABYTE = 1e9
LITTLE_ROOM, NO_ROOM = 5 * GIGABYTE, 0.5 * GIGABYTE
IMAGES = re.compile(r"[\d,]+ images")


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Parameters
    ----------
    state : {"ok", "note", "wrong"}
        Fine; worth knowing; in the way of work.
    remedy : str
        What to do; empty where nothing is to be done.
    """

    what: str
    state: State
    seen: str
    remedy: str = ""


def examine(
    home: Path, *, named: Settled, usual: str, open_store: Callable[[], TrackingStore], deep: bool = False
) -> tuple[Finding, ...]:
    """Look at everything, changing and downloading nothing.

    Parameters
    ----------
    named : Settled
        What a flag or the environment named; else each data set's own is looked at.
    usual : str
        The encoder of ``clarify.toml``.
    open_store : callable
        Builds the tracking store's adapter.
    deep : bool
        Hash all features: they are read whole.
    """
    probe = start_probe(home, named, usual=usual, deep=deep)  # looks while a store that is away is waited for
    found = [*_versions(), *_photos(), *_home(home), *_tracking(home, open_store), _disk(home)]
    return (*found, *_probed(home, finish_probe(probe, seconds=None if deep else SECONDS)))


def _versions() -> Iterator[Finding]:
    yield Finding("Python", "ok", platform.python_version())
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "wrong", "not installed", f"pip install {name}")


def _photos() -> Iterator[Finding]:
    """Look at what the extra ``photos`` brings."""
    for package in (*NETWORKS.values(), SENTENCES):
        try:
            place = package.place()
        except InputError as error:
            yield _wrong(package.name, error)
            continue
        if place is None:
            yield Finding(package.name, "note", "not installed", f"words for photographs need it: {EXTRA}")
        else:
            yield Finding(package.name, "ok", f"whole, in {place}")


def _home(home: Path) -> Iterator[Finding]:
    if home.is_dir() and os.access(home, os.W_OK | os.X_OK):
        yield Finding("home", "ok", str(home))
    elif home.exists():
        yield Finding(
            "home", "wrong", f"{home} cannot be written", "mend its permissions, or choose another --home"
        )
    else:
        yield Finding("home", "note", f"{home} is not there yet", "the first command that writes makes it")


def _tracking(home: Path, open_store: Callable[[], TrackingStore]) -> Iterator[Finding]:
    try:
        store = open_store()
    except ClarifyError as error:
        yield _wrong("tracking store", error)
        return
    try:
        yield Finding("tracking store", "ok", store.look())
        yield from _changed_by_hand(home, store)
    except AwayError as error:
        # A file that is locked for a moment is somebody at work.
        state: State = "wrong" if store.backend.remote else "note"
        yield dataclasses.replace(_wrong("tracking store", error), state=state)
    except StoreError as error:
        yield _wrong("tracking store", error)
    yield from _outbox(store)


def _changed_by_hand(home: Path, store: TrackingStore) -> Iterator[Finding]:
    """Look for what people took away: a data set's experiment, the champion's alias, runs' files."""
    with contextlib.suppress(ClarifyError):  # what is wrong with the manifests is told below
        for name in find_manifests(home):
            yield from _missing(store, name)


def _missing(store: TrackingStore, name: str) -> Iterator[Finding]:
    try:
        store.peek(lambda client: experiment_of(client, store.backend, name))
        lost = store.peek(lambda client: uncrowned(client, store.backend, name))
        gone = store.peek(lambda client: without_files(client, store.backend, name))
    except StoreError as error:
        yield _wrong(f"runs of {name}", error)
    else:
        if lost:
            yield _wrong(f"champion of {name}", without_champion(name, lost))
        if gone:
            yield Finding(
                f"files of {name}",
                "wrong",
                f"of {len(gone):,} runs the folder is gone, first {shown(gone[0])}",
                "restore mlruns/artifacts from a copy, or make the runs again, from: clarify train " + name,
            )


def _outbox(store: TrackingStore) -> Iterator[Finding]:
    waiting, damaged = store.outbox.waiting(), store.outbox.damaged()
    if not waiting and not damaged:
        yield Finding("outbox", "ok", "nothing waits")
    if waiting:
        since = datetime.fromtimestamp(waiting[0].at / 1000, UTC).isoformat(timespec="seconds")
        elsewhere = sum(entry.store != store.meant_for for entry in waiting)
        remedy = "the next command that reaches the tracking store delivers them"
        if elsewhere:
            names = sorted({entry.store or "the home's own" for entry in waiting})
            remedy += f"; {elsewhere} wait for another store, of: {', '.join(names)}"
        seen = f"{len(waiting)} descriptions wait, the oldest since {since}"
        yield Finding("outbox", "note", seen, remedy)
    if damaged:
        yield Finding(
            "outbox, damaged",
            "wrong",
            f"{len(damaged)} entries cannot be read: {', '.join(map(str, damaged[:3]))}",
            "look at record.json in each, describe again, then remove the folder",
        )


def _disk(home: Path) -> Finding:
    place = next(each for each in (home, *home.parents) if each.exists())
    free = shutil.disk_usage(place).free
    seen = f"{free / GIGABYTE:,.1f} GB free at {place}"
    if free >= LITTLE_ROOM:
        return Finding("disk", "ok", seen)
    state: State = "note" if free >= NO_ROOM else "wrong"
    return Finding("disk", state, seen, "make room")


def _probed(home: Path, probed: dict[str, Any]) -> Iterator[Finding]:
    cores = len(os.sched_getaffinity(0))
    if "failed" in probed:
        yield Finding(
            "devices and encoder", probed["state"], f"{cores} CPU cores; {probed['failed']}", probed["remedy"]
        )
    else:
        graphics = ", ".join(probed["devices"]) or "no CUDA device"
        yield Finding("devices", "ok", f"{cores} CPU cores, {graphics}")
        for each in probed["parts"]:
            if each["wrong"]:
                yield _wrong(each["what"], each["wrong"])
            else:
                yield Finding(each["what"], "ok", each["seen"])
    yield from _data_sets(home, probed.get("features", {}))


def _data_sets(home: Path, features: dict[str, dict[str, str]]) -> Iterator[Finding]:
    try:
        places = find_manifests(home)
    except ClarifyError as error:
        yield _wrong("data sets", error)
        return
    if not places:
        yield Finding(
            "data sets",
            "note",
            f"none in {home / 'data_manifests'}",
            "run: clarify demo, or: clarify data --help",
        )
    for name, place in places.items():
        try:
            manifest = read_manifest(place)
        except ClarifyError as error:
            yield _wrong(f"data set {name}", error)
            continue
        yield Finding(f"data set {name}", "ok", f"{manifest.table.height:,} rows in {place}")
        try:
            captioned = len(kept_captions(home, name))
        except ClarifyError as error:
            yield _wrong(f"captions of {name}", error)
        else:
            if captioned:
                yield Finding(f"captions of {name}", "ok", f"of {captioned:,} images")
        for spec, seen in features.get(name, {}).items():
            yield _features(name, spec, seen)


def _features(name: str, spec: str, seen: str) -> Finding:
    what = f"features of {name}"
    if IMAGES.fullmatch(seen):
        return Finding(what, "ok", f"{seen}, by {spec}")
    if IMAGES.fullmatch(seen.removesuffix(UNSEALED)):
        remedy = f"damage to them would not be seen; run: clarify embed {name}, which hashes them as they are"
        return Finding(what, "note", f"{seen}, by {spec}", remedy)
    if seen == "none":
        by = f"none by {spec}" if spec else "none, and no encoder of its own yet"
        return Finding(what, "note", by, f"run: clarify embed {name}")
    return _wrong(what, seen)


def _wrong(what: str, error: ClarifyError | str) -> Finding:
    """Cut a refusal where its next step begins."""
    seen, _, remedy = str(error).partition("; ")
    return Finding(what, "wrong", seen, remedy)
