"""The command line: one command a workflow function.

Results go to stdout (`--json` for machines), progress to stderr. Exit status 0: done; 1: refused,
with one line that says why; 2: the command line itself is wrong.
"""

from __future__ import annotations

import argparse
import errno
import functools
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from clarify.cli import (
    benchmark,
    collect,
    dashboard,
    data,
    decide,
    demo,
    discover,
    doctor,
    encoders,
    exchange,
    imports,
    loop,
    serving,
    suggest,
    training,
)
from clarify.cli.printing import never_fail, what_was_lost
from clarify.cli.shell import Commands, Shell
from clarify.config import read_settings
from clarify.errors import ClarifyError, StoreError
from clarify.version import __version__

__all__ = ["main"]

COMMANDS = {
    "the loop": (
        demo.add_demo,
        loop.add_embed,
        training.add_train,
        loop.add_diagnose,
        suggest.add_promise,
        suggest.add_suggest,
        discover.add_discover,
        loop.add_score,
        loop.add_describe,
        training.add_retrain,
        decide.add_compare,
        decide.add_gate,
        decide.add_promote,
    ),
    "data": (
        data.add_data,
        encoders.add_bridge,
        encoders.add_encoder,
        imports.add_features,
        imports.add_predictions,
        exchange.add_import,
        exchange.add_export,
        collect.add_collect,
    ),
    "models and registry": (serving.add_predict, decide.add_card, decide.add_history, decide.add_rollback),
    "team": (dashboard.add_serve,),
    "look after": (doctor.add_doctor, doctor.add_relocate, benchmark.add_benchmark),
}
"""Every command that people give, under the heading and in the order in which `--help` shows it."""

FLAGS = ("home", "encoder", "backbone", "reviewer", "workers")
"""The settings that are options of every command."""


@functools.cache
def _parser(width: int) -> argparse.ArgumentParser:
    """Return what reads a command line, and helps in lines as wide as the terminal."""
    common = argparse.ArgumentParser(add_help=False)
    shared = common.add_argument_group("shared by all commands")
    shared.add_argument(
        "--home",
        metavar="DIR",
        help="folder of data_manifests, features and mlruns (default: the current folder)",
    )
    shared.add_argument(
        "--encoder",
        metavar="SPEC",
        help="small-clip, open_clip:ARCHITECTURE:TAG_OR_FILE, bridge:LABEL or imported:LABEL (default: the "
        "data set's own)",
    )
    shared.add_argument(
        "--backbone",
        metavar="SPEC",
        help="whose features the models stand on, as timm:MODEL[:PATH] (default: the data set's own)",
    )
    shared.add_argument("--reviewer", metavar="WHO", help="your name, for the records")
    shared.add_argument(
        "--workers",
        metavar="N",
        type=int,
        help="threads that decode images, and processes that draw the demo's (default: 2)",
    )
    shared.add_argument("--json", action="store_true", help="print one JSON object on stdout")

    parser = argparse.ArgumentParser(
        prog="clarify",
        description="Correct an image classifier by saying in words what it gets wrong.",
        epilog="`clarify demo` runs the whole loop on a data set of its own.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"clarify {__version__}")
    commands = Commands(parser, common, width=width)
    for heading, add_each in COMMANDS.items():
        commands.headed(heading, add_each)
    dashboard.add_job(commands)  # under no heading: the dashboard gives it, and people do not
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    # Read when torch is first imported. Threads that spin while they wait take the cores from the
    # threads that decode: embedding the demo took 23 s with spinning, 8 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if given[:1] == ["benchmark"]:
        # Read when NumPy is first imported. Many small fits: threads that wait for each other in
        # one of them cost more than they bring.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    never_fail()
    _note_encoding(given)
    args = _parser(shutil.get_terminal_size().columns).parse_args(given)
    try:
        flags = {name: getattr(args, name) for name in FLAGS}
        args.handler(Shell(settings=read_settings(flags, os.environ, Path.cwd()), args=args))
    except ClarifyError as error:
        return _refuse(str(error))
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}:
            raise
        return _refuse(str(_home_trouble(error)))
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on from what is already kept")
    finally:
        sys.stdout.flush()
        if lost := what_was_lost(sys.stdout):
            print(f"note: not all of the result could be printed ({lost})", file=sys.stderr)
    return 0


def _note_encoding(given: Sequence[str]) -> None:
    """Say why letters of the command line arrived as something else: no message of theirs could know."""
    known = sys.getfilesystemencoding()
    if known != "utf-8" and any(not each.isascii() and not each.isprintable() for each in given):
        print(
            f"note: Python takes this terminal for {known}, which lacks letters that were given; "
            "set PYTHONUTF8=1",
            file=sys.stderr,
        )


def _refuse(line: str) -> int:
    print(f"clarify: {' '.join(line.split())}", file=sys.stderr)
    return 1


def _home_trouble(error: OSError) -> StoreError:
    from clarify.data.files import why

    where = error.filename or "the home"
    return StoreError(
        f"{where} cannot be written: {why(error)}; make room or choose another --home and run "
        "the same command again"
    )
