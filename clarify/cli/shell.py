"""What every command gets: settings, arguments, a way to answer, and the adapters of a data set."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from clarify.assembly import open_project
from clarify.cli.printing import takes_every_letter
from clarify.config import Settings
from clarify.errors import InputError
from clarify.face.pages import bar

if TYPE_CHECKING:
    from clarify.face import project as face
    from clarify.workflow.model.project import Workspace

__all__ = ["Commands", "Shell", "add_base_model", "bar", "phrases_of"]


NAMES = 13
"""Width of the column of names where commands are listed under headings."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What every command gets: settings, arguments, and how to answer."""

    settings: Settings
    args: argparse.Namespace

    def project(self) -> Workspace:
        """Open the data set that the command names."""
        return open_project(self.settings, self.args.name, say=self.say)

    def open(self) -> face.Project:
        """Open it as `clarify.open` does."""
        from clarify.face.project import Project

        return Project(self.project(), self.settings)

    def answer(self, result: dict[str, Any], text: str) -> None:
        """Print the result: for machines as one JSON object, else as text."""
        if self.args.json:  # a letter that was replaced would be another value: JSON has a way to write each
            text = json.dumps(result, ensure_ascii=not takes_every_letter(sys.stdout), allow_nan=False)
        print(text)

    def say(self, line: str) -> None:
        """Tell on stderr what happens."""
        print(line, file=sys.stderr, flush=True)


class Command(argparse.ArgumentParser):
    """What one command takes."""

    def takes(
        self, given: str, what: str, *, repeated: bool = False, flag: bool = False, **more: Any
    ) -> None:
        """Add an argument, as ``--out FILE``; a `repeated` one is a list, a `flag` is given or not."""
        name, _, metavar = given.partition(" ")
        if metavar:
            more["metavar"] = metavar
        if repeated:
            more |= {"action": "append", "default": []}
        elif flag:
            more["action"] = "store_true"
        self.add_argument(name, help=what, **more)


class Commands:
    """Adds commands that all share the same options.

    Parameters
    ----------
    parser : ArgumentParser
        Gets one subcommand a command.
    common : ArgumentParser
        Options of every command.
    width : int, optional
        Of the terminal, where the help lists commands under headings (`headed`); else it lists every one.
    """

    def __init__(
        self, parser: argparse.ArgumentParser, common: argparse.ArgumentParser, *, width: int = 0
    ) -> None:
        self._parser = parser
        self._commands = parser.add_subparsers(
            dest="command",
            required=True,
            parser_class=Command,
            metavar="COMMAND",
            help=None if not width else "one of these; clarify COMMAND --help says the rest",
        )
        self._common = common
        self._width = width

    def add(self, name: str, run: Callable[[Shell], None], example: str, *, data_set: bool = True) -> Command:
        """Add a command, whose help is the docstring of what it runs.

        With `data_set` its first argument is ``NAME``, a data set.
        """
        what = " ".join((run.__doc__ or "").split())
        command = self._parser_of(name, what, epilog=f"example: clarify {example}", parents=[self._common])
        command.set_defaults(handler=run)
        if data_set:
            command.takes("name NAME", "the data set, as in data_manifests")
        return command

    def group(self, name: str, what: str) -> Commands:
        """Add a command that has commands of its own, as in ``clarify data check``."""
        return Commands(self._parser_of(name, what), self._common)

    def headed(self, heading: str, add_each: Iterable[Callable[[Commands], None]]) -> None:
        """Add commands that the help lists under a heading: argparse has one list of them all."""
        before = len(self._commands.choices)
        for add in add_each:
            add(self)
        told = list(self._commands.choices.items())[before:]
        lines = [f"{name:<{NAMES}}{command.description}" for name, command in told]
        width, indent = max(self._width - 4, 40), " " * NAMES
        wrapped = (textwrap.fill(line, width, subsequent_indent=indent) for line in lines)
        self._parser.add_argument_group(heading, "\n".join(wrapped))

    def _parser_of(self, name: str, what: str, **more: Any) -> Command:
        # argparse lists each command that has a help of its own.
        listed: dict[str, Any] = {} if self._width else {"help": what}
        return self._commands.add_parser(name, description=what, **listed, **more)


def add_base_model(command: Command) -> None:
    """Let a command choose whose errors it is about."""
    command.takes("--model RUN", "base model's run, or its first characters (default: newest)")


def phrases_of(given: Sequence[str], option: str) -> dict[str, str]:
    """Return by class the phrases of an option that is given as ``CLASS=PHRASE``.

    Raises
    ------
    InputError
        For one of another form.
    """
    found = {}
    for each in given:
        name, equals, phrase = each.partition("=")
        if not (name and equals and phrase.strip()):
            raise InputError(f"{option} {each!r}; CLASS=PHRASE is legal")
        found[name] = phrase.strip()
    return found
