"""The described halves of a model's classes with their images: as a table, and as folders of links.

Both are for other tools: to label the images again, to look at them, to collect more like them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from clarify.data.files import sync_folder, write_atomically, writing
from clarify.data.spreadsheets import for_spreadsheets
from clarify.embed.onnx import write_onnx
from clarify.errors import InputError, NotFoundError
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import description_scores, has_captions
from clarify.workflow.describe.recording import kept_descriptions
from clarify.workflow.exchange.predict import chosen_model, output_file
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace

__all__ = [
    "ENDINGS",
    "Linked",
    "Onnx",
    "Tabled",
    "chosen_descriptions",
    "described_images",
    "export_onnx",
    "left_out",
    "link_images",
    "new_folder",
    "safe_name",
    "write_rows",
    "write_table",
]

ENDINGS = (".csv", ".parquet")
SCHEMA = {
    "id": pl.String,
    "path": pl.String,
    "split": pl.String,
    "class": pl.String,
    "phrase": pl.String,
    "similarity": pl.Float64,
    "half": pl.String,
    "right": pl.Boolean,
    "predicted": pl.String,
}
LONGEST_NAME = 80
"""Characters of a file's name that are kept, well under what any file system allows."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Tabled:
    """A table that was written: where, how many rows, of how many descriptions."""

    path: Path
    rows: int
    descriptions: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """A folder of links that was made: where, and how many."""

    folder: Path
    links: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Onnx:
    """A model that was written as ONNX: which, where, how large, how far its logits may be off."""

    name: str
    run: str
    path: Path
    size: int
    apart: float


def export_onnx(project: Workspace, chosen: str | None, path: Path) -> Onnx:
    """Write a model as ONNX.

    Parameters
    ----------
    chosen : str or None
        As for `chosen_model`.

    Raises
    ------
    InputError, FeatureError, NotFoundError, StoreError
        As `chosen_model` and `write_onnx`.
    """
    model = chosen_model(project, chosen)
    apart = write_onnx(model.body(project), model.own_head(), path)
    return Onnx(name=model.name, run=model.run_id, path=path, size=path.stat().st_size, apart=apart)


def described_images(
    project: Workspace, model: Model, descriptions: Sequence[str], split: str | None
) -> pl.DataFrame:
    """Return a row for each image of a described class, once a description.

    Parameters
    ----------
    project, model
        The data set, and the model whose failures are described.
    descriptions : sequence of str
        Runs of kept descriptions, or their first characters; empty takes the best kept one of
        each class.
    split : str or None
        The images to take; None takes all splits.

    Returns
    -------
    DataFrame
        ``id, path`` (absolute), ``split, class, phrase, similarity`` (higher is more like the
        phrase), ``half`` (with or without; unknown, and no similarity, where the phrase asks captions and the
        image has none), ``right`` and ``predicted`` (by the model).

    Raises
    ------
    NotFoundError
        For an unknown split or run, or if nothing is described yet.
    """
    chosen = chosen_descriptions(project, model, descriptions)
    splits = project.manifest.splits if split is None else (split,)
    tables = []
    for each in splits:
        data = model.data(project, each)
        predicted = _predicted(project, model, data)
        tables += [_table(project, data, one, predicted) for one in chosen]
    return pl.concat(tables)


def chosen_descriptions(project: Workspace, model: Model, runs: Sequence[str]) -> tuple[Description, ...]:
    """Return the kept descriptions that are handed on; NotFoundError if there are none."""
    chosen = kept_descriptions(project, model, runs)
    if not chosen:
        name = project.manifest.name
        raise NotFoundError(
            f"data set {name}: no description of model {model.run_id[:8]} is kept; keep one: "
            f'clarify describe {name} CLASS "PHRASE"'
        )
    return chosen


def left_out(project: Workspace, table: pl.DataFrame, split: str | None) -> tuple[str, ...]:
    """Return which of the data set's images `described_images` has not, by class, a line each."""
    manifest = project.manifest
    asked = manifest.table if split is None else manifest.rows(split)
    there = set(table["id"].to_list())
    described, lines = set(table["class"].to_list()), []
    for name in manifest.classes:
        ids = asked.filter(label=name)["id"].to_list()
        gone = sum(each not in there for each in ids)
        if name not in described and ids:
            lines.append(f"{len(ids):,} images of {name}: no kept phrase describes it")
        elif gone:
            lines.append(f"{gone:,} images of {name}: they could not be read when the images were embedded")
    return tuple(lines)


