"""Predict any images with a model of the data set: its champion, or the model of a run."""

from __future__ import annotations

import dataclasses
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.data.files import write_atomically, writing
from clarify.data.images import ENDINGS, BadImage, load_image
from clarify.data.parallel import Progress, in_threads
from clarify.data.spreadsheets import for_spreadsheets
from clarify.embed.answering import AT_ONCE, probabilities
from clarify.embed.packing import can_pack
from clarify.errors import InputError, NotFoundError
from clarify.track.registry import CHAMPION, version_of, without_champion
from clarify.workflow.decide.champions import registry_state
from clarify.workflow.model.models import Model, open_model
from clarify.workflow.model.project import Workspace, model_name

if TYPE_CHECKING:
    import torch

__all__ = [
    "FORMATS",
    "Answered",
    "Written",
    "chosen_model",
    "images_in",
    "listed_images",
    "output_file",
    "predict",
    "refuse_all_bad",
    "write_predictions",
]

FORMATS = (".csv", ".jsonl", ".parquet")
LABEL = "label"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answered:
    """Some images with their predictions, in the order given.

    Parameters
    ----------
    class_names : tuple of K str
    paths : tuple of N paths
    probabilities : (N, K) float64
        Rows add up to 1.
    bad : tuple of BadImage
        The images before or among them that cannot be read.
    """

    class_names: tuple[str, ...]
    paths: tuple[Path, ...]
    probabilities: NDArray[np.float64]
    bad: tuple[BadImage, ...]

    def table(self) -> pl.DataFrame:
        """Return ``path``, ``label`` and a column of probabilities a class."""
        best = self.probabilities.argmax(axis=1)
        return pl.DataFrame(
            {
                # A name that is no UTF-8 is legal on a disk, and in no table.
                "path": [os.fsencode(path).decode(errors="replace") for path in self.paths],
                LABEL: [self.class_names[k] for k in best],
                **{name: self.probabilities[:, k] for k, name in enumerate(self.class_names)},
            },
            schema={"path": pl.String, LABEL: pl.String} | dict.fromkeys(self.class_names, pl.Float64),
        )


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """What a file of predictions came to.

    Parameters
    ----------
    images : int
        Rows in it.
    bad : tuple of BadImage
        What was left out.
    """

    path: Path
    images: int
    bad: tuple[BadImage, ...]


def chosen_model(project: Workspace, chosen: str | None) -> Model:
    """Return the champion, the version that holds another alias, or the model of a run.

    Parameters
    ----------
    chosen : str or None
        An alias, or a run or its first characters; None is the champion.

    Raises
    ------
    NotFoundError
        If nothing of that name is there for this manifest and backbone.
    InputError
        If of the model only predictions are known.
    """
    name = model_name(project)
    version = version_of(project.tracking, name, alias=chosen or CHAMPION)
    if version is not None:
        return open_model(project, version.run_id, kind="retraining")
    if chosen is None:
        if lost := registry_state(project).uncrowned:
            raise NotFoundError(without_champion(project.manifest.name, lost))
        raise NotFoundError(
            f"data set {project.manifest.name} has no champion yet; promote a model: clarify "
            f"promote {project.manifest.name}, or give --model RUN"
        )
    try:
        model = open_model(project, chosen, kind="retraining")
    except NotFoundError as error:
        try:
            model = open_model(project, chosen, kind="base")
        except NotFoundError:
            raise NotFoundError(f"model {chosen!r} is no alias of {name}: {error}") from None
    model.own_head()
    return model


def images_in(folder: Path) -> list[Path]:
    """Return the images below a folder by their names' endings, sorted.

    Raises
    ------
    NotFoundError
        If there is no such folder, or no image in it.
    """
    if not folder.is_dir():
        raise NotFoundError(f"there is no folder {folder}; give one that holds images")
    endings = {ending for several in ENDINGS.values() for ending in several}
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and not path.is_dir())
    if not found:
        raise NotFoundError(f"folder {folder} holds no image; looked for are {', '.join(sorted(endings))}")
    return found


