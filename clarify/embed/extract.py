"""Embed all images of a data set, so that it can be stopped at any moment."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clarify.data.files import locked, write_atomically, writing
from clarify.data.images import BadImage, load_image
from clarify.data.parallel import Progress
from clarify.embed.reuse import Known, known_elsewhere, write_contents
from clarify.embed.shards import ShardLayout, Shards
from clarify.embed.store import Features, FeatureStore, image_part, index_of, taken
from clarify.embed.work import ImageRows, ShardEngine, ShardWork, here
from clarify.errors import InputError, ManifestError, StoreError

if TYPE_CHECKING:
    from clarify.data.pool import ImageTable
    from clarify.embed.encoders import ImageEncoder

__all__ = ["extract"]


def extract(
    manifest: ImageTable,
    encoder: ImageEncoder,
    store: FeatureStore,
    *,
    batch_size: int = 64,
    workers: int = 2,
    dtype: str = "float16",
    shard_rows: int = 2048,
    engine: ShardEngine = here,
    progress: Callable[[Progress], None] | None = None,
) -> Features:
    """Embed the images of a data set that have no features yet, in this data set or another.

    An interrupted extraction goes on where it stopped and ends with the same bytes. ImageRows that
    cannot be read are listed in the result and left out; given again, the command embeds those
    that can be read by then.

    Parameters
    ----------
    batch_size : int
        ImageRows embedded at once.
    workers : int
        Threads that decode, of low priority: decoding leaves Python's lock, so processes would
        only cost their start.
    dtype : {"float16", "float32"}
        How features are kept.
    shard_rows : int
        ImageRows between two writes to the disk.
    engine : callable, optional
        What embeds the shards that are missing; `here` is this process.
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
    run = _Run(manifest=manifest, encoder=encoder, workers=workers, engine=engine, progress=progress)
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
    engine: ShardEngine
    progress: Callable[[Progress], None] | None


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
    plan, name = shards.plan, run.manifest.name
    finished = [shard for shard in plan.shards if shards.is_done(shard)]
    todo = [shard for shard in plan.shards if shard not in set(finished)]
    done = sum(len(plan.rows_of(shard)) for shard in finished)
    n_bad = sum(len(shards.read_bad(shard)) for shard in finished)
    table = run.manifest.table
    images = ImageRows(root=run.manifest.root, ids=table["id"], paths=table["path"])
    work = ShardWork(plan=plan, images=images, encoder=run.encoder, known=known, workers=run.workers)

    def tell(more: int, more_bad: int) -> None:
        if run.progress is not None:
            run.progress(Progress(done=done + more, total=plan.rows, bad=n_bad + more_bad))

    with contextlib.closing(run.engine(work, todo, tell)) as made:
        for each in made:
            kept = f"{done} of {plan.rows} images are embedded and kept"
            with writing(shards.folder, hint=f"{kept}; then run: clarify embed {name}"):
                shards.write(each.shard, each.features, each.bad)
            done += len(each.features)
            n_bad += len(each.bad)
