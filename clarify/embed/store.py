"""Features on disk: one folder for each pair of a manifest's content and an image encoder.

``<home>/features/<data set>-<manifest digest>/<encoder digest>/`` holds ``features.npy``, one
row for each row of the manifest's table, and ``index.json``, written last. Another manifest or
encoder has another folder, and the index is checked as well, so features are never mixed up.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clarify.data.files import locked, write_atomically, writing
from clarify.data.sizes import free_bytes
from clarify.embed.identity import EncoderIdentity
from clarify.embed.reuse import CONTENTS, write_contents
from clarify.embed.seals import SHARD_ROWS, Seal, check_finite, hashes_of
from clarify.embed.shards import BadRow, as_json, npy_parts
from clarify.errors import FeatureError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from clarify.data.pool import ImageTable

__all__ = ["BadRow", "FeatureStore", "Features"]

SCHEMA_VERSION = 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """The features of all images of a data set.

    Parameters
    ----------
    array : (N, D) float16 or float32
        Read-only, on disk (memory-mapped); a row for each row of the manifest's table, of unit
        length up to rounding, and zeros for bad rows.
    bad : tuple of BadRow
        The images that could not be read.
    identity : EncoderIdentity
        Of the encoder that made them.
    folder : Path
        Where they are.
    seal : Seal
        Their hashes.
    """

    array: NDArray[Any]
    bad: tuple[BadRow, ...]
    identity: EncoderIdentity
    folder: Path
    seal: Seal

    @property
    def valid(self) -> NDArray[np.bool_]:
        """Return which rows have features, shape (N,)."""
        valid = np.ones(len(self.array), dtype=np.bool_)
        valid[[row.row for row in self.bad]] = False
        valid.flags.writeable = False
        return valid

    @property
    def width(self) -> int:
        """Return the length D of a row."""
        return int(self.array.shape[1])

    def take(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Copy some rows into memory, shape (M, D) float32.

        Raises
        ------
        FeatureError
            If they are damaged, not finite (names the image), or more than the memory that is free.
        """
        needed, free = 4 * self.width * len(rows), free_bytes()
        if needed > free:
            raise FeatureError(
                f"{len(rows):,} rows of {self.folder / 'features.npy'} take {needed / 2**30:,.2f} GiB of "
                f"memory, {free / 2**30:,.2f} GiB are free; {free // (4 * self.width):,} rows would do: end "
                "other programs, or take a machine with more memory"
            )
        self.seal.check(self.array, rows)
        return np.asarray(self.array[rows], dtype=np.float32)


@dataclasses.dataclass(frozen=True, slots=True)
class FeatureStore:
    """All features of a home.

    Parameters
    ----------
    home : Path
        Its ``features`` folder is used; made when the first features are.
    """

    home: Path

    def of_data_set(self, manifest: ImageTable) -> Path:
        """Return where all features of a manifest are, a folder an encoder."""
        return Path(self.home).absolute() / "features" / f"{manifest.name}-{manifest.digest[:12]}"

    def folder(self, manifest: ImageTable, identity: EncoderIdentity) -> Path:
        """Return where the features of a manifest by an encoder are, or would be."""
        return self.of_data_set(manifest) / identity.image_digest

    def others(self, manifest: ImageTable) -> str:
        """Say which features of a data set are there, by encoder and, if it is another, by manifest."""
        found = []
        for path in sorted(
            self.of_data_set(manifest).parent.glob(f"{manifest.name}-{'?' * 12}/*/index.json")
        ):
            with contextlib.suppress(FeatureError, KeyError, TypeError):
                index = _read_index(path.parent, manifest.name) or {}
                of_manifest = str(index["manifest"])
                changed = "" if of_manifest == manifest.digest else f" of manifest {of_manifest[:12]}"
                found.append(f"{index['encoder']['architecture']}{changed}")
        return f"only by {', '.join(dict.fromkeys(found))}" if found else "nor by another"

    def open(self, manifest: ImageTable, identity: EncoderIdentity) -> Features | None:
        """Open complete features; None if there are none, or not all yet.

        Raises
        ------
        FeatureError
            If what is there is damaged, or belongs to another manifest or encoder. None of the numbers is
            read: `Features.take` looks at those that it returns.
        """
        folder = self.folder(manifest, identity)
        index = _read_index(folder, manifest.name)
        if index is None:
            return None
        way_out = f"remove the folder {folder} and run: clarify embed {manifest.name}"
        _check_owner(index, manifest, identity, way_out)
        array = _mapped(folder / "features.npy", index, way_out)
        try:
            bad = tuple(BadRow(**row) for row in index["bad"])
        except TypeError as error:
            raise FeatureError(f"{folder / 'index.json'} is damaged ({error}); {way_out}") from None
        if array.shape[0] != manifest.table.height:
            raise FeatureError(
                f"{folder / 'features.npy'} has {array.shape[0]} rows, the manifest "
                f"{manifest.table.height}; {way_out}"
            )
        seal = Seal.of_index(index, folder / "features.npy", manifest, way_out)
        return Features(array=array, bad=bad, identity=identity, folder=folder, seal=seal)

    def sealed(self, manifest: ImageTable, found: Features) -> Features:
        """Return features with hashes; those that have none (of older versions) get them as they are now."""
        try:
            if not (found.folder / CONTENTS).exists():
                write_contents(found.folder, manifest)
        except OSError:  # a home that is full or only read does without
            return found
        if found.seal.hashes:
            return found
        found.seal.check(found.array)
        path = found.folder / "index.json"
        index = json.loads(path.read_bytes()) | {
            "shard_rows": found.seal.shard_rows,
            "hashes": hashes_of(found.array, found.seal.shard_rows),
            "ids": _hash_of_ids(manifest),
        }
        try:
            write_atomically(path, [as_json(index)])
        except OSError:
            return found
        return self.open(manifest, found.identity) or found

    def changed(self, manifest: ImageTable) -> str:
        """Say that a data set's table was changed since it was embedded; empty if it was not, or never was.

        What Clarify writes does not change under its name: somebody edited it.
        """
        own = self.of_data_set(manifest)
        if any(own.glob("*/index.json")):
            return ""
        others = own.parent.glob(f"{manifest.name}-{'[0-9a-f]' * 12}/*/index.json")
        before = max(others, key=lambda path: path.stat().st_mtime, default=None)
        if before is None:
            return ""
        then = before.parent.parent.name.rpartition("-")[2]
        return (
            f"data set {manifest.name}: labels, splits or images in its table were changed by hand since "
            f"it was embedded (manifest {then} then, {manifest.digest[:12]} now); put the table back, or "
            f"run: clarify embed {manifest.name}"
        )

    def save(
        self,
        manifest: ImageTable,
        identity: EncoderIdentity,
        array: NDArray[Any],
        *,
        bad: Sequence[BadRow] = (),
    ) -> Features:
        """Keep features that were made elsewhere, all or none of them.

        Parameters
        ----------
        array : (N, D) float16 or float32
            A row of unit length for each row of the manifest's table; zeros for bad ones.
        bad : sequence of BadRow
            Of images that could not be read.

        Raises
        ------
        StoreError
            If the home is full or cannot be written, or another process writes the same features.
        FeatureError
            If a number is not finite (names the image), and as `open`.
        """
        folder = self.folder(manifest, identity)
        check_finite(array, manifest, "nothing was written: make them again, or leave the image out")
        plan = {
            "rows": len(array),
            "width": array.shape[1],
            "dtype": str(array.dtype),
            "shard_rows": SHARD_ROWS,
        }
        hint = "then give the same command again"
        index = index_of(manifest, identity, plan, list(bad), hashes_of(array))
        with locked(folder, hint=hint, taken=taken(manifest, folder)), writing(folder, hint=hint):
            # Under another name until they are whole: what was there before stays if the disk is full.
            write_atomically(folder / "new.npy", npy_parts(array))
            (folder / "index.json").unlink(missing_ok=True)
            os.replace(folder / "new.npy", folder / "features.npy")
            write_contents(folder, manifest)
            write_atomically(folder / "index.json", [index])
        saved = self.open(manifest, identity)
        if saved is None:
            raise FeatureError(f"{folder} vanished while it was written; give the command again")
        return saved


