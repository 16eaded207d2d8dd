"""The command of groups that fail together: discover."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell, add_base_model, bar
from clarify.cli.words import percent, score_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.workflow.retrain.slices import FoundSlice

__all__ = ["add_discover"]

TITLES = ("class", "slice", "images", "wrong", "accuracy", "errors", "held-out", "gain")
SHOWN_IMAGES = 3
DEFAULT = "words-by-gain"


def _discover(shell: Shell) -> None:
    """Let a method of the literature find groups of images that fail together."""
    from clarify.discover.slices.methods import discovery_method
    from clarify.workflow.model.failures import failures_of
    from clarify.workflow.model.models import open_model
    from clarify.workflow.retrain.slices import discover

    args = shell.args
    method = discovery_method(args.method)
    project = shell.project()
    model = open_model(project, args.model)
    failures = failures_of(model, model.data(project, "validation"))
    train = None if model.head is None else model.data(project, "train")
    with bar("embed phrases", unit="phrase") as move, bar("retrain with each", unit="slice") as retrained:
        found = discover(
            project,
            failures,
            train,
            method,
            class_name=args.class_name,
            vocabulary_file=args.vocabulary,
            most=args.most,
            embedding=move,
            progress=retrained,
        )
    result = {
        "data_set": project.manifest.name,
        "model": model.run_id,
        "method": method.name,
        "source": method.source,
        "caution": project.caution,
        "slices": [each.to_dict() for each in found],
    }
    first = f"{project.caution}: the phrases say nothing\n" if project.caution else ""
    shell.answer(result, first + _told(project.manifest.name, f"{method.name} ({method.source})", found))


def _told(name: str, method: str, found: Sequence[FoundSlice]) -> str:
    if not found:
        return f"{method} finds no slice that parts the images of a class."
    lines = [
        f"Found by {method}: {len(found)} slices.",
        table(TITLES, [_row(each) for each in found]),
        "gain: points of the mean accuracy of the classes, once retrained with it alone",
        *(
            f"  {each.name}: {_phrases(each)}; images {', '.join(each.ids[:SHOWN_IMAGES])}"
            + (f" and {more:,} more (--json)" if (more := len(each.ids) - SHOWN_IMAGES) > 0 else "")
            for each in found
        ),
    ]
    described = [each for each in found if each.phrases]
    if described:
        first = described[0]
        lines.append(
            "No slice is kept. Look at the images, then say it in words: "
            f'clarify score {name} {first.class_name} "{first.phrases[0][0]}"'
        )
    return "\n".join(lines)


def _row(each: FoundSlice) -> list[str]:
    known = each.tried.evidence
    return [
        each.class_name,
        each.name,
        f"{len(each.ids):,}",
        f"{each.wrong:,}",
        percent(each.accuracy),
        score_text(known.score.value),
        "–" if known.held_out is None else score_text(known.held_out),
        "–" if each.gain is None else f"{100 * each.gain.classes:+.1f}",
    ]


def _phrases(each: FoundSlice) -> str:
    if not each.phrases:
        return "no phrase describes it"
    return "best described by " + ", ".join(
        f'"{phrase}" {score_text(score)}' for phrase, score in each.phrases
    )


def add_discover(commands: Commands) -> None:
    """Add ``discover``."""
    command = commands.add("discover", _discover, "discover rendered-waterbirds landbird --method domino")
    command.takes("class_name CLASS", "the class it fails on (default: all of them)", nargs="?")
    command.takes(
        "--method NAME",
        "confusion-cells, k-means, words-by-score, words-by-gain, facts, failure-direction, domino, "
        f"spotlight, barlow, b2t, words-by-rate or sliceline (default: {DEFAULT})",
        default=DEFAULT,
    )
    command.takes("--most N", "slices wanted, 1 to 100 (default: the method's own number)", type=int)
    command.takes(
        "--vocabulary FILE",
        "phrases of your own, one a line (default: the imported bank, else Clarify's own)",
        type=Path,
    )
    add_base_model(command)
