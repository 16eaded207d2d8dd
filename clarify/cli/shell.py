"""What every command gets: settings, arguments, a way to answer, and the adapters of a data set."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.errors import InputError

if TYPE_CHECKING:
    from clarify.workflow.model.project import Project

__all__ = ["Commands", "Progress", "Shell", "add_base_model", "bar", "phrases_of"]


class Progress(Protocol):
    """How far a long step is: things done, of how many, and how many of them were bad."""

    @property
    def done(self) -> int:
        """Things done."""

    @property
    def total(self) -> int:
        """Things to do."""

    @property
    def bad(self) -> int:
        """Things that could not be used."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What every command gets: settings, arguments, and how to answer."""

    settings: Settings
    args: argparse.Namespace

    def project(self) -> Project:
        """Open the data set that the command names."""
        return open_project(self.settings, self.args.name, say=self.say)

    def answer(self, result: dict[str, Any], text: str) -> None:
        """Print the result: for machines as one JSON object, else as text."""
        print(json.dumps(result, ensure_ascii=False, allow_nan=False) if self.args.json else text)

    def say(self, line: str) -> None:
        """Tell on stderr what happens."""
        print(line, file=sys.stderr, flush=True)


class Commands:
    """Adds commands that all share the same options.

    Parameters
    ----------
    parser : ArgumentParser
        Gets one subcommand a command.
    common : ArgumentParser
        Options of every command.
    """

    def __init__(self, parser: argparse.ArgumentParser, common: argparse.ArgumentParser) -> None:
        self._commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
        self._common = common

    def add(
        self, name: str, run: Callable[[Shell], None], what: str, example: str, *, data_set: bool = True
    ) -> argparse.ArgumentParser:
        """Add a command; with `data_set` its first argument is ``NAME``, a data set."""
        command = self._commands.add_parser(
            name, help=what, description=what, epilog=f"example: clarify {example}", parents=[self._common]
        )
        command.set_defaults(handler=run)
        if data_set:
            command.add_argument("name", metavar="NAME", help="the data set, as in data_manifests")
        return command

    def group(self, name: str, what: str) -> Commands:
        """Add a command that has commands of its own, as in ``clarify data check``."""
        return Commands(self._commands.add_parser(name, help=what, description=what), self._common)


def add_base_model(command: argparse.ArgumentParser) -> None:
    """Let a command choose whose errors it is about."""
    command.add_argument(
        "--model", metavar="RUN", help="base model's run, or its first characters (default: newest)"
    )


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


@contextlib.contextmanager
def bar(title: str, unit: str = "image") -> Iterator[Callable[[Progress], None]]:
    """Show a bar with rate and time left on stderr; yields the callback that moves it."""
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, file=sys.stderr, dynamic_ncols=True) as shown:

        def move(progress: Progress) -> None:
            shown.total = progress.total
            if progress.bad:
                shown.set_postfix_str(f"{progress.bad} left out", refresh=False)
            shown.update(progress.done - shown.n)

        yield move
