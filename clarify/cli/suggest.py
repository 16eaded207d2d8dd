"""The commands of the machine's suggestions: suggest, promise."""

from __future__ import annotations

import argparse
from pathlib import Path

from clarify.cli.shell import Commands, Shell, bar

__all__ = ["add_commands"]


def _suggest(shell: Shell) -> None:
    from clarify.report import suggest as report
    from clarify.workflow.describe.suggest import suggest
    from clarify.workflow.model.models import open_model

    args = shell.args
    project = shell.project()
    model = open_model(project, args.model)
    with bar("embed phrases", unit="phrase") as move:
        found = suggest(
            project,
            model,
            model.data(project, "validation"),
            args.class_name,
            vocabulary_file=args.vocabulary,
            most=args.most,
            progress=move,
        )
    shell.answer(found.to_dict(), report.suggested(found))


def _promise(shell: Shell) -> None:
    from clarify.report import suggest as report
    from clarify.workflow.describe.suggest import promises
    from clarify.workflow.model.models import open_model

    project = shell.project()
    model = open_model(project, shell.args.model)
    with bar("embed phrases", unit="phrase") as move, bar("search", unit="class") as search:
        found = promises(
            project,
            model,
            model.data(project, "validation"),
            vocabulary_file=shell.args.vocabulary,
            progress=move,
            searched=search,
        )
    result = {"model": model.run_id, "classes": [each.to_dict() for each in found]}
    shell.answer(result, report.promised(found))


def _add_shared(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--vocabulary",
        metavar="FILE",
        type=Path,
        help="phrases of your own, one a line (default: the imported bank, else Clarify's own)",
    )
    command.add_argument(
        "--model", metavar="RUN", help="base model's run, or its first characters (default: newest)"
    )


def add_commands(commands: Commands) -> None:
    """Add them both."""
    command = commands.add(
        "suggest",
        _suggest,
        "Let the machine search a vocabulary for what explains the errors on a class.",
        "suggest rendered-waterbirds landbird",
    )
    command.add_argument("class_name", metavar="CLASS", help="the class it fails on")
    command.add_argument(
        "--most", metavar="N", type=int, default=12, help="suggestions wanted, 1 to 100 (default: 12)"
    )
    _add_shared(command)
    command = commands.add(
        "promise",
        _promise,
        "Order the classes by how much a description of their errors promises.",
        "promise rendered-waterbirds",
    )
    _add_shared(command)
