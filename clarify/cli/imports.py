"""Commands that bring in what other tools made, features and predictions; and what features are kept."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell
from clarify.cli.words import MANY_CLASSES, SHORT_RUN, percent, table
from clarify.errors import shown

if TYPE_CHECKING:
    from clarify.workflow.exchange.imports import ImportedFeatures, ImportedPredictions
    from clarify.workflow.home.features import KeptFeatures

__all__ = ["add_features", "add_predictions"]


def _import_features(shell: Shell) -> None:
    """Import image features of a data set, and phrases in the same space."""
    from clarify.data.manifest import open_manifest
    from clarify.embed.store import FeatureStore
    from clarify.workflow.exchange.imports import import_features

    args, home = shell.args, shell.settings.home
    found = import_features(
        home,
        open_manifest(home, args.name),
        FeatureStore(home),
        Path(args.file),
        label=args.label,
        bank=None if args.bank is None else Path(args.bank),
        template=args.template,
        text_encoder=args.text_encoder,
        in_order=args.in_order,
        usual=shell.settings.usual_encoder,
    )
    shell.answer(dataclasses.asdict(found), _imported_features(found))


def _list_features(shell: Shell) -> None:
    """List the features of all data sets, and which of them are used."""
    from clarify.workflow.home.features import kept_features

    kept = kept_features(shell.settings.home)
    shell.answer({"features": [each.to_dict() for each in kept]}, _kept(kept) if kept else "none")


def _clean_features(shell: Shell) -> None:
    """Remove features of data sets that were changed or removed, which no command opens."""
    from clarify.workflow.home.features import clean_features

    removed = clean_features(shell.settings.home)
    text = f"removed:\n{_kept(removed)}" if removed else "nothing to remove"
    shell.answer({"removed": [each.to_dict() for each in removed]}, text)


def _kept(features: Sequence[KeptFeatures]) -> str:
    rows = [
        [
            each.data_set,
            each.manifest,
            each.encoder or "not complete",
            f"{each.images:,}",
            f"{each.size / 1e6:,.1f} MB",
            "" if each.used else "unused",
        ]
        for each in features
    ]
    return table(["data set", "manifest", "encoder", "images", "size", ""], rows)


def _import_predictions(shell: Shell) -> None:
    """Import a model's predictions, to describe the failures of a model trained elsewhere."""
    from clarify.data.predictions import read_predictions
    from clarify.workflow.exchange.imports import import_predictions

    args = shell.args
    project = shell.project()
    classes = project.manifest.classes
    found = read_predictions(
        Path(args.file), classes, id_column=args.id, predicted_column=args.predicted, numbers=args.numbers
    )
    shell.say("columns: " + ", ".join(f"{what} is {name}" for what, name in found.columns.items()))
    shell.say(f"classes are given by their {found.reading}" + _order(found.reading, classes))
    for note in found.notes:
        shell.say(f"note: {note}")
    done = import_predictions(project, found, model_name=args.model_name)
    shell.answer(done.to_dict(), _imported_predictions(done))


def _order(reading: str, classes: Sequence[str]) -> str:
    """Tell which class each position is, as far as a line goes: another order is another model."""
    if reading == "names":
        return ""
    told = ", ".join(f"{number} is {shown(name)}" for number, name in enumerate(classes[:MANY_CLASSES]))
    return f": {told}" + (", and so on" if len(classes) > MANY_CLASSES else "")


def _imported_features(found: ImportedFeatures) -> str:
    """Tell what features came in, and how to use them."""
    low, high = found.norms
    lines = [
        f"{found.images:,} images of {found.data_set}, {found.width} numbers each, as encoder "
        f"{found.encoder}, in {found.folder}"
    ]
    if low < 0.999 or high > 1.001:
        lines.append(f"their lengths ran from {low:.4g} to {high:.4g}; they are kept with length 1")
    if found.ignored:
        lines.append(f"{found.ignored:,} rows of the file are of no image of the data set")
    lines.append(_phrases(found))
    lines.append(_next_step(found))
    return "\n".join(lines)


def _next_step(found: ImportedFeatures) -> str:
    if found.settled == "encoder":
        return f"it embeds the data set from now on: clarify train {found.data_set}"
    if found.settled:
        return (
            f"models stand on it from now on; phrases need an encoder: clarify embed {found.data_set}, or: "
            f"clarify bridge {found.data_set} --network {found.encoder}"
        )
    option = "--encoder" if found.phrases or found.text_encoder else "--backbone"
    return f"use it: clarify train {found.data_set} {option} {found.encoder}"


def _phrases(found: ImportedFeatures) -> str:
    bank = f"{found.phrases:,} phrases" if found.phrases else "no phrases"
    if found.text_encoder:
        return f"{bank}; others are embedded by {found.text_encoder}"
    if found.phrases:
        return f"{bank}; others are refused, with the nearest of these"
    return f"{bank}: for phrases another encoder is needed"


def _imported_predictions(found: ImportedPredictions) -> str:
    """Tell how the model does whose predictions came in."""
    lines = [
        f"{found.name}: base model, run {found.run_id[:SHORT_RUN]}"
        + ("" if found.probabilities else ", predicted classes without probabilities"),
        table(
            ["split", "average", "worst group"],
            [
                [split, percent(each.average), percent(each.worst_group)]
                for split, each in found.evaluations.items()
            ],
        ),
    ]
    if found.ignored:
        lines.append(f"{found.ignored:,} rows of the file are of no image of the data set")
    return "\n".join(lines)


def add_features(commands: Commands) -> None:
    """Add ``features``."""
    features = commands.group("features", "Image features: those that another tool made, and those kept.")
    features.add("list", _list_features, "features list", data_set=False)
    features.add("clean", _clean_features, "features clean", data_set=False)
    command = features.add(
        "import", _import_features, "features import birds clip.npz --bank words.npz --label clip-b32"
    )
    command.takes("file FILE", ".npz, .npy, .parquet with ids and vectors, or a folder of clip-retrieval")
    command.takes(
        "--label", "names the encoder from then on: imported:LABEL (default: features)", default="features"
    )
    command.takes("--bank FILE", "phrases and their embeddings, in the same kinds of files")
    command.takes("--template", "prompt that the bank's phrases were put into (default: {})", default="{}")
    command.takes(
        "--text-encoder SPEC",
        "embeds phrases that are not in the bank, as open_clip:ViT-B-32:openai",
        default="",
    )
    command.takes(
        "--in-order", "a file without ids has its rows in the order of the data set's table", flag=True
    )


def add_predictions(commands: Commands) -> None:
    """Add ``predictions``."""
    predictions = commands.group("predictions", "Predictions that another model made.")
    command = predictions.add(
        "import", _import_predictions, 'predictions import birds predictions.csv --model-name "ResNet of May"'
    )
    command.takes(
        "file FILE",
        ".csv, .tsv, .parquet or .jsonl with id, predicted, and a probability for each class if known",
    )
    command.takes("--model-name", "what to call the model", default="imported model")
    command.takes("--id COLUMN", "column of ids or paths")
    command.takes("--predicted COLUMN", "column of predicted classes")
    command.takes(
        "--numbers",
        "what numbers for classes are, where both fit: the classes' names, or their positions from 0",
        choices=["names", "positions"],
    )
