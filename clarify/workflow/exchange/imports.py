"""Bring in what other tools made: image features with a bank of phrases, and predictions."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from clarify.data.manifest import Manifest
from clarify.data.matching import check_distinct, rows_named
from clarify.data.predictions import Predictions
from clarify.embed.encoders import EncoderIdentity, load_encoder
from clarify.embed.feature_files import Named, read_bank_file, read_feature_file, unit_rows
from clarify.embed.imported import LABEL, Bank, imported_folder, write_imported
from clarify.embed.store import FeatureStore
from clarify.errors import FeatureError, InputError, is_name, shown
from clarify.method.groups.groups import AnnotatedGroups
from clarify.method.groups.metrics import Evaluation, evaluate
from clarify.track.records import model_record
from clarify.track.runs import IMPORTED
from clarify.workflow.home.settling import Settled, is_first, settle_first
from clarify.workflow.model.project import Workspace, annotated_groups_of, run_context
from clarify.workflow.model.trained import REPORTED, predictions_table

__all__ = ["ImportedFeatures", "ImportedPredictions", "import_features", "import_predictions"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportedFeatures:
    """What an import of features came to.

    Parameters
    ----------
    data_set, encoder : str
        The encoder's name is ``imported:LABEL``.
    images, width, phrases : int
        Rows of features, their length, and phrases in the bank.
    ignored : int
        Rows of the file that are of no image of the data set.
    norms : tuple of 2 floats
        The smallest and largest length of a row as it came; they are kept with length 1.
    text_encoder : str
        Embeds phrases outside the bank; empty for none.
    folder : str
        Where the features are.
    settled : {"", "encoder", "backbone"}
        What it is of the data set from now on; empty where that had one already.
    """

    data_set: str
    encoder: str
    images: int
    width: int
    phrases: int
    ignored: int
    norms: tuple[float, float]
    text_encoder: str
    folder: str
    settled: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImportedPredictions:
    """What an import of predictions came to.

    Parameters
    ----------
    run_id, name : str
        The base model's run.
    ignored : int
        Rows of the file that are of no image of the data set.
    probabilities : bool
        Whether they came with the predictions.
    reading : {"names", "positions"}
        How the file gave the classes.
    notes : tuple of str
        What a person should know of the file.
    """

    run_id: str
    name: str
    ignored: int
    probabilities: bool
    reading: str
    notes: tuple[str, ...]
    evaluations: dict[str, Evaluation]

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "run": self.run_id,
            "name": self.name,
            "ignored": self.ignored,
            "probabilities": self.probabilities,
            "reading": self.reading,
            "notes": list(self.notes),
            **{split: found.to_dict() for split, found in self.evaluations.items()},
        }


def import_features(
    home: Path,
    manifest: Manifest,
    store: FeatureStore,
    path: Path,
    *,
    label: str,
    bank: Path | None = None,
    template: str = "{}",
    text_encoder: str = "",
    in_order: bool = False,
    usual: str = "",
) -> ImportedFeatures:
    """Import features of a data set's images, and phrases in the same space.

    The first ones settle what embeds the data set; those without phrases, what its models stand on.

    Parameters
    ----------
    path : Path
        See `read_feature_file`. Rows are matched to images by id, or by path.
    label : str
        What the encoder is called from then on: ``imported:LABEL``.
    bank : Path, optional
        See `read_bank_file`; may be the same file.
    template : str
        The prompt that the bank's phrases were put into.
    text_encoder : str
        Name of a live encoder of the same space, for phrases outside the bank.
    in_order : bool
        Whether a file without ids has its rows in the order of the data set's table.
    usual : str
        The encoder of the home's ``clarify.toml``, if it has one.

    Raises
    ------
    FeatureError
        If shapes, ids, widths or numbers do not fit; nothing is written then.
    InputError, NotFoundError
        If label, template or text encoder are not legal.
    """
    if not LABEL.fullmatch(label):
        raise InputError(f"label is {shown(label)}; legal are 1 to 64 letters, digits, '.', '_' or '-'")
    named = read_feature_file(path)
    rows, ignored = _rows_of_images(manifest, named, path, in_order=in_order)
    unit, norms = unit_rows(named.array, rows, manifest.table["id"].to_list(), "image")
    known = _bank(bank, unit.shape[1])
    identity = EncoderIdentity(
        architecture=f"imported:{label}",
        weights=_content(unit, known),
        preprocessing="unknown",
        template=template,
    )
    if text_encoder and load_encoder(text_encoder, template=template).width != unit.shape[1]:
        raise FeatureError(
            f"text encoder {text_encoder} does not give embeddings of length {unit.shape[1]}, as "
            "the imported features have; attach the encoder that made them"
        )
    first = is_first(home, manifest, usual)
    features = store.save(manifest, identity, unit)
    write_imported(
        imported_folder(home, manifest.name),
        label,
        identity=identity,
        bank=known,
        width=unit.shape[1],
        text_encoder=text_encoder,
    )
    name, part = f"imported:{label}", "encoder" if known.phrases or text_encoder else "backbone"
    if first:
        chosen = {"encoder": "", part: name}
        settle_first(home, manifest.name, Settled(**chosen))
    return ImportedFeatures(
        data_set=manifest.name,
        encoder=name,
        images=len(unit),
        width=unit.shape[1],
        phrases=len(known.phrases),
        ignored=ignored,
        norms=norms,
        text_encoder=text_encoder,
        folder=str(features.folder),
        settled=part if first else "",
    )


def _rows_of_images(
    manifest: Manifest, named: Named, path: Path, *, in_order: bool
) -> tuple[NDArray[np.int64], int]:
    """Return the file's row of each image of the table, and how many rows are of no image."""
    images = manifest.table.height
    if named.names is None or in_order:
        if not in_order:
            raise FeatureError(
                f"{path}: does not tell which image each row is of; add an array or column of "
                "ids, or give --in-order if its rows are in the order of the data set's table"
            )
        if len(named.array) != images:
            raise FeatureError(
                f"{path}: {len(named.array)} rows of features, data set {manifest.name} has "
                f"{images} images; in order, there must be as many"
            )
        return np.arange(images), 0
    place = _places(manifest, named.names, path)
    missing = [each for each in manifest.table["id"] if each not in place]
    if missing:
        raise FeatureError(
            f"{path}: {len(missing)} of {images} images of data set {manifest.name} have no "
            f"features, such as {shown(missing[0])}; its rows are named like "
            f"{shown(named.names[0])}: ids or paths as in the data set's table are legal"
        )
    rows = np.array([place[each] for each in manifest.table["id"]], dtype=np.int64)
    return rows, len(named.names) - images


