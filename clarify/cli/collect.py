"""The command that collects: `clarify collect`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Commands, Shell, bar
from clarify.cli.words import SHORT_RUN, left_out, percent, table

if TYPE_CHECKING:
    from clarify.workflow.collect.labels import Accepted
    from clarify.workflow.collect.pools import OpenPool
    from clarify.workflow.collect.ranking import Collected
    from clarify.workflow.model.models import Model
    from clarify.workflow.model.project import Workspace

__all__ = ["add_collect"]

SHOWN = 20


def _collect(shell: Shell) -> None:
    """Rank images without labels for what the model lacks, hand them on to be labelled, and take in the
    labels that come back.
    """
    from clarify.errors import InputError
    from clarify.workflow.collect.pools import open_pool
    from clarify.workflow.exchange.predict import chosen_model
    from clarify.workflow.model.models import open_model

    args = shell.args
    if (args.labels is None) != (args.out_name is None):
        raise InputError("labels become a data set of their own; give both --labels FILE and --out-name NEW")
    _check_places(shell)  # before the pool is embedded
    project = shell.project()
    base = open_model(project)
    model = base if args.model is None else chosen_model(project, args.model)
    by_model = [] if args.labels or args.by != "class" else [model.body(project)]
    encoders = list({each.identity.image_digest: each for each in (*project.encoders, *by_model)}.values())
    with bar(f"embed {args.pool}") as move:
        pool = open_pool(project, args.pool, encoders, workers=shell.settings.workers, progress=move)
    if args.labels is None:
        _rank(shell, project, base, model, pool)
    else:
        _accept(shell, project, base, pool)


def _rank(shell: Shell, project: Workspace, base: Model, model: Model, pool: OpenPool) -> None:
    from clarify.workflow.collect.ranking import collect
    from clarify.workflow.exchange.export import chosen_descriptions, write_rows
    from clarify.workflow.exchange.forms import label_tasks

    args = shell.args
    chosen = chosen_descriptions(project, base, args.description)
    found = collect(project, model, pool, chosen, by=args.by, most=args.images)
    tasks = found.tasks()
    lines = [_collected(found)]
    result: dict[str, Any] = found.to_dict()
    if args.out is not None:
        write_rows(Path(args.out), tasks)
        lines.append(f"fill the column label of {args.out}, then: {_next(shell, args.out)}")
    if args.label_studio is not None:
        place = Path(args.label_studio)
        handed = label_tasks(pool.images.root, tasks.drop("label"), project.manifest.classes, place)
        lines.append(f"{handed.rows:,} tasks in {place}; of their export: {_next(shell, 'EXPORT.json')}")
        lines += left_out(handed.left_out)
        result["left_out"] = list(handed.left_out)
    shell.answer(result, "\n".join(lines))


def _accept(shell: Shell, project: Workspace, base: Model, pool: OpenPool) -> None:
    from clarify.data.labels import read_labels
    from clarify.workflow.collect.labels import accept

    place = Path(shell.args.labels)
    found = accept(project, base, pool, read_labels(place), source=place, out_name=shell.args.out_name)
    shell.answer(found.to_dict(), _accepted(found))


def _check_places(shell: Shell) -> None:
    from clarify.workflow.exchange.export import ENDINGS
    from clarify.workflow.exchange.predict import output_file

    for place, endings in ((shell.args.out, ENDINGS), (shell.args.label_studio, (".json",))):
        if place is not None:
            output_file(Path(place), endings)


def _next(shell: Shell, labels: str) -> str:
    return f"clarify collect {shell.args.name} {shell.args.pool} --labels {labels} --out-name NEW"


def _collected(found: Collected) -> str:
    counts = found.counts
    rows = [
        [
            row["id"],
            row["class"],
            f"{row['half']} {row['phrase']}",
            f"{row['similarity']:.3f}",
            "" if row["probability"] is None else percent(row["probability"]),
        ]
        for row in found.table.head(SHOWN).iter_rows(named=True)
    ]
    more = found.table.height - len(rows)
    lines = [
        f"{found.table.height:,} of {counts['pool']:,} images to label first; {counts['on_the_side']:,} are "
        f"on the side of a described half; {counts['there']:,} are in the data set already, "
        f"{counts['copies']:,} passed over as copies, {counts['unreadable']:,} cannot be read; "
        f"run {found.run[:SHORT_RUN]}",
        table(["image", "for class", "half", "similarity", "class by the model"], rows),
    ]
    return "\n".join(
        [*lines, *([f"and {more:,} more; --json, --out and --label-studio have all"] if more else [])]
    )


def _accepted(found: Accepted) -> str:
    added = ", ".join(f"{count:,} {name}" for name, count in found.images.items())
    return "\n".join(
        [
            f"{found.manifest.name}: {sum(found.images.values()):,} more training images ({added}); "
            f"{found.unlabelled:,} came back without a label: {found.toml}",
            *left_out(found.left_out),
            f"next: clarify train {found.manifest.name}",
        ]
    )


def add_collect(commands: Commands) -> None:
    """Add ``collect``."""
    command = commands.add("collect", _collect, "collect birds ~/new-pictures --images 100 --out tasks.csv")
    command.takes(
        "pool POOL",
        "images without labels: another data set of the home (its labels are not read), a folder of "
        "pictures, a list of them (.txt, .csv), or their features by the data set's encoder (.npz, .npy, "
        ".parquet)",
    )
    command.takes(
        "--description RUN",
        "a kept description's run; may be repeated (default: the best kept one of each class)",
        repeated=True,
    )
    command.takes(
        "--by",
        "in which order: farthest on the half's side of the cut; on that side, most surely of the class by "
        "the model; on that side, unlike those before (default: phrase)",
        choices=["phrase", "class", "diversity"],
        default="phrase",
    )
    command.takes("--images N", "for each description (default: 50)", type=int, default=50)
    command.takes("--out FILE", "a table to fill in: .csv or .parquet")
    command.takes("--label-studio FILE", "Label Studio's tasks: .json, with the labeling interface beside it")
    command.takes("--labels FILE", "what came back: the table, or Label Studio's export (.json)")
    command.takes("--out-name NEW", "what to call the data set that has them among its training images")
    command.takes(
        "--model RUN",
        "whose probabilities: a run, its first characters, or an alias (default: the newest base model)",
    )
