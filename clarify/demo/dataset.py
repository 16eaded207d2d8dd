"""What a demonstration data set is: rows decided by a seed, and their pictures on disk."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from clarify.demo.scenes import Scene, render
from clarify.demo.shapes import seeded
from clarify.errors import InputError, StoreError

_SHARE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoRow:
    """One picture of a data set: what it is called, what is true of it, how it is drawn.

    ``path`` is relative to the image folder; ``attributes`` holds the annotated attributes,
    which are for reporting and never for training.
    """

    id: str
    path: str
    label: str
    split: str
    attributes: Mapping[str, str]
    scene: Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoGroup:
    """How many pictures of one class and attribute value a split holds."""

    split: str
    label: str
    attributes: Mapping[str, str]
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoDataset:
    """A data set of rendered scenes, wholly decided by its definition and a seed."""

    name: str
    title: str
    licence: str
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    size_px: int
    groups: tuple[DemoGroup, ...]
    compose: Callable[[DemoGroup, np.random.Generator], Scene]

    def __post_init__(self) -> None:
        for group in self.groups:
            known = group.label in self.classes and group.split in self.splits
            legal = all(group.attributes.get(k) in v for k, v in self.attributes.items())
            if not known or not legal or group.count < 1:
                raise InputError(
                    f"data set {self.name!r}: group {group.split}/{group.label}/"
                    f"{dict(group.attributes)} x {group.count} does not fit its classes, splits "
                    "and attributes; correct the definition"
                )

    def rows(self, seed: int) -> list[DemoRow]:
        """Return all rows, split after split, groups shuffled within a split.

        The rows depend on the data set and ``seed`` alone.
        """
        return [row for split in self.splits for row in self._split_rows(split, seed)]

    def _split_rows(self, split: str, seed: int) -> Iterator[DemoRow]:
        members = [g for g in self.groups if g.split == split for _ in range(g.count)]
        order = seeded(f"{self.name} order of {split}", seed).permutation(len(members))
        for number, k in enumerate(order.tolist(), start=1):
            group = members[k]
            rng = seeded(f"{self.name} {split}", seed, number)
            yield DemoRow(
                id=f"{split}-{number:06d}",
                path=f"{split}/{number:06d}.png",
                label=group.label,
                split=split,
                attributes=group.attributes,
                scene=self.compose(group, rng),
            )


def group_table(attribute: str, counts: Mapping[str, Mapping[tuple[str, str], int]]) -> tuple[DemoGroup, ...]:
    """Return the groups of a table split -> (class, attribute value) -> count."""
    return tuple(
        DemoGroup(split=split, label=label, attributes=MappingProxyType({attribute: value}), count=count)
        for split, table in counts.items()
        for (label, value), count in table.items()
    )


_Job = tuple[Path, Scene, int]
"""A picture to draw: its file, its scene, its side; all of it fit for another process."""


def _write_png(target: Path, scene: Scene, size_px: int) -> None:
    """Draw one scene and put its PNG in place whole or not at all."""
    from PIL import Image

    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            Image.fromarray(render(scene, size_px)).save(file, "PNG", compress_level=1)
        part.replace(target)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def _write_share(jobs: Sequence[_Job]) -> int:
    for target, scene, size_px in jobs:
        _write_png(target, scene, size_px)
    return len(jobs)


def write_images(
    dataset: DemoDataset,
    rows: Sequence[DemoRow],
    folder: Path,
    *,
    workers: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the missing pictures of some rows as PNG files under ``folder``.

    Parameters
    ----------
    dataset
        The data set the rows belong to.
    rows
        Rows of ``dataset.rows(seed)``.
    folder
        The image folder; made when missing.
    workers
        Processes that draw, 1 or more; 1 draws in this process.
    progress
        Called with (files there, files wanted), first before anything is drawn.

    Raises
    ------
    InputError
        When ``workers`` is under 1.
    StoreError
        When the folder cannot be written; files written before stay and are whole.
    """
    if workers < 1:
        raise InputError(f"images of {dataset.name!r}: workers is {workers}; legal: 1 or more; use 1 or 2")
    report = progress or (lambda done, total: None)
    try:
        for parent in sorted({(folder / row.path).parent for row in rows}):
            parent.mkdir(parents=True, exist_ok=True)
        files = [(folder / row.path, row.scene, dataset.size_px) for row in rows]
        missing = [job for job in files if not job[0].exists()]
        done = len(rows) - len(missing)
        report(done, len(rows))
        for written in _drawn(missing, workers):
            done += written
            report(done, len(rows))
    except OSError as error:
        raise StoreError(
            f"images of {dataset.name!r}: cannot write under {folder} "
            f"({error.strerror or error}); free space or choose another folder, then run "
            "again: what is there is kept"
        ) from error


def _drawn(jobs: Sequence[_Job], workers: int) -> Iterator[int]:
    """Draw the jobs share by share, in processes when it pays; yield how many were drawn."""
    shares = [jobs[k : k + _SHARE] for k in range(0, len(jobs), _SHARE)]
    if workers == 1 or len(shares) < 4:
        yield from map(_write_share, shares)
        return
    # spawn: forking a process with threads (a server, torch) may deadlock
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        waiting = [pool.submit(_write_share, share) for share in shares]
        try:
            for job in as_completed(waiting):
                yield job.result()
        finally:
            pool.shutdown(cancel_futures=True)
