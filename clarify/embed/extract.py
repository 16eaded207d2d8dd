"""Embed all images of a data set on this machine, so that it can be stopped at any moment."""

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
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import locked, write_atomically, writing
from clarify.data.images import BadImage, load_image
from clarify.data.parallel import Progress
from clarify.embed.reuse import Known, known_elsewhere, write_contents
from clarify.embed.shards import BadRow, ShardLayout, Shards
from clarify.embed.store import Features, FeatureStore, image_part, index_of, taken
from clarify.errors import FeatureError, InputError, ManifestError, StoreError

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from clarify.data.pool import ImageTable
    from clarify.embed.encoders import ImageEncoder

__all__ = ["extract"]

PREFETCHED = 2  # batches decoded ahead of the encoder
DECODED_AT_ONCE = 8  # images in one task of a decoding thread
POLITENESS = 5  # how much decoding stands back behind the encoder's own threads


def extract(
    manifest: ImageTable,
    encoder: ImageEncoder,
    store: FeatureStore,
    *,
    batch_size: int = 64,
    workers: int = 2,
    dtype: str = "float16",
    shard_rows: int = 2048,
    progress: Callable[[Progress], None] | None = None,
) -> Features:
    """Embed the images of a data set that have no features yet, in this data set or another.

    An interrupted extraction goes on where it stopped and ends with the same bytes. Images that
    cannot be read are listed in the result and left out; given again, the command embeds those
    that can be read by then.

    Parameters
    ----------
    batch_size : int
        Images embedded at once.
    workers : int
        Threads that decode, of low priority: decoding leaves Python's lock, so processes would
        only cost their start.
    dtype : {"float16", "float32"}
        How features are kept.
    shard_rows : int
        Images between two writes to the disk.
    progress : callable, optional
        Called after every batch; bad images and those of earlier attempts count as done.

    Returns
    -------
    Features

    Raises
    ------
    StoreError
        If the home is full or cannot be written (what is done is kept), or another process is
        at the same extraction.
    ManifestError
        If the root folder is absent, or no image at all can be read.
    FeatureError
        If the encoder gives values that are not finite, or features on the disk are damaged.
    InputError
        If a number is not legal.
    """
    if workers < 1:
        raise InputError(f"extraction: workers is {workers}; legal is 1 or more")
    plan = ShardLayout(
        rows=manifest.table.height,
        width=encoder.width,
        dtype=dtype,
        batch_size=batch_size,
        shard_rows=shard_rows,
    )
    found = store.open(manifest, encoder.identity)
    if found is not None and not _readable_now(manifest, found):
        return store.sealed(manifest, found)
    if not manifest.root.is_dir():
        raise ManifestError(
            f"data set {manifest.name}: its root folder {manifest.root} does not exist; put the "
            "images there or correct `root` in its TOML"
        )
    folder = store.folder(manifest, encoder.identity)
    run = _Run(manifest=manifest, encoder=encoder, workers=workers, progress=progress)
    with locked(folder, hint=f"then run: clarify embed {manifest.name}", taken=taken(manifest, folder)):
        _fill(folder, plan, run, store)
    opened = store.open(manifest, encoder.identity)
    if opened is None:
        raise StoreError(f"{folder} vanished while it was written; run: clarify embed {manifest.name}")
    return opened


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    manifest: ImageTable
    encoder: ImageEncoder
    workers: int
    progress: Callable[[Progress], None] | None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    rows: Sequence[int]
    inputs: list[torch.Tensor | BadImage]


def _fill(folder: Path, plan: ShardLayout, run: _Run, store: FeatureStore) -> None:
    manifest = run.manifest
    again = f"then run: clarify embed {manifest.name}"
    with writing(folder, hint=again):
        found = store.open(manifest, run.encoder.identity)  # another process may have finished
        mended = _readable_now(manifest, found) if found is not None else []
        if found is not None and not mended:
            return
        shards = Shards.begin(folder, plan)
        if found is not None:
            _reopen(found, shards, mended)
    encoder = image_part(run.encoder.identity)
    _embed_missing(shards, run, known_elsewhere(folder, manifest, encoder, shards.plan.dtype))
    kept = f"all {plan.rows} embedded images are kept; {again}"
    with writing(folder, hint=kept):
        bad, hashes = shards.join(folder / "features.npy")
        if len(bad) == plan.rows:
            (folder / "features.npy").unlink()
            shards.remove()
            raise ManifestError(
                f"data set {manifest.name}: none of its {plan.rows} images can be read; the first "
                f"is {manifest.root / bad[0].path}: {bad[0].reason}"
            )
        index = index_of(manifest, run.encoder.identity, dataclasses.asdict(shards.plan), bad, hashes)
        write_contents(folder, manifest)
        write_atomically(folder / "index.json", [index])
        shards.remove()


def _readable_now(manifest: ImageTable, found: Features) -> list[int]:
    """Return the rows of `found.bad` whose images can be read by now."""
    mended = []
    for bad in found.bad:
        with contextlib.suppress(BadImage):
            load_image(manifest.root / bad.path, inside=manifest.root)
            mended.append(bad.row)
    return mended


