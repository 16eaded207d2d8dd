"""The command line: one command a workflow function.

Results go to stdout (`--json` for machines), progress to stderr. Exit status 0: done; 1: refused,
with one line that says why; 2: the command line itself is wrong.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import errno
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clarify import __version__
from clarify.config import Settings, read_settings
from clarify.errors import ClarifyError, RefusedError, StoreError

if TYPE_CHECKING:
    from collections.abc import Callable

    from clarify.embed.extract import Progress
    from clarify.workflow.project import Project

__all__ = ["main", "open_project"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """What every command gets: settings, arguments, and how to answer."""

    settings: Settings
    args: argparse.Namespace

    def project(self) -> Project:
        """Open the data set that the command names."""
        return open_project(self.settings, self.args.name)

    def answer(self, result: dict[str, Any], text: str) -> None:
        """Print the result: for machines as one JSON object, else as text."""
        print(json.dumps(result, ensure_ascii=False, allow_nan=False) if self.args.json else text)

    def say(self, line: str) -> None:
        """Tell on stderr what happens."""
        print(line, file=sys.stderr, flush=True)


def open_project(settings: Settings, name: str) -> Project:
    """Build the adapters for one data set of a home."""
    from clarify.data.manifest import open_manifest
    from clarify.embed.encoders import load_encoder
    from clarify.embed.store import FeatureStore
    from clarify.track.mlflow import TrackingStore
    from clarify.workflow.project import Project

    return Project(
        home=settings.home,
        manifest=open_manifest(settings.home, name),
        encoder=load_encoder(settings.encoder),
        store=FeatureStore(settings.home),
        tracking=TrackingStore(settings.home),
        reviewer=settings.reviewer,
    )


@contextlib.contextmanager
def _bar(title: str) -> Iterator[Callable[[Progress], None]]:
    """Show a bar with rate and time left on stderr; yields the callback that moves it."""
    from tqdm import tqdm

    with tqdm(desc=title, unit="image", file=sys.stderr, dynamic_ncols=True) as bar:

        def move(progress: Progress) -> None:
            bar.total = progress.total
            if progress.bad:
                bar.set_postfix_str(f"{progress.bad} left out", refresh=False)
            bar.update(progress.done - bar.n)

        yield move


def _demo(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.demo import run_demo

    def opened(name: str) -> Project:
        return open_project(shell.settings, name)

    story = run_demo(
        shell.settings.home,
        opened,
        seed=shell.args.seed,
        workers=shell.settings.workers,
        say=shell.say,
        bar=_bar,
    )
    shell.answer(story.to_dict(), report.story(story))


def _embed(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.project import embed

    project = shell.project()
    if project.encoder.domain:
        shell.say(
            f"note: encoder {project.encoder.name} knows {project.encoder.domain}; for other "
            "images give --encoder open_clip:ARCHITECTURE:TAG_OR_FILE"
        )
    with _bar(f"embed {project.manifest.name}") as move:
        features = embed(
            project, workers=shell.settings.workers, dtype=shell.args.dtype, progress=move
        )
    result = {
        "data_set": project.manifest.name,
        "manifest": project.manifest.digest,
        "encoder": project.encoder.identity.to_dict(),
        "images": int(features.valid.sum()),
        "width": int(features.array.shape[1]),
        "folder": str(features.folder),
        "left_out": [dataclasses.asdict(bad) for bad in features.bad],
    }
    shell.answer(result, report.embedded(result))


def _train(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.models import train

    trained = train(shell.project())
    shell.answer(trained.to_dict(), report.trained(trained))


def _diagnose(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.phrases import diagnose
    from clarify.workflow.project import split_data
    from clarify.workflow.runs import open_model

    project = shell.project()
    model = open_model(project, shell.args.model)
    found = diagnose(project, model, split_data(project, "validation"))
    result = {"model": model.run_id, "classes": [each.to_dict() for each in found]}
    shell.answer(result, report.diagnosis(found))


def _score(shell: Shell) -> None:
    _try_phrase(shell, keep=False)


def _describe(shell: Shell) -> None:
    _try_phrase(shell, keep=True)


def _try_phrase(shell: Shell, *, keep: bool) -> None:
    from clarify import report
    from clarify.workflow.phrases import score_phrase
    from clarify.workflow.project import split_data
    from clarify.workflow.runs import open_model

    args = shell.args
    project = shell.project()
    scored = score_phrase(
        project,
        open_model(project, args.model),
        split_data(project, "validation"),
        args.class_name,
        args.phrase,
        threshold=args.threshold,
        keep=keep,
        note=args.note,
    )
    shell.answer(scored.to_dict(), report.scored(scored))


def _retrain(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.models import retrain
    from clarify.workflow.phrases import kept_descriptions
    from clarify.workflow.runs import open_model

    args = shell.args
    project = shell.project()
    base = open_model(project, args.model)
    descriptions = kept_descriptions(project, base, args.description)
    trained = retrain(project, base, descriptions, objective=args.objective)
    shell.answer(trained.to_dict(), report.trained(trained))


def _compare(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.compare import compare

    rows = compare(shell.project(), split=shell.args.split)
    shell.answer({"models": [row.to_dict() for row in rows]}, report.comparison(rows))


def _promote(shell: Shell) -> None:
    from clarify import report
    from clarify.workflow.promote import promote

    done = promote(shell.project(), shell.args.run, note=shell.args.note)
    shell.answer(done.to_dict(), report.promotion(done))
    if not done.verdict.passed:
        failed = "; ".join(each.text for each in done.verdict.reasons if not each.passed)
        raise RefusedError(f"not promoted, run {done.run_id[:8]}: {failed}")


def _relocate(shell: Shell) -> None:
    from clarify.track.mlflow import TrackingStore

    changed = TrackingStore(shell.settings.home).relocate()
    shell.answer(
        {"home": str(shell.settings.home), "changed": changed},
        f"{changed} places in the tracking store now point to {shell.settings.home}",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="RUN", help="base model's run, or its first characters (default: newest)"
    )


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    shared = common.add_argument_group("shared by all commands")
    shared.add_argument("--home", metavar="DIR", help="folder of data_manifests, features and "
                        "mlruns (default: the current folder)")  # fmt: skip
    shared.add_argument("--encoder", metavar="SPEC", help="small-clip, or "
                        "open_clip:ARCHITECTURE:TAG_OR_FILE (default: small-clip)")  # fmt: skip
    shared.add_argument("--reviewer", metavar="WHO", help="your name, for the records")
    shared.add_argument("--json", action="store_true", help="print one JSON object on stdout")

    parser = argparse.ArgumentParser(
        prog="clarify",
        description="Correct an image classifier by saying in words what it gets wrong.",
        epilog="The loop: embed, train, diagnose, score, describe, retrain, compare, promote. "
        "`clarify demo` runs it all on a data set of its own.",
    )
    parser.add_argument("--version", action="version", version=f"clarify {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def add(name: str, run: Callable[[Shell], None], what: str, example: str,
            *, data_set: bool = True) -> argparse.ArgumentParser:  # fmt: skip
        command = commands.add_parser(
            name, help=what, description=what, epilog=f"example: clarify {example}",
            parents=[common],
        )  # fmt: skip
        command.set_defaults(handler=run)
        if data_set:
            command.add_argument("name", metavar="NAME", help="the data set, as in data_manifests")
        return command

    demo = add("demo", _demo, "Run the whole loop on rendered birds.",
               "demo --headless --home /tmp/birds", data_set=False)  # fmt: skip
    demo.add_argument("--headless", action="store_true", help="run it without a dashboard")
    demo.add_argument("--seed", type=int, default=0, help="which birds are drawn (default: 0)")

    command = add("embed", _embed, "Extract the features of a data set's images.",
                  "embed rendered-waterbirds")  # fmt: skip
    command.add_argument("--dtype", choices=["float16", "float32"], default="float16",
                         help="how features are kept on disk (default: float16)")  # fmt: skip
    add("train", _train, "Train the base model: the last layer, by ERM.",
        "train rendered-waterbirds")  # fmt: skip
    command = add("diagnose", _diagnose, "Show where the model fails, class by class.",
                  "diagnose rendered-waterbirds")  # fmt: skip
    _add_model(command)
    for name, run, what, example in (
        ("score", _score, "Try a phrase: how well does it explain the errors on a class?",
         'score rendered-waterbirds landbird "water"'),
        ("describe", _describe, "Keep a phrase as a description of the errors on a class.",
         'describe rendered-waterbirds landbird "water" --note "lakes, mostly"'),
    ):  # fmt: skip
        command = add(name, run, what, example)
        command.add_argument("class_name", metavar="CLASS", help="the class it fails on")
        command.add_argument("phrase", metavar="PHRASE", help="completes: the model is often wrong "
                             "with images that have ___ in them; AND, OR, NOT join")  # fmt: skip
        command.add_argument(
            "--threshold", type=float, help="a cut of your own (default: the best)"
        )
        command.add_argument("--note", default="", help="anything worth remembering")
        _add_model(command)
    command = add("retrain", _retrain, "Retrain the last layer so that the described halves count.",
                  "retrain rendered-waterbirds")  # fmt: skip
    command.add_argument("--description", metavar="RUN", action="append", default=[],
                         help="a kept description's run; may be repeated (default: the best kept "
                         "one of each class)")  # fmt: skip
    command.add_argument("--objective", default="worst_group",
                         choices=["worst_group", "reweight", "group_dro", "cvar"],
                         help="what counts (default: worst_group)")  # fmt: skip
    _add_model(command)
    command = add("compare", _compare, "Compare the base model with the retrained ones.",
                  "compare rendered-waterbirds")  # fmt: skip
    command.add_argument("--split", default="validation", choices=["validation", "test"],
                         help="the images they are compared on (default: validation)")  # fmt: skip
    command = add("promote", _promote, "Make a retrained model the champion, if the gate passes.",
                  'promote rendered-waterbirds 3f2a --note "agreed in review"')  # fmt: skip
    command.add_argument("run", metavar="RUN", nargs="?", help="the retraining's run, or its first "
                         "characters (default: newest)")  # fmt: skip
    command.add_argument("--note", default="", help="why, for the record")
    add(
        "relocate",
        _relocate,
        "Adopt a home that was moved or copied: its runs point to their old place.",
        "relocate --home /data/birds",
        data_set=False,
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    args = _parser().parse_args(arguments)
    # Read when torch is first imported. Threads that spin while they wait take the cores from the
    # threads that decode: embedding the demo took 23 s with spinning, 8 s without.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        flags = {"home": args.home, "encoder": args.encoder, "reviewer": args.reviewer}
        args.handler(Shell(settings=read_settings(flags, os.environ, Path.cwd()), args=args))
        sys.stdout.flush()
    except ClarifyError as error:
        return _refuse(str(error))
    except BrokenPipeError:  # whoever reads the result has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EPERM, errno.EDQUOT}:
            raise
        return _refuse(str(_home_trouble(error)))
    except KeyboardInterrupt:
        return _refuse("interrupted; the same command goes on from what is already kept")
    return 0


def _refuse(line: str) -> int:
    print(f"clarify: {' '.join(line.split())}", file=sys.stderr)
    return 1


def _home_trouble(error: OSError) -> StoreError:
    where = error.filename or "the home"
    return StoreError(
        f"{where} cannot be written: {error.strerror}; make room or choose another --home and run "
        "the same command again"
    )


if __name__ == "__main__":
    sys.exit(main())