def _predicted(project: Workspace, model: Model, data: SplitData) -> list[str | None]:
    """Return the predicted class of each image; None where an imported model has none."""
    classes = project.manifest.classes
    if model.head is None and not set(data.ids.tolist()) <= set(model.imported):
        known = (model.imported.get(name) for name in data.ids.tolist())
        return [None if number is None else classes[number] for number in known]
    return [classes[number] for number in model.predict(data)]


def _table(
    project: Workspace, data: SplitData, description: Description, predicted: list[str | None]
) -> pl.DataFrame:
    rows = data.of_class(project.manifest.class_index(description.class_name))
    phrase = parse_phrase(description.phrase)
    known = has_captions(phrase, data, rows)
    scores = np.full(len(rows), np.nan)
    scores[known] = description_scores(project, phrase, data, description.calibrations, rows[known])
    halves = np.where(scores > description.threshold, "with", "without")
    said = [predicted[row] for row in rows]
    columns = {
        "id": data.ids[rows].tolist(),
        "path": [str(data.path(row)) for row in rows],
        "split": [data.name] * len(rows),
        "class": [description.class_name] * len(rows),
        "phrase": [description.phrase] * len(rows),
        "similarity": [float(score) if there else None for score, there in zip(scores, known, strict=True)],
        "half": np.where(known, halves, "unknown").tolist(),
        "right": [None if each is None else each == description.class_name for each in said],
        "predicted": said,
    }
    return pl.DataFrame(columns, schema=SCHEMA)


def write_table(path: Path, table: pl.DataFrame) -> Tabled:
    """Write the table as CSV or Parquet, whole or not at all.

    Raises
    ------
    InputError
        For another ending.
    StoreError
        If the file cannot be written.
    """
    write_rows(path, table)
    described = table.select("class", "phrase").n_unique()
    return Tabled(path=path, rows=table.height, descriptions=described)


def write_rows(path: Path, table: pl.DataFrame) -> None:
    """Write any table as `write_table` does."""
    content = io.BytesIO()
    if output_file(path, ENDINGS).suffix.lower() == ".csv":
        for_spreadsheets(table).write_csv(content)
    else:
        table.write_parquet(content)
    with writing(path.parent, hint="then give the same command again"):
        write_atomically(path, [content.getbuffer()])


def link_images(folder: Path, table: pl.DataFrame) -> Linked:
    """Make ``folder/CLASS/PHRASE/with|without/right|wrong/ID.ext``, links to the images.

    Names that a file system may not take are changed, and then end in some digits of a hash, so
    that two never become one.

    Parameters
    ----------
    folder : Path
        Made whole or not at all; may be there, empty.
    table : DataFrame
        Of `described_images`. Images without prediction lie in ``unknown``.

    Raises
    ------
    InputError
        If the folder is there and not empty, or what it lies in is absent.
    StoreError
        If it cannot be written.
    """
    folder = new_folder(folder)
    making = folder.with_name(f".{folder.name}.{os.getpid()}.making")
    with writing(folder.parent, hint="then give the same command again"):
        try:
            links = sum(_link(making / place, path) for place, path in _places(table))
            making.mkdir(exist_ok=True)  # of no images
            os.replace(making, folder)
            sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
    return Linked(folder=folder, links=links)


def new_folder(folder: Path) -> Path:
    """Return a folder's absolute path if it can be made, or is there and empty.

    Raises
    ------
    InputError
        If it cannot.
    """
    folder = folder.absolute()
    filled = folder.is_dir() and any(folder.iterdir())
    if filled or folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise InputError(f"{folder} is there and not an empty folder; give a new one")
    if not folder.parent.is_dir():
        raise InputError(f"there is no folder {folder.parent} to make {folder.name} in")
    return folder


def _places(table: pl.DataFrame) -> Iterator[tuple[Path, Path]]:
    """Yield for each row the link's place and where it leads."""
    for row in table.iter_rows(named=True):
        right = {True: "right", False: "wrong", None: "unknown"}[row["right"]]
        path = Path(row["path"])
        name = safe_name(row["id"]) + re.sub(r"[^\w.]", "", path.suffix)[:10]
        halves = Path(safe_name(row["class"]), safe_name(row["phrase"]), row["half"], right)
        yield halves / name, path


def _link(place: Path, path: Path) -> int:
    place.parent.mkdir(parents=True, exist_ok=True)
    place.symlink_to(path)
    return 1


def safe_name(text: str) -> str:
    """Return a text as the name of a file: letters, digits, space, ``.``, ``_`` and ``-``.

    A text that is changed by that gets eight digits of its hash.
    """
    name = re.sub(r"[^\w. -]", "_", text, flags=re.ASCII).strip(". ")[:LONGEST_NAME]
    if name == text:
        return name
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:8]}".lstrip("-")
