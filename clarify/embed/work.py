"""The images of missing shards, and what embeds them: an engine, of which `here` is the usual one.

An engine is given work and yields finished shards in any order; who asked it writes them. It may run
anywhere, as what it needs to know of the data set is small: a root, ids and paths.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import itertools
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clarify.data.images import BadImage, load_image
from clarify.embed.reuse import Known
from clarify.embed.shards import BadRow, ShardLayout
from clarify.errors import FeatureError

if TYPE_CHECKING:
    import polars as pl
    import torch
    from numpy.typing import NDArray

    from clarify.embed.encoders import ImageEncoder

__all__ = [
    "Batch",
    "ImageRows",
    "MadeShard",
    "ShardEngine",
    "ShardWork",
    "bad_rows",
    "embedded",
    "here",
    "input_of",
]

PREFETCHED = 2  # batches decoded ahead of the encoder
DECODED_AT_ONCE = 8  # images in one task of a decoding thread
POLITENESS = 5  # how much decoding stands back behind the encoder's own threads


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageRows:
    """Where the images of some rows of a manifest's table are.

    Parameters
    ----------
    ids, paths : Series of str, (M,)
    first : int
        Row of the table that they begin with.
    """

    root: Path
    ids: pl.Series
    paths: pl.Series
    first: int = 0

    def of(self, rows: range) -> ImageRows:
        """Return those of some rows: small enough to be sent away."""
        part = slice(rows.start - self.first, rows.stop - self.first)
        return ImageRows(root=self.root, ids=self.ids[part], paths=self.paths[part], first=rows.start)

    def path(self, row: int) -> str:
        """Return a row's path below the root."""
        return str(self.paths[row - self.first])

    def bad(self, row: int, reason: str) -> BadRow:
        """Say that a row's image has no features."""
        return BadRow(row=row, id=self.ids[row - self.first], path=self.path(row), reason=reason)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MadeShard:
    """A shard: features (M, D) of its rows in the plan's dtype, zeros where bad."""

    shard: int
    features: NDArray[Any]
    bad: list[BadRow]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ShardWork:
    """What is to be embedded, and by what.

    Parameters
    ----------
    known : Known
        Features that are taken from elsewhere.
    workers : int
        Threads, or processes, that share the work.
    """

    plan: ShardLayout
    images: ImageRows
    encoder: ImageEncoder
    known: Known
    workers: int

    def batches_of(self, shard: int) -> list[list[int]]:
        """Return the rows of a shard that are to be embedded, a batch at a time."""
        missing, size = self.known.missing(self.plan.rows_of(shard)), self.plan.batch_size
        return [missing[at : at + size] for at in range(0, len(missing), size)]

    def begun(self, shard: int) -> NDArray[Any]:
        """Return the features of a shard, as far as they are known already."""
        rows = self.plan.rows_of(shard)
        features = np.zeros((len(rows), self.plan.width), dtype=self.plan.dtype)
        self.known.fill(features, rows)
        return features


class ShardEngine(Protocol):
    """Embeds shards."""

    def __call__(
        self, work: ShardWork, todo: Sequence[int], tell: Callable[[int, int], None]
    ) -> Generator[MadeShard, None, None]:
        """Yield each shard of `todo` once.

        Parameters
        ----------
        tell : callable
            Told how many images of shards that were not yielded yet are done, and how many of them are bad.
        """


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """ImageRows that go through the encoder together."""

    rows: Sequence[int]
    inputs: list[torch.Tensor | BadImage]


def here(
    work: ShardWork, todo: Sequence[int], tell: Callable[[int, int], None]
) -> Generator[MadeShard, None, None]:
    """Embed shards in this process, one after the other, with threads that decode ahead."""
    every = (batch for shard in todo for batch in work.batches_of(shard))
    with contextlib.closing(_decoded(every, work)) as batches:
        for shard in todo:
            rows, features = work.plan.rows_of(shard), work.begun(shard)
            bad: list[BadRow] = []
            own = work.batches_of(shard)
            done = len(rows) - sum(map(len, own))
            for batch in itertools.islice(batches, len(own)):
                features[np.array(batch.rows) - rows.start] = embedded(
                    batch, work.plan, work.encoder, work.images
                )
                bad += bad_rows(batch, work.images)
                done += len(batch.rows)
                tell(done, len(bad))
            yield MadeShard(shard=shard, features=features, bad=bad)