def _reopen(found: Features, shards: Shards, mended: list[int]) -> None:
    """Turn complete features back into shards, less those that hold rows to be made again."""
    plan = shards.plan
    found.seal.check(found.array)
    if str(found.array.dtype) == plan.dtype:
        for shard in plan.shards:
            rows = plan.rows_of(shard)
            if not any(row in rows for row in mended):
                bad = [row for row in found.bad if row.row in rows]
                shards.write(shard, np.asarray(found.array[rows.start : rows.stop]), bad)
    (found.folder / "index.json").unlink()
    (found.folder / "features.npy").unlink()


def _embed_missing(shards: Shards, run: _Run, known: Known) -> None:
    plan = shards.plan
    finished = [shard for shard in plan.shards if shards.is_done(shard)]
    todo = [shard for shard in plan.shards if shard not in set(finished)]
    done = sum(len(plan.rows_of(shard)) for shard in finished)
    n_bad = sum(len(shards.read_bad(shard)) for shard in finished)

    def batches_of(shard: int) -> list[list[int]]:
        missing = known.missing(plan.rows_of(shard))
        return [missing[at : at + plan.batch_size] for at in range(0, len(missing), plan.batch_size)]

    every = (batch for shard in todo for batch in batches_of(shard))
    with contextlib.closing(_decoded(every, run)) as batches:
        for shard in todo:
            rows = plan.rows_of(shard)
            features = np.zeros((len(rows), plan.width), dtype=plan.dtype)
            known.fill(features, rows)
            bad: list[BadRow] = []
            here = len(rows) - len(known.missing(rows))
            for batch in itertools.islice(batches, len(batches_of(shard))):
                features[np.array(batch.rows) - rows.start] = _embedded(batch, plan, run)
                bad += _bad_rows(batch, run.manifest)
                here += len(batch.rows)
                if run.progress is not None:
                    run.progress(Progress(done=here + done, total=plan.rows, bad=n_bad + len(bad)))
            kept = f"{done} of {plan.rows} images are embedded and kept"
            again = f"{kept}; then run: clarify embed {run.manifest.name}"
            with writing(shards.folder, hint=again):
                shards.write(shard, features, bad)
            done += len(rows)
            n_bad += len(bad)


def _embedded(batch: _Batch, plan: ShardLayout, run: _Run) -> NDArray[Any]:
    """Embed a batch in the plan's dtype; rows of unreadable images are zeros, and do not change its size."""
    import torch

    width = plan.width
    good = [entry for entry in batch.inputs if not isinstance(entry, BadImage)]
    if not good:
        return np.zeros((len(batch.rows), width), dtype=plan.dtype)
    blank = torch.zeros_like(good[0])
    stacked = torch.stack([blank if isinstance(entry, BadImage) else entry for entry in batch.inputs])
    embeddings = run.encoder.encode_images(stacked)
    if embeddings.shape != (len(batch.rows), width):
        raise FeatureError(
            f"encoder {run.encoder.name} gave embeddings of shape {embeddings.shape} for "
            f"{len(batch.rows)} images; its width is {width}"
        )
    bad = np.array([isinstance(entry, BadImage) for entry in batch.inputs])
    with np.errstate(over="ignore"):  # beyond float16: seen as what it becomes
        kept = np.where(bad[:, None], np.float32(0), embeddings).astype(plan.dtype)
    wrong = ~np.isfinite(kept).all(axis=1)
    if wrong.any():
        row = batch.rows[int(np.argmax(wrong))]
        raise FeatureError(
            f"encoder {run.encoder.name} gives values that are not finite for image "
            f"{run.manifest.table['id'][row]!r} (row {row + 1}, {run.manifest.table['path'][row]}); "
            "check its weights, or take the image out of the table"
        )
    return kept


def _bad_rows(batch: _Batch, manifest: ImageTable) -> list[BadRow]:
    table = manifest.table
    return [
        BadRow(row=row, id=table["id"][row], path=table["path"][row], reason=entry.reason)
        for row, entry in zip(batch.rows, batch.inputs, strict=True)
        if isinstance(entry, BadImage)
    ]


def _decoded(batches: Iterator[Sequence[int]], run: _Run) -> Generator[_Batch, None, None]:
    """Decode batches in threads, a few ahead of the one that is asked for."""
    paths = run.manifest.table["path"]

    def decode(rows: Sequence[int]) -> list[torch.Tensor | BadImage]:
        return [_input(paths[row], run.manifest.root, run.encoder) for row in rows]

    waiting: collections.deque[tuple[Sequence[int], list[Future[list[torch.Tensor | BadImage]]]]]
    waiting = collections.deque()
    with ThreadPoolExecutor(run.workers, "decode", initializer=_stand_back) as pool:
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
                yield _Batch(rows=rows, inputs=inputs)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _input(path: str, root: Path, encoder: ImageEncoder) -> torch.Tensor | BadImage:
    try:
        return encoder.preprocess(load_image(root / path, inside=root))
    except BadImage as bad:
        return bad


def _stand_back() -> None:
    """Lower this thread's priority: the encoder's threads wait for one another at every step."""
    with contextlib.suppress(OSError, AttributeError):  # only a matter of speed, Linux only
        thread = threading.get_native_id()
        nice = os.getpriority(os.PRIO_PROCESS, thread)
        os.setpriority(os.PRIO_PROCESS, thread, min(19, nice + POLITENESS))