def listed_images(file: Path) -> list[Path]:
    """Return the paths that a text file lists, one a line; relative ones are to its folder.

    Raises
    ------
    NotFoundError
        If there is no such file.
    InputError
        If it is no text, or lists nothing.
    """
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise NotFoundError(f"the list {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"the list {file} is no text in UTF-8; legal is one path a line") from None
    found = [file.parent / line.strip() for line in lines if line.strip()]
    if not found:
        raise InputError(f"the list {file} names no image; legal is one path a line")
    return found


def predict(
    project: Workspace,
    model: Model,
    paths: Sequence[Path],
    *,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
) -> Iterator[Answered]:
    """Yield predictions of images in order, some at a time, so that any number of them fits.

    Parameters
    ----------
    project, model
        The data set, and one of its models.
    workers : int
        Threads that decode.
    progress : callable, optional
        Called after every few images.

    Raises
    ------
    InputError
        If the backbone was imported and embeds no images, of the model only predictions are
        known, or a class has the name of another column.
    """
    encoder, head = model.body(project), model.own_head()
    if not can_pack(encoder):
        raise InputError(
            f"encoder {encoder.name} was imported and embeds no images; give --backbone a network"
        )
    for name in ("path", LABEL):
        if name in head.class_names:
            raise InputError(f"a class is named {name!r}, as a column of the answer; rename it")

    def prepared(path: Path) -> torch.Tensor | BadImage:
        try:
            return encoder.preprocess(load_image(path))
        except BadImage as bad:
            return bad

    found = zip(paths, in_threads(prepared, paths, workers=workers, progress=progress), strict=True)
    while batch := list(itertools.islice(found, AT_ONCE)):
        good = [(path, each) for path, each in batch if not isinstance(each, BadImage)]
        answers = np.empty((0, len(head.class_names)))
        if good:
            answers = probabilities(encoder, head, [each for _, each in good])
        yield Answered(
            class_names=head.class_names,
            paths=tuple(path for path, _ in good),
            probabilities=answers,
            bad=tuple(each for _, each in batch if isinstance(each, BadImage)),
        )


def write_predictions(path: Path, answered: Iterable[Answered]) -> Written:
    """Write predictions to a file, whole or not at all; CSV and JSON lines as they come.

    Parameters
    ----------
    path : Path
        Ends in one of `FORMATS`.

    Raises
    ------
    InputError
        For another ending, or if none of the images can be read.
    StoreError
        If the file cannot be written.
    """
    kind = output_file(path, FORMATS).suffix.lower()
    bad: list[BadImage] = []
    images = 0

    def tables() -> Iterator[pl.DataFrame]:
        nonlocal images
        for each in answered:
            bad.extend(each.bad)
            images += len(each.paths)
            if each.paths:
                yield each.table()
        refuse_all_bad(images, bad)

    with writing(path.parent, hint="then give the same command again"):
        write_atomically(path, _parts(kind, tables()))
    return Written(path=path, images=images, bad=tuple(bad))


def output_file(path: Path, endings: Sequence[str]) -> Path:
    """Return a file's path if it can be one to write.

    Raises
    ------
    InputError
        If its ending is not legal, its folder is absent, or it is a folder itself.
    """
    if path.suffix.lower() not in endings:
        raise InputError(f"the file {path} ends in {path.suffix!r}; legal are {', '.join(endings)}")
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} in; make it first")
    if path.is_dir():
        raise InputError(f"{path} is a folder; give the name of a file to write")
    return path


def refuse_all_bad(images: int, bad: Sequence[BadImage]) -> None:
    """Raise InputError if there is not one image that can be read."""
    if not images:
        first = f"; the first is {bad[0].path}: {bad[0].reason}" if bad else ""
        raise InputError(f"none of the {len(bad)} images can be read{first}")


def _parts(kind: str, tables: Iterator[pl.DataFrame]) -> Iterator[bytes]:
    if kind == ".parquet":
        content = io.BytesIO()
        pl.concat(list(tables)).write_parquet(content)
        yield content.getvalue()
        return
    first = True
    for table in tables:
        if kind == ".csv":
            yield for_spreadsheets(table).write_csv(include_header=first).encode()
        else:
            rows: list[dict[str, Any]] = table.to_dicts()
            yield "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        first = False