def embedded(batch: Batch, plan: ShardLayout, encoder: ImageEncoder, images: ImageRows) -> NDArray[Any]:
    """Embed a batch in the plan's dtype; rows of unreadable images are zeros, and do not change its size.

    Raises
    ------
    FeatureError
        If the encoder gives another shape, or values that are not finite.
    """
    import torch

    width = plan.width
    good = [entry for entry in batch.inputs if not isinstance(entry, BadImage)]
    if not good:
        return np.zeros((len(batch.rows), width), dtype=plan.dtype)
    blank = torch.zeros_like(good[0])
    stacked = torch.stack([blank if isinstance(entry, BadImage) else entry for entry in batch.inputs])
    embeddings = encoder.encode_images(stacked)
    if embeddings.shape != (len(batch.rows), width):
        raise FeatureError(
            f"encoder {encoder.name} gave embeddings of shape {embeddings.shape} for "
            f"{len(batch.rows)} images; its width is {width}"
        )
    bad = np.array([isinstance(entry, BadImage) for entry in batch.inputs])
    with np.errstate(over="ignore"):  # beyond float16: seen as what it becomes
        kept = np.where(bad[:, None], np.float32(0), embeddings).astype(plan.dtype)
    wrong = ~np.isfinite(kept).all(axis=1)
    if wrong.any():
        row = images.bad(batch.rows[int(np.argmax(wrong))], "not finite")
        raise FeatureError(
            f"encoder {encoder.name} gives values that are not finite for image {row.id!r} (row "
            f"{row.row + 1}, {row.path}); check its weights, or take the image out of the table"
        )
    return kept


def bad_rows(batch: Batch, images: ImageRows) -> list[BadRow]:
    """Return the images of a batch that could not be read."""
    return [
        images.bad(row, entry.reason)
        for row, entry in zip(batch.rows, batch.inputs, strict=True)
        if isinstance(entry, BadImage)
    ]


def input_of(row: int, images: ImageRows, encoder: ImageEncoder) -> torch.Tensor | BadImage:
    """Return what the encoder takes of an image."""
    try:
        return encoder.preprocess(load_image(images.root / images.path(row), inside=images.root))
    except BadImage as bad:
        return bad


def _decoded(batches: Iterator[Sequence[int]], work: ShardWork) -> Generator[Batch, None, None]:
    """Decode batches in threads, a few ahead of the one that is asked for."""

    def decode(rows: Sequence[int]) -> list[torch.Tensor | BadImage]:
        return [input_of(row, work.images, work.encoder) for row in rows]

    waiting: collections.deque[tuple[Sequence[int], list[Future[list[torch.Tensor | BadImage]]]]]
    waiting = collections.deque()
    with ThreadPoolExecutor(work.workers, "decode", initializer=_stand_back) as pool:
        try:
            while True:
                for rows in itertools.islice(batches, 1 + PREFETCHED - len(waiting)):
                    starts = range(0, len(rows), DECODED_AT_ONCE)
                    parts = [rows[at : at + DECODED_AT_ONCE] for at in starts]
                    waiting.append((rows, [pool.submit(decode, part) for part in parts]))
                if not waiting:
                    return
                rows, futures = waiting.popleft()
                inputs = [entry for future in futures for entry in future.result()]
                yield Batch(rows=rows, inputs=inputs)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _stand_back() -> None:
    """Lower this thread's priority: the encoder's threads wait for one another at every step."""
    with contextlib.suppress(OSError, AttributeError):  # only a matter of speed, Linux only
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, nice + POLITENESS))
