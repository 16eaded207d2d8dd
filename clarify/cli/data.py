"""The commands for data sets: import, draw or correlate them, check them, tell their origin."""

from __future__ import annotations

import argparse
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell, bar
from clarify.errors import InputError, RefusedError

if TYPE_CHECKING:
    from clarify.data.sources.listing import Listing

__all__ = ["add_commands"]


def _import_folder(shell: Shell) -> None:
    from clarify.data.sources.folder import list_folder

    _import(shell, list_folder)


def _import_table(shell: Shell) -> None:
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
    )
    _import(shell, lambda path: list_table(path, options))


def _import_waterbirds(shell: Shell) -> None:
    from clarify.data.sources.waterbirds import list_waterbirds

    _import(shell, list_waterbirds, known="waterbirds")


def _import_celeba(shell: Shell) -> None:
    from clarify.data.sources.celeba import list_celeba

    args = shell.args
    attributes = tuple(args.attribute or ["Male"])
    _import(shell, lambda path: list_celeba(path, target=args.target, attributes=attributes), known="celeba")


def _import_imagenet(shell: Shell) -> None:
    from clarify.workflow.home.data import list_imagenet_folder

    _import(shell, list_imagenet_folder, known="imagenet")


def _import_pacs(shell: Shell) -> None:
    from clarify.data.sources.pacs import list_pacs

    args = shell.args
    lists = None if args.lists is None else Path(os.path.abspath(args.lists))
    _import(shell, lambda path: list_pacs(path, lists=lists, held_out=args.held_out), known="pacs")


def _import_metashift(shell: Shell) -> None:
    from clarify.data.sources.metashift import list_metashift

    args = shell.args
    _import(shell, lambda path: list_metashift(path, pool=args.pool), known="metashift")


def _import(shell: Shell, listed: Callable[[Path], Listing], *, known: str | None = None) -> None:
    from clarify.data.names import check_name
    from clarify.data.sources.origins import ORIGINS
    from clarify.report import data as report
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
    )
    for note in done.notes:
        shell.say(f"note: {note}")
    shell.answer(done.to_dict(), report.imported(done))


def _draw(shell: Shell) -> None:
    from clarify.data.manifest import open_manifest
    from clarify.report import data as report
    from clarify.workflow.shows.demo import draw_data_set

    args, settings = shell.args, shell.settings
    shell.say("drawing the images")
    name = draw_data_set(settings.home, args.name, seed=args.seed, workers=settings.workers)
    manifest = open_manifest(settings.home, name)
    result = {"data_set": name, "images": manifest.table.height, "root": str(manifest.root)}
    shell.answer(result, report.drawn(manifest))


def _correlate(shell: Shell) -> None:
    from clarify.report import data as report
    from clarify.workflow.home.correlate import correlate

    args = shell.args
    done = correlate(
        shell.settings.home,
        args.name,
        attribute=args.attribute,
        share=args.share,
        out_name=args.out_name,
        pairs=args.pair,
        images=args.images,
        seed=args.seed,
    )
    shell.answer(done.to_dict(), report.correlated(done))


def _where(shell: Shell) -> None:
    from clarify.report import data as report
    from clarify.workflow.home.where import whereabouts

    found = whereabouts(shell.settings.home, shell.args.name)
    shell.answer(found.to_dict(), report.where(found))


def _lines(path: Path) -> tuple[str, ...]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--classes {path} cannot be read as text: {error}") from None
    return tuple(line.strip() for line in lines if line.strip())


def _check(shell: Shell) -> None:
    from clarify.report import data as report
    from clarify.workflow.home.data import check_data

    args, settings = shell.args, shell.settings
    found = check_data(settings.home, args.name, deep=args.deep, workers=settings.workers, bar=bar)
    result = {"data_set": args.name, "passed": found.passed, **dataclasses.asdict(found)}
    shell.answer(result, report.checked(args.name, found))
    if not found.passed:
        raise RefusedError(report.verdict(args.name, found))


def _thumbnails(shell: Shell) -> None:
    from clarify.report import data as report
    from clarify.workflow.home.data import make_thumbnails

    args, settings = shell.args, shell.settings
    made = make_thumbnails(settings.home, args.name, workers=settings.workers, bar=bar)
    result = {
        "data_set": args.name,
        "made": made.made,
        "kept": made.kept,
        "bad": [{"path": str(bad.path), "reason": bad.reason} for bad in made.bad],
    }
    shell.answer(result, report.thumbnails(args.name, made))


def add_commands(commands: Commands) -> None:
    """Add ``data`` with its commands."""
    data = commands.group(
        "data", "Import data sets, make others of them, check them, tell where they come from."
    )
    _add_imports(data.group("import", "Make a data set of images that are kept in another form."))
    draw = data.add(
        "draw",
        _draw,
        "Draw a data set of Clarify's own: birds whose place gives them "
        "away, in four difficulties, or sprites.",
        "data draw rendered-waterbirds-easy",
    )
    draw.add_argument(
        "--seed",
        type=int,
        default=0,
        help="another seed draws other pictures, as a data set of its own (default: 0)",
    )
    check = data.add(
        "check",
        _check,
        "Look at every image: what is wrong, and what is in two splits?",
        "data check birds --deep",
    )
    check.add_argument(
        "--deep",
        action="store_true",
        help="also decode every pixel, verify the hashes, and find pictures that look alike",
    )
    data.add("thumbnails", _thumbnails, "Make the thumbnails of all images ahead.", "data thumbnails birds")
    _add_correlate(data)
    where = data.add(
        "where",
        _where,
        "Tell where a data set comes from, its licence, how to get "
        "it, and whether the home has all of it. Downloads nothing.",
        "data where waterbirds",
        data_set=False,
    )
    where.add_argument(
        "name",
        metavar="NAME",
        help="waterbirds, celeba, imagenet, pacs, metashift, one that Clarify draws, or one of the home",
    )


