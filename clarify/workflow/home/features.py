"""What features a home keeps, and which of them nothing can open any more."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clarify.data.files import locked, writing
from clarify.data.manifest import find_manifests, read_manifest

__all__ = ["KeptFeatures", "clean_features", "kept_features"]

FOLDER = re.compile(r"(.+)-([0-9a-f]{12})")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class KeptFeatures:
    """The features of one content of a manifest by one encoder.

    Parameters
    ----------
    manifest : str
        The first 12 digits of its digest.
    encoder : str
        Its architecture; empty while they are not complete.
    images, size : int
        Rows, 0 while they are not complete; bytes on the disk.
    used : bool
        Whether the data set is here with this content: else only `extract` looks at them, for images of
        the same bytes.
    """

    data_set: str
    manifest: str
    encoder: str
    images: int
    size: int
    used: bool
    folder: Path

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {**dataclasses.asdict(self), "folder": str(self.folder)}


def kept_features(home: Path) -> tuple[KeptFeatures, ...]:
    """List all features of a home by data set.

    Raises
    ------
    ManifestError
        If a manifest cannot be read: nobody knows then whose features are used.
    """
    manifests = (read_manifest(place) for place in find_manifests(home).values())
    return tuple(_kept(home, {(each.name, each.digest[:12]) for each in manifests}))


def clean_features(home: Path) -> tuple[KeptFeatures, ...]:
    """Remove the features that are not used; returns them.

    Raises
    ------
    ManifestError
        As `kept_features`; nothing is removed then.
    StoreError
        If another process writes one of them, or they cannot be removed.
    """
    unused = tuple(each for each in kept_features(home) if not each.used)
    hint = "then run: clarify features clean"
    for each in unused:
        busy = f"another process is writing features into {each.folder}; wait for it, {hint}"
        with locked(each.folder, hint=hint, taken=busy), writing(each.folder, hint=hint):
            (each.folder / "index.json").unlink(missing_ok=True)  # first: what is half there is not opened
            shutil.rmtree(each.folder)
        if not any(each.folder.parent.iterdir()):
            each.folder.parent.rmdir()
    return unused


def _kept(home: Path, known: set[tuple[str, str]]) -> Iterator[KeptFeatures]:
    for folder in sorted((home / "features").glob("*/*")):
        named = FOLDER.fullmatch(folder.parent.name)
        if named is None or not folder.is_dir() or folder.is_symlink():
            continue
        try:
            index = json.loads((folder / "index.json").read_bytes())
            encoder, images = str(index["encoder"]["architecture"]), int(index["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            encoder, images = "", 0
        yield KeptFeatures(
            data_set=named[1],
            manifest=named[2],
            encoder=encoder,
            images=images,
            size=sum(path.stat().st_size for path in folder.iterdir()),
            used=named.groups() in known,
            folder=folder,
        )
