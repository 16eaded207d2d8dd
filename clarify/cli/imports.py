"""Commands that bring in what other tools made: features with a bank of phrases, predictions."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from clarify.cli.shell import Commands, Shell

__all__ = ["add_commands"]


def _import_features(shell: Shell) -> None:
    from clarify.data.manifest import open_manifest
    from clarify.embed.store import FeatureStore
    from clarify.report import imports as report
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
    )
    shell.answer(dataclasses.asdict(found), report.imported_features(found))


def _import_predictions(shell: Shell) -> None:
    from clarify.data.predictions import read_predictions
    from clarify.report import imports as report
    from clarify.workflow.exchange.imports import import_predictions

    args = shell.args
    project = shell.project()
    found = read_predictions(
        Path(args.file), project.manifest.classes, id_column=args.id, predicted_column=args.predicted
    )
    shell.say(f"columns: id is {found.columns['id']}, predicted is {found.columns['predicted']}")
    done = import_predictions(project, found, model_name=args.model_name)
    shell.answer(done.to_dict(), report.imported_predictions(done))


def add_commands(commands: Commands) -> None:
    """Add them all."""
    features = commands.group("features", "Image features that another tool made.")
    command = features.add(
        "import",
        _import_features,
        "Import image features of a data set, and phrases in the same space.",
        "features import birds clip.npz --bank words.npz --label clip-b32",
    )
    command.add_argument(
        "file",
        metavar="FILE",
        help=".npz, .npy, .parquet with ids and vectors, or a folder of clip-retrieval",
    )
    command.add_argument(
        "--label",
        default="features",
        help="names the encoder from then on: imported:LABEL (default: features)",
    )
    command.add_argument(
        "--bank", metavar="FILE", help="phrases and their embeddings, in the same kinds of files"
    )
    command.add_argument(
        "--template", default="{}", help="prompt that the bank's phrases were put into (default: {})"
    )
    command.add_argument(
        "--text-encoder",
        default="",
        metavar="SPEC",
        help="embeds phrases that are not in the bank, as open_clip:ViT-B-32:openai",
    )
    command.add_argument(
        "--in-order",
        action="store_true",
        help="a file without ids has its rows in the order of the data set's table",
    )

    predictions = commands.group("predictions", "Predictions that another model made.")
    command = predictions.add(
        "import",
        _import_predictions,
        "Import a model's predictions, to describe the failures of a model trained elsewhere.",
        'predictions import birds predictions.csv --model-name "ResNet of May"',
    )
    command.add_argument(
        "file",
        metavar="FILE",
        help=".csv, .tsv, .parquet or .jsonl with id, predicted, and a probability for each class if known",
    )
    command.add_argument("--model-name", default="imported model", help="what to call the model")
    command.add_argument("--id", metavar="COLUMN", help="column of ids or paths")
    command.add_argument("--predicted", metavar="COLUMN", help="column of predicted classes")
