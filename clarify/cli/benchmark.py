"""The commands that ask whether a sentence beats the alternatives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clarify.assembly import open_project
from clarify.cli.shell import Commands, Shell, phrases_of
from clarify.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from clarify.evidence.suites import SuiteResult
    from clarify.workflow.model.project import Workspace

__all__ = ["add_benchmark"]


def _benchmark(shell: Shell) -> None:
    """Compare methods on the same features: what is known without words, with words, and with true groups."""
    import sys

    from tqdm import tqdm

    from clarify.evidence.suites import compare_methods, rendered, resampled

    args, settings = shell.args, shell.settings

    def opened(name: str) -> Workspace:
        return open_project(settings, name, say=shell.say)

    phrases = phrases_of(args.phrase, "--phrase")
    if args.study:
        _study(shell, opened)
        return
    if args.suite == "discovery":
        _discovery(shell, opened, phrases)
        return
    if args.suite == "rendered":
        if args.data_set or phrases:
            raise InputError("--data-set and --phrase are for --suite features; leave them out")
        shell.say("drawing and embedding, as far as that is not done")
        situations = rendered(settings.home, opened, seeds=args.seeds, workers=settings.workers)
    else:
        if not (args.data_set and phrases):
            raise InputError(
                "--suite features needs --data-set NAME with an annotated attribute, its features "
                "(--encoder), and --phrase CLASS=PHRASE"
            )
        situations = resampled(opened(args.data_set), phrases, seeds=args.seeds)
    with tqdm(desc="cells", unit="cell", file=sys.stderr, dynamic_ncols=True) as bar:
        found = compare_methods(
            args.suite, situations, methods=tuple(args.method), told=lambda _: bar.update()
        )
    place = settings.home / "comparisons" / args.suite
    _write(place, found)
    for each in found.refused:
        shell.say(f"{each.cell.method} on {each.cell.data_set}: {each.reason}")
    from clarify.evidence.tables import markdown

    result = found.to_dict()
    shell.answer({**result, "written": str(place)}, f"{markdown(result['rows'])}\ntables and charts: {place}")


def _discovery(shell: Shell, opened: Callable[[str], Workspace], phrases: dict[str, str]) -> None:
    """Compare discovery methods, on a data set of one's own where it is given."""
    import sys

    from tqdm import tqdm

    from clarify.discover.vocabulary import vocabulary
    from clarify.evidence.discovery import compare_discovery
    from clarify.evidence.suites import CORE, discovery, resampled
    from clarify.evidence.tables import study_markdown

    args, settings = shell.args, shell.settings
    if bool(args.data_set) != bool(phrases):
        raise InputError(
            "--suite discovery takes --data-set NAME and --phrase CLASS=PHRASE together, or neither"
        )
    seeds, move = args.seeds, tqdm(desc="methods", unit="cell", file=sys.stderr, dynamic_ncols=True)
    with move as bar:
        rows = compare_discovery(
            ((at, vocabulary()) for at in resampled(opened(args.data_set), phrases, seeds=seeds))
            if args.data_set
            else discovery(settings.home, opened, seeds=seeds, workers=settings.workers),
            methods=tuple(args.method),
            told=lambda _: bar.update(),
        )
    place = settings.home / "comparisons" / "discovery"
    result = {"suite": "discovery", "core": CORE, "seeds": args.seeds, "rows": rows}
    _write_json(place / f"{args.data_set or 'rows'}.json", result)
    shown = [{name: value for name, value in row.items() if name != "reasons"} for row in rows]
    shell.answer({**result, "written": str(place)}, f"{study_markdown(shown)}\nwritten: {place}")


def _write_json(path: Path, content: dict[str, Any]) -> None:
    import json

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _study(shell: Shell, opened: Callable[[str], Workspace]) -> None:
    from clarify.evidence.suites import drawn_birds, study
    from clarify.evidence.tables import study_markdown

    args, settings = shell.args, shell.settings
    draws = drawn_birds(settings.home, opened, seeds=args.seeds, workers=settings.workers)
    found = study(args.study, draws)
    _write_json(settings.home / "comparisons" / "studies" / f"{args.study}.json", found)
    shell.answer(found, f"{found['question']}\n\n{study_markdown(found['rows'])}")


def _write(place: Path, found: SuiteResult) -> None:
    import json

    from clarify.evidence.tables import csv_table, figure, markdown

    rows = found.to_dict()["rows"]
    place.mkdir(parents=True, exist_ok=True)
    (place / "table.md").write_text(markdown(rows), encoding="utf-8")
    (place / "rows.json").write_text(json.dumps(found.to_dict(), indent=1), encoding="utf-8")
    if rows:
        (place / "table.csv").write_text(csv_table(rows), encoding="utf-8")
        page = figure(rows, title=f"Suite {found.suite}").to_html(include_plotlyjs=True)
        (place / "charts.html").write_text(page, encoding="utf-8")


def add_benchmark(commands: Commands) -> None:
    """Add ``benchmark``."""
    command = commands.add("benchmark", _benchmark, "benchmark --suite rendered", data_set=False)
    command.takes(
        "--suite",
        "the drawn birds in four difficulties; a data set of your own with an annotated attribute; or "
        "methods that discover slices, on planted ones and drawn birds, or with --data-set on your own "
        "(default: rendered)",
        choices=["rendered", "features", "discovery"],
        default="rendered",
    )
    command.takes(
        "--study NAME",
        "instead of a suite, what one choice does: wrong-images, threshold, scan, objective, "
        "template, compound, one-class, classes, outliers, wrong-phrases, reviewers, crowds, oversight, "
        "labels, collecting",
    )
    command.takes("--data-set NAME", "for features and discovery: the data set")
    command.takes(
        "--phrase CLASS=PHRASE", "for features and discovery: what a person says of a class", repeated=True
    )
    command.takes("--seeds", "(default: 5)", type=int, default=5)
    command.takes("--method NAME", "one of them only; may be repeated (default: all)", repeated=True)
