"""The commands that train: train a base model, retrain it so that the described halves count."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell, phrases_of
from clarify.errors import InputError

if TYPE_CHECKING:
    from clarify.finetune.schedule import Schedule
    from clarify.workflow.model.progress import RetrainingProgress

__all__ = ["add_retrain", "add_train"]

OF_NETWORKS = ("weights", "classes", "epochs", "batch_size", "rate", "image_size", "bf16", "compile", "ema")


def _train(shell: Shell) -> None:
    from clarify.cli import training_words as report
    from clarify.workflow.retrain.heads import train

    args = shell.args
    if not args.model:
        _refuse_of_networks(args, "give --model timm:MODEL, or leave it out")
        trained = train(shell.project())
        shell.answer(trained.to_dict(), report.trained(trained))
        return
    from clarify.finetune.processes import joined
    from clarify.workflow.retrain.networks import RETRAINING, TRAINING, Plan, train_network

    plan = Plan(
        model=args.model,
        weights=args.weights or "",
        weight_classes=_listed(args.classes),
        size=args.image_size,
        schedule=_schedule(
            args, dataclasses.replace(TRAINING, rate=RETRAINING.rate) if args.weights else TRAINING
        ),
    )
    with joined() as processes, _steps(processes.is_first) as move:
        found = train_network(
            shell.project(), plan, processes=processes, workers=shell.settings.workers, progress=move
        )
    if found is not None:
        shell.answer(found.to_dict(), report.trained(found))


def _retrain(shell: Shell) -> None:
    from clarify.cli import training_words as report
    from clarify.workflow.describe.phrases import kept_descriptions
    from clarify.workflow.model.models import open_model, standing_on
    from clarify.workflow.model.recipe import Recipe
    from clarify.workflow.retrain.heads import retrain

    args = shell.args
    recipe = Recipe(
        objective=args.objective,
        seeds=args.seeds,
        part=_part(args),
        erase=args.erase,
        opposites=phrases_of(args.opposite, "--opposite"),
        refit=args.refit,
        select=args.select,
    )
    project = shell.project()
    base = open_model(project, args.model)
    descriptions = kept_descriptions(project, base, args.description)
    project = standing_on(project, base)
    if recipe.part == "head":
        _refuse_of_networks(args, "give --whole or --last-layers N, or leave it out")
        trained = retrain(project, base, descriptions, recipe=recipe)
        shell.answer(trained.to_dict(), report.trained(trained))
        return
    from clarify.finetune.processes import joined
    from clarify.workflow.retrain.networks import RETRAINING, retrain_network

    with joined() as processes, _steps(processes.is_first) as move:
        found = retrain_network(
            project,
            base,
            descriptions,
            recipe=recipe,
            processes=processes,
            progress=move,
            workers=shell.settings.workers,
            schedule=_schedule(args, RETRAINING),
        )
    if found is not None:
        shell.answer(found.to_dict(), report.trained(found))


def _part(args: argparse.Namespace) -> str:
    if args.whole:
        return "whole"
    return "head" if args.last_layers is None else f"last-{args.last_layers}"


def _schedule(args: argparse.Namespace, usual: Schedule) -> Schedule:
    """Return the usual schedule with what was asked for."""
    asked = {name: getattr(args, name) for name in ("epochs", "batch_size", "rate")}
    return dataclasses.replace(
        usual,
        **{name: value for name, value in asked.items() if value is not None},
        seed=getattr(args, "seed", 0),
        precision="bf16" if args.bf16 else "auto",
        compiled=args.compile,
        averaged=args.ema,
    )


def _refuse_of_networks(args: argparse.Namespace, advice: str) -> None:
    for name in OF_NETWORKS:
        if getattr(args, name, None):
            raise InputError(f"--{name.replace('_', '-')} is about networks: {advice}")


def _listed(path: str | None) -> tuple[str, ...]:
    if path is None:
        return ()
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the list of classes {path} cannot be read ({error})") from None
    return tuple(line.strip() for line in lines if line.strip())


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


def add_train(commands: Commands) -> None:
    """Add ``train``."""
    command = commands.add(
        "train",
        _train,
        "Train the base model: the last layer on features, or a network of timm.",
        "train rendered-waterbirds --model timm:resnet10t --image-size 64",
    )
    command.add_argument(
        "--model",
        metavar="timm:MODEL",
        help="a network (default: the last layer on the backbone's features, by ERM)",
    )
    command.add_argument(
        "--weights",
        metavar="FILE|hub",
        help="where it begins; with --epochs 0 they are evaluated as they are (default: at random)",
    )
    command.add_argument(
        "--classes",
        metavar="FILE",
        help="what the outputs of the weights are, a "
        "class a line: those of the data set are picked out of them",
    )
    command.add_argument(
        "--image-size", type=int, metavar="PIXELS", help="side of its input (default: the model's own)"
    )
    command.add_argument("--seed", type=int, default=0, help="(default: 0)")
    _add_of_networks(command, epochs=20)


def add_retrain(commands: Commands) -> None:
    """Add ``retrain``."""
    command = commands.add(
        "retrain", _retrain, "Retrain so that the described halves count.", "retrain rendered-waterbirds"
    )
    command.add_argument(
        "--description",
        metavar="RUN",
        action="append",
        default=[],
        help="a kept description's run; may be repeated (default: the best kept one of each class)",
    )
    command.add_argument(
        "--objective",
        default="reweight",
        choices=["worst_group", "reweight", "group_dro", "cvar", "erm"],
        help="what counts (default: reweight)",
    )
    command.add_argument(
        "--erase",
        default="none",
        metavar="WAY",
        help="take what the phrases "
        "describe out of the features first: none, mean_difference, regression, "
        "regression_unlabelled, leace or text (default: none)",
    )
    command.add_argument(
        "--opposite",
        metavar="CLASS=PHRASE",
        action="append",
        default=[],
        help="for --erase regression: what stands against the class's phrase, such as woman against man",
    )
    command.add_argument(
        "--refit",
        action="store_true",
        help="fit the chosen weight decay to the "
        "images that people looked at, too; validation is then told by "
        "folds",
    )
    command.add_argument(
        "--select",
        default="described_worst_group",
        metavar="RULE",
        help="what chooses the weight decay: described_worst_group, worst_class, "
        "average, or annotated_worst_group, which makes it an oracle (default: "
        "described_worst_group)",
    )
    command.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="retrain so many times: the first "
        "on all images, each other on images drawn anew from them, which shows "
        "how far the figures can be trusted (default: 1)",
    )
    command.add_argument(
        "--model", metavar="RUN", help="base model's run, or its first characters (default: newest)"
    )
    part = command.add_mutually_exclusive_group()
    part.add_argument(
        "--head", action="store_true", help="the last layer, solved exactly in seconds (default)"
    )
    part.add_argument("--last-layers", type=int, metavar="N", help="the last N layers of a network")
    part.add_argument("--whole", action="store_true", help="all of a network")
    _add_of_networks(command, epochs=10)