def _add_correlate(data: Commands) -> None:
    command = data.add(
        "correlate",
        _correlate,
        "Make a data set with a chosen spurious "
        "correlation of the images of an annotated one: an exact group table in "
        "training, balanced groups in the other splits. Nothing is copied.",
        "data correlate rendered-waterbirds --attribute place --share 0.9 --out-name birds-90",
    )
    command.add_argument(
        "--attribute",
        metavar="NAME",
        required=True,
        help="the annotated attribute to correlate the class with",
    )
    command.add_argument(
        "--share",
        metavar="PART",
        type=float,
        default=0.95,
        help="part of each "
        "class in training that has the value it is paired with, above 0 and at "
        "most 1 (default: 0.95)",
    )
    command.add_argument(
        "--pair",
        metavar="CLASS=VALUE",
        action="append",
        default=[],
        help="give each class its value; what is in no pair is left out; may be "
        "repeated (default: all classes, by the greatest groups)",
    )
    command.add_argument(
        "--images",
        metavar="N",
        type=int,
        help="of each class in training (default: as many as the counts allow)",
    )
    command.add_argument("--seed", type=int, default=0, help="of the images drawn (default: 0)")
    command.add_argument("--out-name", metavar="NEW", required=True, help="what to call the new data set")


def _add_imports(imports: Commands) -> None:
    _importer(
        imports,
        "folder",
        _import_folder,
        "A folder a class, with or without folders a split around them.",
        "pictures",
    )
    table = _importer(
        imports,
        "table",
        _import_table,
        "A CSV, TSV, Parquet or JSON-lines file with a row an image.",
        "images.csv",
    )
    for role, what in (
        ("path", "the files"),
        ("label", "the classes"),
        ("split", "the splits"),
        ("id", "names of the images, all different"),
    ):
        table.add_argument(f"--{role}", metavar="COLUMN", help=f"holds {what} (default: guessed)")
    table.add_argument(
        "--attribute",
        metavar="COLUMN",
        action="append",
        default=[],
        help="an annotated attribute; may be repeated",
    )
    table.add_argument(
        "--root", metavar="DIR", help="folder that the files are relative to (default: the table's)"
    )
    for split in ("train", "validation", "test"):
        table.add_argument(f"--{split}", metavar="VALUE", help=f"what the table calls {split}")
    table.add_argument(
        "--classes", metavar="FILE", help="names of the classes, one a line, for labels 0, 1, ..."
    )
    _importer(
        imports,
        "waterbirds",
        _import_waterbirds,
        "Waterbirds with its metadata.csv.",
        "waterbird_complete95_forest2water2",
    )
    faces = _importer(imports, "celeba", _import_celeba, "CelebA with its two lists.", "celeba")
    faces.add_argument(
        "--target",
        metavar="NAME",
        default="Blond_Hair",
        help="the annotation to classify (default: Blond_Hair)",
    )
    faces.add_argument(
        "--attribute",
        metavar="NAME",
        action="append",
        default=[],
        help="another annotation; may be repeated (default: Male)",
    )
    _importer(
        imports,
        "imagenet",
        _import_imagenet,
        "ImageNet, or some of its classes: train and val with a folder a class; val is the split test.",
        "ILSVRC2012",
    )
    pacs = _importer(
        imports,
        "pacs",
        _import_pacs,
        "PACS: photo, art_painting, cartoon and "
        "sketch with a folder a class in each; the attribute is domain.",
        "PACS",
    )
    pacs.add_argument(
        "--lists",
        metavar="DIR",
        help="folder of its authors' lists of train and "
        "crossval (default: found beside the images, else split by "
        "content)",
    )
    pacs.add_argument("--held-out", metavar="DOMAIN", help="the domain whose images are all test")
    meta = _importer(
        imports,
        "metashift",
        _import_metashift,
        "MetaShift: folders such as "
        "train/cat/cat(indoor), or without train and test; the attribute is context.",
        "MetaShift-Cat-Dog-indoor-outdoor",
    )
    meta.add_argument(
        "--pool",
        action="store_true",
        help="take train and test together and split them by content, as benchmarks of subpopulations do",
    )


def _importer(
    imports: Commands, name: str, run: Callable[[Shell], None], what: str, example: str
) -> argparse.ArgumentParser:
    command = imports.add(name, run, what, f"data import {name} {example} --name birds", data_set=False)
    command.add_argument("source", metavar="PATH", help="what to import")
    command.add_argument("--name", required=True, help="what to call the data set")
    command.add_argument(
        "--copy", action="store_true", help="copy the images into the home (default: refer to them)"
    )
    command.add_argument(
        "--seed", type=int, default=0, help="of the split by content, where the images have none (default: 0)"
    )
    return command
