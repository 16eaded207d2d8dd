"""The commands `clarify data import ...`: data sets of images that are kept in another form."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Command, Commands, Shell, bar
from clarify.cli.words import MANY_CLASSES, table
from clarify.errors import InputError

if TYPE_CHECKING:
    from clarify.data.sources.listing import Listing
    from clarify.workflow.home.data import ImportedDataSet

__all__ = ["add_imports"]


def _import_folder(shell: Shell) -> None:
    """A folder a class, with or without folders a split around them."""
    from clarify.data.sources.folder import list_folder

    _import(shell, lambda path: list_folder(path, shell.args.leave_out))


def _import_table(shell: Shell) -> None:
    """A CSV, TSV, Parquet or JSON-lines file with a row an image."""
    from clarify.data.sources.columns import Columns
    from clarify.data.sources.table import TableOptions, list_table

    args = shell.args
    values = {split: getattr(args, split) for split in ("train", "validation", "test")}
    options = TableOptions(
        columns=Columns(path=args.path, label=args.label, split=args.split, id=args.id),
        attributes=tuple(args.attribute),
        root=None if args.root is None else Path(args.root),
        split_values={split: value for split, value in values.items() if value is not None},
        classes=None if args.classes is None else _lines(Path(args.classes)),
        leave_out=tuple(args.leave_out),
    )
    _import(shell, lambda path: list_table(path, options))


def _import_waterbirds(shell: Shell) -> None:
    """Waterbirds with its metadata.csv."""
    from clarify.data.sources.waterbirds import list_waterbirds

    _import(shell, list_waterbirds, known="waterbirds")


def _import_celeba(shell: Shell) -> None:
    """CelebA with its two lists."""
    from clarify.data.sources.celeba import list_celeba

    args = shell.args
    attributes = tuple(args.attribute or ["Male"])
    _import(shell, lambda path: list_celeba(path, target=args.target, attributes=attributes), known="celeba")


def _import_imagenet(shell: Shell) -> None:
    """ImageNet, or some of its classes: train and val with a folder a class; val is the split test."""
    from clarify.workflow.home.data import list_imagenet_folder

    _import(shell, list_imagenet_folder, known="imagenet")


def _import_pacs(shell: Shell) -> None:
    """PACS: photo, art_painting, cartoon and sketch with a folder a class in each; the attribute is
    domain.
    """
    from clarify.data.sources.pacs import list_pacs

    args = shell.args
    lists = None if args.lists is None else Path(os.path.abspath(args.lists))
    _import(shell, lambda path: list_pacs(path, lists=lists, held_out=args.held_out), known="pacs")


def _import_metashift(shell: Shell) -> None:
    """MetaShift: folders such as train/cat/cat(indoor), or without train and test; the
    attribute is context.
    """
    from clarify.data.sources.metashift import list_metashift

    args = shell.args
    _import(shell, lambda path: list_metashift(path, pool=args.pool), known="metashift")


def _import(shell: Shell, listed: Callable[[Path], Listing], *, known: str | None = None) -> None:
    from clarify.data.names import check_name
    from clarify.data.sources.origins import ORIGINS
    from clarify.workflow.home.data import import_images

    args = shell.args
    check_name(args.name)
    path = Path(os.path.abspath(args.source))
    listing = listed(path)
    for what, guess in listing.guesses.items():
        shell.say(f"guessed: {what} is {guess}")
    done = import_images(
        shell.settings.home,
        args.name,
        listing,
        source=f"imported from {path}",
        seed=args.seed,
        workers=shell.settings.workers,
        copy=args.copy,
        bar=bar,
        origin=None if known is None else ORIGINS[known],
        leave_out_rare=args.leave_out_rare,
    )
    for note in done.notes:
        shell.say(f"note: {note}")
    shell.answer(done.to_dict(), _imported(done))


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--classes {path} cannot be read as text: {error}") from None
    return tuple(line.strip() for line in lines if line.strip())


def _imported(result: ImportedDataSet) -> str:
    """Tell what was imported, and what to do next."""
    manifest = result.manifest
    found = result.to_dict()
    classes = manifest.classes if len(manifest.classes) <= MANY_CLASSES else ()
    rows = [
        [split, f"{sum(counts.values()):,}", *(f"{counts[label]:,}" for label in classes)]
        for split, counts in found["splits"].items()
    ]
    lines = [
        f"{manifest.table.height:,} images of {len(manifest.classes):,} classes imported as "
        f"{manifest.name}: {result.toml}",
        table(["split", "images", *classes], rows),
        *(f"attribute {name}: {', '.join(v[:10])}" for name, v in manifest.attributes.items()),
        f"images in {manifest.root}"
        + ("" if result.copied is None else f", {result.copied:,} of them copied now"),
        f"next: clarify data check {manifest.name}",
    ]
    return "\n".join(lines)


def add_imports(imports: Commands) -> None:
    """Add one a form."""
    folders = _importer(imports, "folder", _import_folder, "pictures")
    tables = _importer(imports, "table", _import_table, "images.csv")
    for command in (folders, tables):
        command.takes(
            "--leave-out NAME", "a class, or a split as it is called there; may be repeated", repeated=True
        )
    for role, what in (
        ("path", "the files"),
        ("label", "the classes"),
        ("split", "the splits"),
        ("id", "names of the images, all different"),
    ):
        tables.takes(f"--{role} COLUMN", f"holds {what} (default: guessed)")
    tables.takes("--attribute COLUMN", "an annotated attribute; may be repeated", repeated=True)
    tables.takes("--root DIR", "folder that the files are relative to (default: the table's)")
    for split in ("train", "validation", "test"):
        tables.takes(f"--{split} VALUE", f"what the table calls {split}")
    tables.takes("--classes FILE", "names of the classes, one a line, for labels 0, 1, ...")
    _importer(imports, "waterbirds", _import_waterbirds, "waterbird_complete95_forest2water2")
    faces = _importer(imports, "celeba", _import_celeba, "celeba")
    faces.takes("--target NAME", "the annotation to classify (default: Blond_Hair)", default="Blond_Hair")
    faces.takes("--attribute NAME", "another annotation; may be repeated (default: Male)", repeated=True)
    _importer(imports, "imagenet", _import_imagenet, "ILSVRC2012")
    pacs = _importer(imports, "pacs", _import_pacs, "PACS")
    pacs.takes(
        "--lists DIR",
        "folder of its authors' lists of train and crossval (default: found beside the images, else "
        "split by content)",
    )
    pacs.takes("--held-out DOMAIN", "the domain whose images are all test")
    meta = _importer(imports, "metashift", _import_metashift, "MetaShift-Cat-Dog-indoor-outdoor")
    meta.takes(
        "--pool",
        "take train and test together and split them by content, as benchmarks of subpopulations do",
        flag=True,
    )


def _importer(imports: Commands, name: str, run: Callable[[Shell], None], example: str) -> Command:
    command = imports.add(name, run, f"data import {name} {example} --name birds", data_set=False)
    command.takes("source PATH", "what to import")
    command.takes("--name", "what to call the data set", required=True)
    command.takes("--copy", "copy the images into the home (default: refer to them)", flag=True)
    command.takes("--leave-out-rare", "leave out classes that do not have an image in every split", flag=True)
    command.takes(
        "--seed", "of the split by content, where the images have none (default: 0)", type=int, default=0
    )
    return command