def taken(manifest: ImageTable, folder: Path) -> str:
    """Say that another process writes the features in a folder."""
    return (
        f"another process is embedding data set {manifest.name} into {folder}; wait for it, or stop it, and "
        "give the command again"
    )


def index_of(
    manifest: ImageTable,
    identity: EncoderIdentity,
    plan: dict[str, Any],
    bad: list[BadRow],
    hashes: list[str],
) -> bytes:
    """Write down what features are of: the content of ``index.json``."""
    values = {
        "schema_version": SCHEMA_VERSION,
        "manifest": manifest.digest,
        "encoder": image_part(identity),
        **plan,
        "bad": [row.to_dict() for row in bad],
        "hashes": hashes,
        "ids": _hash_of_ids(manifest),
        "complete": True,
    }
    return as_json(values)


def _hash_of_ids(manifest: ImageTable) -> str:
    """Hash the order of the rows, of which a manifest's digest says nothing: features are told by it."""
    ids: str = manifest.table["id"].str.join("\n").item()
    return hashlib.sha256(ids.encode()).hexdigest()


def image_part(identity: EncoderIdentity) -> dict[str, Any]:
    """Return what an encoder makes of images: all of it but the template."""
    return {key: value for key, value in identity.to_dict().items() if key != "template"}


def _read_index(folder: Path, name: str) -> dict[str, Any] | None:
    path = folder / "index.json"
    try:
        index: dict[str, Any] = json.loads(path.read_bytes())
        version = index.get("schema_version") if isinstance(index, dict) else None
        if version != SCHEMA_VERSION:
            raise ValueError(f"schema_version is {version!r}; this Clarify reads {SCHEMA_VERSION}")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise FeatureError(
            f"{path} cannot be used ({error}); remove the folder and run: clarify embed {name}"
        ) from None
    return index


def _check_owner(
    index: dict[str, Any], manifest: ImageTable, identity: EncoderIdentity, way_out: str
) -> None:
    if index.get("manifest") != manifest.digest:
        raise FeatureError(
            f"the features are of another manifest ({str(index.get('manifest'))[:12]}, wanted "
            f"{manifest.digest[:12]}); {way_out}"
        )
    if index.get("ids") not in (None, _hash_of_ids(manifest)):
        raise FeatureError(
            f"the rows of data set {manifest.name} stand in another order than when it was embedded; put "
            f"them back, or {way_out}"
        )
    if index.get("encoder") != image_part(identity):
        raise FeatureError(f"the features are by another encoder than {identity.describe()}; {way_out}")


def _mapped(path: Path, index: dict[str, Any], way_out: str) -> NDArray[Any]:
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FeatureError(f"{path} is damaged ({error}); {way_out}") from None
    recorded = (index.get("rows"), index.get("width"), index.get("dtype"))
    if array.ndim != 2 or (*array.shape, str(array.dtype)) != recorded:
        raise FeatureError(
            f"{path} is {array.dtype} of shape {array.shape}, its index says {recorded[2]} of "
            f"{recorded[:2]}; {way_out}"
        )
    return array