def _bank(path: Path | None, width: int) -> Bank:
    if path is None:
        return Bank(phrases=(), embeddings=np.empty((0, width), dtype=np.float32))
    found = read_bank_file(path)
    names = tuple(" ".join(name.split()) for name in found.names or ())
    if found.array.shape[1] != width:
        raise FeatureError(
            f"{path}: phrases of width {found.array.shape[1]}, image features of width {width}; "
            "both must come from one model"
        )
    embeddings, _ = unit_rows(found.array, np.arange(len(names)), names, "phrase")
    return Bank(phrases=names, embeddings=embeddings)


def _content(features: NDArray[np.float32], bank: Bank) -> str:
    digest = hashlib.sha256(json.dumps(bank.phrases).encode())
    for array in (bank.embeddings, features):
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def import_predictions(project: Workspace, found: Predictions, *, model_name: str) -> ImportedPredictions:
    """Record a model that Clarify did not train, by its predictions, as a base model.

    Parameters
    ----------
    found : Predictions
        Of every image of validation, by id or by path. Test counts if every image of it is there.
    model_name : str
        For people.

    Raises
    ------
    InputError
        If an image of validation has no prediction, or the name is not legal.
    """
    if not is_name(model_name):
        raise InputError(f"model name is {shown(model_name)}; legal is 1 to 100 printable letters")
    manifest = project.manifest
    place = _places(manifest, found.ids, "predictions")
    evaluations, tables = {}, []
    for split in REPORTED:
        rows = _rows_of_split(manifest, split, place, found.ids[0])
        if rows is None:
            continue
        ids, labels, predicted = manifest.ids(split), manifest.labels(split), found.predicted[rows]
        probabilities = None if found.probabilities is None else found.probabilities[rows]
        evaluations[split] = _evaluated(manifest, split, labels, predicted)
        tables.append(predictions_table(project, split, ids, labels, predicted, probabilities))
    record = model_record(
        run_context(project, "validation"),
        "base",
        name=model_name,
        head=None,
        params={"objective": IMPORTED, "selection": "none"},
        evaluations=evaluations,
        described={},
        selection=(),
        predictions=pl.concat(tables),
        descriptions=(),
        groups={},
        gate=None,
        parent="",
        oracle=False,
    )
    return ImportedPredictions(
        run_id=project.tracking.log(record),
        name=model_name,
        ignored=len(found.ids) - len(place),
        probabilities=found.probabilities is not None,
        reading=found.reading,
        notes=found.notes,
        evaluations=evaluations,
    )


def _places(manifest: Manifest, names: Sequence[str], where: object) -> dict[str, int]:
    """Return by image id which of a file's rows, as they are named there, is of it."""
    rows = rows_named(manifest, names)
    check_distinct(where, names, rows)
    ids = manifest.table["id"].to_list()
    return {ids[row]: number for number, row in enumerate(rows) if row is not None}


def _rows_of_split(
    manifest: Manifest, split: str, place: dict[str, int], name: str
) -> NDArray[np.int64] | None:
    """Return the rows of a split's predictions; None where not every image has one."""
    if split not in manifest.splits:
        return None
    ids = manifest.ids(split).tolist()
    missing = [each for each in ids if each not in place]
    if missing and split == "validation":
        raise InputError(
            f"data set {manifest.name}: {len(missing)} of {len(ids)} images of split {split} have "
            f"no prediction, such as {shown(missing[0])}; each needs one, by its id or path, and the "
            f"file's rows are named like {shown(name)}"
        )
    return None if missing else np.array([place[each] for each in ids], dtype=np.int64)


def _evaluated(
    manifest: Manifest, split: str, labels: NDArray[np.int64], predicted: NDArray[np.int64]
) -> Evaluation:
    def groups(name: str) -> AnnotatedGroups | None:
        attributes = {each: manifest.attribute(name, each) for each in manifest.attributes}
        return annotated_groups_of(manifest, manifest.labels(name), attributes)

    train = groups("train")
    return evaluate(
        predicted,
        labels,
        manifest.classes,
        groups=groups(split),
        train_counts=None if train is None else train.counts,
    )
