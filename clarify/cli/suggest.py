"""The commands of the machine's suggestions: suggest, promise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from clarify.cli.shell import Command, Commands, Shell, add_base_model, bar
from clarify.cli.words import CAPTIONS_HELP, kept_captions_text, percent, score_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.discover.suggest import Suggestion, Suggestions
    from clarify.workflow.describe.suggest import ClassPromise, ClassSuggestions

__all__ = ["add_promise", "add_suggest"]

TITLES = ("phrase", "gain", "worse half", "errors", "held-out", "p corrected", "")
"""Of suggestions: a gain in points of the mean accuracy of the classes, once retrained with it."""

MOST_ALIKE = 4
MOST_CLASSES = 100


def _suggest(shell: Shell) -> None:
    """Let the machine search a vocabulary, and captions, for what explains the errors on a class."""
    from clarify.data.captions import keep_captions, read_captions
    from clarify.workflow.describe.suggest import suggest
    from clarify.workflow.model.failures import failures_of
    from clarify.workflow.model.models import open_model
    from clarify.workflow.retrain.gains import POOL, ranked

    args = shell.args
    project = shell.project()
    if args.captions is not None:
        captions = read_captions(args.captions, project.manifest, with_test=args.with_test)
        replaced = keep_captions(project.home, project.manifest, captions)
        shell.say(kept_captions_text(captions.splits, replaced))
    model = open_model(project, args.model)
    failures = failures_of(model, model.data(project, "validation"))
    with bar("embed phrases", unit="phrase") as move:
        found = suggest(
            project,
            model,
            failures.data,
            args.class_name,
            vocabulary_file=args.vocabulary,
            most=max(args.most, POOL) if args.most > 0 else args.most,
            progress=move,
        )
    with bar("retrain with the best", unit="phrase") as move:
        found = ranked(project, failures, model.data(project, "train"), found, most=args.most, progress=move)
    shell.answer(found.to_dict(), _suggested(found))


def _promise(shell: Shell) -> None:
    """Order the classes by how much a description of their errors promises."""
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
    result = {
        "model": model.run_id,
        "caution": project.caution,
        "classes": [each.to_dict() for each in found],
    }
    first = f"{project.caution}: these scores say nothing\n" if project.caution else ""
    shell.answer(result, first + _promised(found))


def _suggested(result: ClassSuggestions) -> str:
    """Tell the machine's suggestions, and what they are worth."""
    from clarify.method.phrases.error_score import FEW_WRONG  # with NumPy, which `--help` needs not load

    found = result.found
    but = "" if result.mentioned is None else ", but for those of what captions mention"
    lines = [f"{result.caution}: these scores say nothing{but}"] if result.caution else []
    lines += [
        f"Suggested by the machine for {result.class_name}: {found.searched:,} phrases of "
        f"{result.vocabulary} searched" + (f", {result.left_out:,} left out." if result.left_out else "."),
        *_in_captions(result),
        table(TITLES, [*map(_row, result.items)]),
        *(
            ["gain: points of the mean accuracy of the classes, once retrained with it alone"]
            if any(each.gain for each in result.items)
            else []
        ),
        *_alike(result.items),
        _worth(found if found.items or result.mentioned is None else result.mentioned),
    ]
    if found.n_wrong < FEW_WRONG:
        lines.append(f"only {found.n_wrong} wrong images: these scores may be luck")
    lines.append(
        "No suggestion is kept. Look at the images, then: "
        f'clarify score {result.data_set} {result.class_name} "{result.items[0].phrase}"'
    )
    return "\n".join(lines)


def _in_captions(result: ClassSuggestions) -> list[str]:
    found = result.mentioned
    if found is None:
        return []
    return [
        f"In the captions of {found.n_right + found.n_wrong:,} of its images ({found.n_wrong:,} wrong): "
        f"{found.searched:,} words and pairs searched."
    ]


def _row(each: Suggestion) -> list[str]:
    known, gain = each.evidence, each.gain
    low, high = known.interval
    notes = ["confirmed"] if each.evidence.confirmed else []
    notes += ["copies the decision"] if each.copies else []
    return [
        each.phrase,
        "–" if gain is None else f"{100 * gain.classes:+.1f}",
        "–" if gain is None else f"{percent(gain.half_before)} to {percent(gain.half_after)}",
        f"{'with' if each.score.wrong_is_above else 'without'}, {score_text(each.score.value)} "
        f"({score_text(low)} to {score_text(high)})",
        "–" if each.evidence.held_out is None else score_text(each.evidence.held_out),
        f"{known.p_corrected:.2g}",
        ", ".join(notes),
    ]


def _alike(items: Sequence[Suggestion]) -> list[str]:
    lines = []
    for each in items:
        told = [
            f"{what} {_some(phrases)}"
            for what, phrases in (("also", each.also), ("opposite", each.opposite))
            if phrases
        ]
        if told:
            lines.append(f"  {each.phrase}: {'; '.join(told)}")
    return ["split the class alike:", *lines] if lines else []


def _some(phrases: Sequence[str]) -> str:
    more = len(phrases) - MOST_ALIKE
    return ", ".join(phrases[:MOST_ALIKE]) + (f" and {more} more" if more > 0 else "")


def _worth(found: Suggestions) -> str:
    from clarify.method.phrases.error_score import band

    held_out = found.held_out
    if held_out is None:
        return "Too few right or wrong images to hold some out: nothing here is confirmed."
    return (
        f"On images that had no part in it, the search's best score is worth {score_text(held_out)}: "
        f"{band(held_out)}."
    )


def _promised(classes: Sequence[ClassPromise]) -> str:
    """Tell in which classes a description would pay most."""
    shown = classes[:MOST_CLASSES]
    lines = [
        table(
            ["class", "promise", "wrong", "images", "held-out", "room"],
            [
                [
                    each.class_name,
                    f"{each.found.promise:.3f}",
                    f"{each.found.n_wrong:,}",
                    f"{each.found.n_right + each.found.n_wrong:,}",
                    *(
                        "–" if value is None else score_text(value)
                        for value in (each.found.held_out, each.found.room)
                    ),
                ]
                for each in shown
            ],
        )
    ]
    if len(classes) > len(shown):
        lines.append(f"and {len(classes) - len(shown):,} more (--json tells all)")
    return "\n".join(lines)


def add_suggest(commands: Commands) -> None:
    """Add ``suggest``."""
    command = commands.add("suggest", _suggest, "suggest rendered-waterbirds landbird")
    command.takes("class_name CLASS", "the class it fails on")
    command.takes("--most N", "suggestions wanted, 1 to 100 (default: 12)", type=int, default=12)
    command.takes("--captions FILE", CAPTIONS_HELP, type=Path)
    command.takes("--with-test", "take captions of test images as well", flag=True)
    _add_shared(command)


def add_promise(commands: Commands) -> None:
    """Add ``promise``."""
    _add_shared(commands.add("promise", _promise, "promise rendered-waterbirds"))


def _add_shared(command: Command) -> None:
    command.takes(
        "--vocabulary FILE",
        "phrases of your own, one a line (default: the imported bank, else Clarify's own)",
        type=Path,
    )
    add_base_model(command)
