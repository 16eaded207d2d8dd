"""Data sets into the home: import them from what others keep, check them, make thumbnails."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clarify.data.checking import Checked, check_images
from clarify.data.copying import copy_images
from clarify.data.manifest import Manifest, find_manifests, open_manifest, read_manifest, write_again
from clarify.data.names import alike_notes, check_name
from clarify.data.parallel import Progress
from clarify.data.sources.imagenet import list_imagenet
from clarify.data.sources.listing import Listing
from clarify.data.sources.origins import Origin
from clarify.data.sources.splitting import with_splits
from clarify.data.sources.walking import refuse_links_out
from clarify.data.thumbnails import Made, Thumbnails
from clarify.embed.imagenet import imagenet_names
from clarify.errors import InputError

__all__ = [
    "ImportedDataSet",
    "check_data",
    "check_free",
    "import_images",
    "list_imagenet_folder",
    "make_thumbnails",
]

Bar = Callable[[str], contextlib.AbstractContextManager[Callable[[Progress], None]]]
"""Opens a bar with a title; gives the callback that moves it."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportedDataSet:
    """A data set that was imported.

    Parameters
    ----------
    toml : Path
        Where it is written.
    copied : int or None
        Images copied by this import; None if they stay where they are.
    guesses : dict of str to str
        What was concluded and not given.
    """

    manifest: Manifest
    toml: Path
    copied: int | None
    guesses: dict[str, str]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        manifest = self.manifest
        counts = manifest.table.group_by("split", "label").len().rows()
        number = {(split, label): count for split, label, count in counts}
        return {
            "data_set": manifest.name,
            "manifest": str(self.toml),
            "digest": manifest.digest,
            "root": str(manifest.root),
            "images": manifest.table.height,
            "classes": list(manifest.classes),
            "attributes": {name: list(values) for name, values in manifest.attributes.items()},
            "splits": {
                split: {label: number.get((split, label), 0) for label in manifest.classes}
                for split in manifest.splits
            },
            "hashed": "content" in manifest.table.columns,
            "copied": self.copied,
            "guesses": self.guesses,
            "notes": list(self.notes),
        }


def check_free(home: Path, name: str, root: Path, *, copy: bool) -> None:
    """Check that an import may write under a name, before anything long is done.

    Raises
    ------
    ManifestError
        If the name is not legal.
    InputError
        If another data set has the name: one whose images are elsewhere.
    """
    check_name(name)
    found = find_manifests(home).get(name)
    if found is None:
        return
    folder = home / "data_manifests" / name
    there = read_manifest(found).root if found == folder / "manifest.toml" else None
    if there != (home / "images" / name if copy else root).resolve():
        raise InputError(
            f"data set {name} is there already, with other images: {found}; choose another --name, "
            "or remove that file"
        )


def import_images(
    home: Path,
    name: str,
    listing: Listing,
    *,
    source: str,
    seed: int,
    workers: int,
    copy: bool,
    bar: Bar,
    origin: Origin | None = None,
    leave_out_rare: bool = False,
) -> ImportedDataSet:
    """Write the manifest of what an importer found; a stopped import goes on when given again.

    Parameters
    ----------
    listing : Listing
        Images without a split get one by content.
    source : str
        One line: where the images come from.
    seed : int
        Of the split.
    workers : int
        Threads that hash and copy.
    copy : bool
        Copy the images into ``<home>/images/NAME``, also those that links lead to; else the manifest
        refers to where they are, and no link may lead out of there.
    origin : Origin, optional
        The known data set that this is: gives title and licence.
    leave_out_rare : bool
        Leave out the classes that do not have an image in every split.

    Raises
    ------
    ManifestError
        If the table is not legal, a link leads out, or images are missing to split it.
    InputError
        If an image cannot be read, or the name is taken.
    StoreError
        If the home cannot be written.
    """
    check_free(home, name, listing.root, copy=copy)
    if not copy:
        refuse_links_out(listing.root, listing.table["path"])
    with _later(bar, f"hash {name}") as move:
        listing = with_splits(
            listing, seed=seed, workers=workers, progress=move, leave_out_rare=leave_out_rare
        )
    table = listing.table
    if "id" not in table.columns:
        table = table.with_columns(table["path"].alias("id"))
    copies = home / "images" / name
    manifest = Manifest(
        name=name,
        title=name if origin is None else origin.title,
        source=source,
        licence="not stated by the importer" if origin is None else origin.licence,
        root=copies if copy else listing.root,
        classes=listing.classes,
        splits=listing.splits,
        attributes=listing.attributes,
        table=table,
    )
    copied = None
    if copy:
        with bar(f"copy {name}") as move:
            paths = table["path"].to_list()
            copied = copy_images(listing.root, paths, copies, workers=workers, progress=move)
    root = f"../../images/{name}" if copy else str(listing.root)
    toml = write_again(manifest, home / "data_manifests" / name, root=root)
    return ImportedDataSet(
        manifest=manifest,
        toml=toml,
        copied=copied,
        guesses=dict(listing.guesses),
        notes=(*listing.notes, *alike_notes(listing.classes)),
    )


def list_imagenet_folder(path: Path) -> Listing:
    """List ImageNet with the names that its classes have in CLIP's world."""
    return list_imagenet(path, imagenet_names)


def check_data(home: Path, name: str, *, deep: bool, workers: int, bar: Bar) -> Checked:
    """Look at every image of a data set; see `check_images`."""
    manifest = open_manifest(home, name)
    with bar(f"check {name}") as move, _later(bar, f"hash {name}") as hashing:
        return check_images(manifest, deep=deep, workers=workers, progress=move, hashing=hashing)


@contextlib.contextmanager
def _later(bar: Bar, title: str) -> Iterator[Callable[[Progress], None]]:
    """Open a bar only when there is something to show."""
    with contextlib.ExitStack() as stack:
        moves: list[Callable[[Progress], None]] = []

        def move(progress: Progress) -> None:
            if not moves:
                moves.append(stack.enter_context(bar(title)))
            moves[0](progress)

        yield move


def make_thumbnails(home: Path, name: str, *, workers: int, bar: Bar) -> Made:
    """Make the thumbnails of all images of a data set that have none."""
    manifest = open_manifest(home, name)
    paths = [manifest.root / path for path in manifest.table["path"]]
    with bar(f"thumbnails of {name}") as move:
        return Thumbnails(home).make(paths, inside=manifest.root, workers=workers, progress=move)
