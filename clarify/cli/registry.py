"""Commands of the registry: the history of champions, and back to an earlier one."""

from __future__ import annotations

from clarify.cli.shell import Commands, Shell

__all__ = ["add_commands"]


def _rollback(shell: Shell) -> None:
    from clarify.report import registry as report
    from clarify.workflow.decide.champions import rollback
    from clarify.workflow.decide.promote import model_name

    project = shell.project()
    event = rollback(project, shell.args.to, note=shell.args.note)
    name = model_name(project)
    shell.answer({"model": name, **event.to_dict()}, report.rolled_back(name, event))


def _history(shell: Shell) -> None:
    from clarify.report import registry as report
    from clarify.workflow.decide.champions import standing

    found = standing(shell.project())
    shell.answer(found.to_dict(), report.history(found))


def add_commands(commands: Commands) -> None:
    """Add them."""
    command = commands.add(
        "rollback",
        _rollback,
        "Make an earlier champion the champion again.",
        'rollback rendered-waterbirds --note "the new one fails on snow"',
    )
    command.add_argument(
        "--to",
        metavar="VERSION",
        help="a version that was champion before (default: the one that the champion followed)",
    )
    command.add_argument("--note", default="", help="why, for the record")
    commands.add(
        "history",
        _history,
        "Tell who made which model the champion, when and why.",
        "history rendered-waterbirds",
    )
