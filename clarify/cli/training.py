"""The commands that train: train a base model, retrain it so that the described halves count."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Command, Commands, Shell, add_base_model, phrases_of
from clarify.cli.words import METRICS, SHORT_RUN, percent, table
from clarify.errors import InputError

if TYPE_CHECKING:
    from clarify.finetune.schedule import Schedule
    from clarify.workflow.model.progress import RetrainingProgress
    from clarify.workflow.model.recipe import Choices
    from clarify.workflow.model.trained import Trained
    from clarify.workflow.retrain.engine import Means

__all__ = ["add_retrain", "add_train"]

OF_NETWORKS = ("weights", "classes", "epochs", "batch_size", "rate", "image_size", "bf16", "compile", "ema")

ANOTHER_MODEL = (
    "note: of the base model only predictions are known, so this is another model: a new last "
    "layer on the backbone's features, trained where the described halves count"
)


def _train(shell: Shell) -> None:
    """Train the base model: the last layer on features, or a network of timm."""
    from clarify.finetune.schedule import Schedule
    from clarify.workflow.retrain.engine import BasePlan
    from clarify.workflow.retrain.retrain import train

    args = shell.args
    plan = BasePlan(
        model=args.model or "",
        weights=args.weights or "",
        weight_classes=_listed(args.classes),
        size=args.image_size,
        schedule=_schedule(args, network=bool(args.model), advice="give --model timm:MODEL, or leave it out")
        or Schedule(seed=args.seed),
    )
    with _means(shell) as means:
        found = train(shell.project(), plan, means=means)
    if found is not None:
        shell.answer(found.to_dict(), _trained(found))


def _retrain(shell: Shell) -> None:
    """Retrain so that the described halves count."""
    from clarify.workflow.describe.recording import kept_descriptions
    from clarify.workflow.model.models import open_model
    from clarify.workflow.model.recipe import PARTS, Recipe
    from clarify.workflow.retrain.retrain import retrain

    args = shell.args
    advice = "give --whole or --last-layers N, or leave it out"
    recipe = Recipe(
        objective=args.objective,
        seeds=args.seeds,
        part=args.part,
        erase=args.erase,
        opposites=phrases_of(args.opposite, "--opposite"),
        refit=args.refit,
        select=args.select,
        schedule=_schedule(args, network=PARTS[args.part].network, advice=advice),
    )
    project = shell.project()
    base = open_model(project, args.model)
    descriptions = kept_descriptions(project, base, args.description)
    with _means(shell) as means:
        found = retrain(project, base, descriptions, recipe=recipe, means=means)
    if found is not None:
        shell.answer(found.to_dict(), _trained(found))


@contextlib.contextmanager
def _means(shell: Shell) -> Iterator[Means]:
    """Join the processes that torchrun started, and show how far the training is."""
    from clarify.finetune.processes import joined
    from clarify.workflow.retrain.engine import Means

    with joined() as processes, _steps(processes.is_first) as report:
        yield Means(processes=processes, workers=shell.settings.workers, report=report)


def _schedule(args: argparse.Namespace, *, network: bool, advice: str) -> Schedule | None:
    """Return the usual schedule of a network with what was asked for; None of a head."""
    if not network:
        for name in OF_NETWORKS:
            if getattr(args, name, None):
                raise InputError(f"--{name.replace('_', '-')} is about networks: {advice}")
        return None
    from clarify.workflow.model.recipe import RETRAINING, TRAINING

    usual = RETRAINING if args.command == "retrain" else TRAINING
    if args.command == "train" and args.weights:
        usual = dataclasses.replace(TRAINING, rate=RETRAINING.rate)
    asked = {name: getattr(args, name) for name in ("epochs", "batch_size", "rate")}
    return dataclasses.replace(
        usual,
        **{name: value for name, value in asked.items() if value is not None},
        seed=getattr(args, "seed", 0),
        precision="bf16" if args.bf16 else "auto",
        compiled=args.compile,
        averaged=args.ema,
    )


def _listed(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of classes {path} cannot be read ({error})") from None
    return tuple(line.strip() for line in lines if line.strip())


def _trained(result: Trained) -> str:
    """Tell how a model was trained and how it does."""
    settings = result.settings
    how = (
        f"{settings['epochs']} epochs, those of epoch {settings['epoch']}"
        if "epochs" in settings
        else f"weight decay {settings['weight_decay']:g}"
    )
    lines = [
        f"{result.model.name}: run {result.model.run_id[:SHORT_RUN]}, {how} chosen by "
        f"{result.rule}" + (" (oracle: uses annotated groups)" if result.oracle else ""),
        "groups in training: "
        + ", ".join(f"{name} {count:,}" for name, count in result.group_counts.items()),
        *(f"note: {note}" for note in result.notes),
        *([ANOTHER_MODEL] if result.another_model else []),
        _cost(result),
        _evaluations(result),
        *(
            [f"and {len(result.repeats)} more seeds, recorded beside it; see: clarify compare"]
            if result.repeats
            else []
        ),
    ]
    return "\n".join(lines)


def _cost(result: Trained) -> str:
    cost = result.cost
    return (
        f"{cost.parameters:,} parameters in {cost.seconds:.1f} s, at most "
        f"{cost.peak_memory_mib:,.0f} MiB of memory"
    )


def _evaluations(result: Trained) -> str:
    values = {split: found.to_dict() for split, found in result.evaluations.items()}
    shown = [key for key in METRICS if any(key in found for found in values.values())]
    return table(
        ["split", *(METRICS[key] for key in shown)],
        [[split, *(percent(found.get(key)) for key in shown)] for split, found in values.items()],
    )


@contextlib.contextmanager
def _steps(shown: bool) -> Iterator[Callable[[RetrainingProgress], None] | None]:
    """Show a bar of steps on stderr, with what the groups lose and how validation goes."""
    if not shown:
        yield None
        return
    import sys

    from tqdm import tqdm

    with tqdm(desc="training", unit="step", file=sys.stderr, dynamic_ncols=True) as bar:

        def move(progress: RetrainingProgress) -> None:
            bar.total = progress.steps
            figures = {name: f"{100 * value:.1f}%" for name, value in progress.figures.items()}
            if progress.losses:
                worst = max(progress.losses, key=progress.losses.__getitem__)
                figures[f"loss of {worst}"] = f"{progress.losses[worst]:.3f}"
            bar.set_postfix(figures, refresh=False)
            bar.set_description(
                {"control": "training the control"}.get(progress.stage, "training"), refresh=False
            )
            bar.update(progress.step - bar.n)

        yield move


def _add_of_networks(command: argparse.ArgumentParser, *, epochs: int) -> None:
    group = command.add_argument_group("networks")
    group.add_argument("--epochs", type=int, help=f"(default: {epochs})")
    group.add_argument("--batch-size", type=int, help="images of a step (default: 64)")
    group.add_argument("--rate", type=float, help="the highest rate of learning")
    group.add_argument(
        "--bf16",
        action="store_true",
        help="compute most of a step in 16 bits (default: where there is a GPU)",
    )
    group.add_argument("--compile", action="store_true", help="let torch compile the network first")
    group.add_argument("--ema", action="store_true", help="a running mean of the weights is the model")


def _add_choices(command: Command, flag: str, table: Choices[Any], what: str) -> None:
    """Add an option that chooses a row of a table; an unknown name is refused by the table."""
    from clarify.workflow.model.recipe import Recipe

    usual = getattr(Recipe(), flag.removeprefix("--"))
    rows = "; ".join(f"{row.name}: {row.words[:1].lower()}{row.words[1:]}" for row in table.values())
    command.takes(f"{flag} NAME", f"{what}. {rows} (default: {usual})", default=usual)


def add_train(commands: Commands) -> None:
    """Add ``train``."""
    command = commands.add(
        "train", _train, "train rendered-waterbirds --model timm:resnet10t --image-size 64"
    )
    command.takes(
        "--model timm:MODEL", "a network (default: the last layer on the backbone's features, by ERM)"
    )
    command.takes(
        "--weights FILE|pretrained",
        "where it begins: pretrained are those that timm knows of, of an installed package (extra photos) or "
        "of the hub; with --epochs 0 they are evaluated as they are (default: at random)",
    )
    command.takes(
        "--classes FILE",
        "what the outputs of the weights are, a class a line: those of the data set are picked out of them",
    )
    command.takes("--image-size PIXELS", "side of its input (default: the model's own)", type=int)
    command.takes("--seed", "(default: 0)", type=int, default=0)
    _add_of_networks(command, epochs=20)


def add_retrain(commands: Commands) -> None:
    """Add ``retrain``."""
    from clarify.workflow.model.recipe import ERASURES, OBJECTIVES, PARTS, SELECTIONS, Recipe

    command = commands.add("retrain", _retrain, "retrain rendered-waterbirds")
    command.takes(
        "--description RUN",
        "a kept description's run; may be repeated (default: the best kept one of each class)",
        repeated=True,
    )
    _add_choices(command, "--objective", OBJECTIVES, "what counts")
    _add_choices(command, "--erase", ERASURES, "what is taken out of the features first")
    _add_choices(command, "--select", SELECTIONS, "what chooses the weight decay")
    command.takes(
        "--opposite CLASS=PHRASE",
        "for --erase regression: what stands against the class's phrase, such as woman against man",
        repeated=True,
    )
    command.takes(
        "--refit",
        "fit the chosen weight decay to the images that people looked at, too; validation is then "
        "told by folds",
        flag=True,
    )
    command.takes(
        "--seeds",
        "retrain so many times: the first on all images, each other on images drawn anew from them, "
        "which shows how far the figures can be trusted (default: 1)",
        type=int,
        default=1,
    )
    add_base_model(command)
    command.set_defaults(part=Recipe().part)
    part = command.add_mutually_exclusive_group()
    for row in PARTS.values():
        own: dict[str, Any] = {"action": "store_const", "const": row.name}
        if "N" in row.name:
            own = {"metavar": "N", "type": functools.partial(row.name.replace, "N")}
        part.add_argument(row.flag, dest="part", default=argparse.SUPPRESS, help=row.help, **own)
    _add_of_networks(command, epochs=10)
