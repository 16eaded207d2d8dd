"""The commands that decide: compare, promote, and the registry's history and rollback."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from clarify.cli.shell import Commands, Shell
from clarify.cli.words import METRICS, SHORT_RUN, percent, table
from clarify.errors import RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.track.verdict import Reason
    from clarify.workflow.decide.champions import Event, RegistryState
    from clarify.workflow.decide.compared import Compared
    from clarify.workflow.decide.promote import Promotion

__all__ = [
    "add_card",
    "add_compare",
    "add_gate",
    "add_history",
    "add_promote",
    "add_rollback",
    "promotion",
    "reason_text",
]


def _compare(shell: Shell) -> None:
    """Compare the base model with the retrained ones, with the champion, and with classes alone."""
    found = shell.open().compare(shell.args.split)
    shell.answer(found.to_dict(), "\n".join([_comparison(found.rows), *found.remarks]))


def _promote(shell: Shell) -> None:
    """Make a retrained model the champion, if the gate passes."""
    from clarify.workflow.decide.promote import promote

    args = shell.args
    done = promote(
        shell.project(), args.run, note=args.note, by_hash=args.encoder_by_hash, overrule=args.overrule
    )
    shell.answer(done.to_dict(), promotion(done))
    if not done.verdict.stands:
        raise RefusedError(f"not promoted, run {done.run_id[:8]}: {done.verdict.failed}")


def _gate(shell: Shell) -> None:
    """Ask the gate about a retrained model, without promoting it."""
    from pathlib import Path

    from clarify.workflow.decide.gate import judge, write_junit

    args = shell.args
    verdict = judge(shell.project(), args.run)
    first = "the gate lets it pass" if verdict.passed else "the gate refuses it"
    shell.answer(verdict.to_dict(), "\n".join([first, *(reason_text(each) for each in verdict.reasons)]))
    if args.junit is not None:
        write_junit(Path(args.junit), args.name, verdict)
    if not verdict.passed:
        raise RefusedError(f"refused: {verdict.failed}")


def _rollback(shell: Shell) -> None:
    """Make an earlier champion the champion again."""
    from clarify.workflow.decide.champions import rollback
    from clarify.workflow.model.project import model_name

    project = shell.project()
    event = rollback(project, shell.args.to, note=shell.args.note)
    name = model_name(project)
    shell.answer(
        {"model": name, **event.to_dict()},
        f"rolled back: {name} version {event.to_version} is the champion again",
    )


def _history(shell: Shell) -> None:
    """Tell who made which model the champion, when and why."""
    from clarify.workflow.decide.champions import registry_state

    found = registry_state(shell.project())
    shell.answer(found.to_dict(), _history_text(shell.args.name, found))


def _card(shell: Shell) -> None:
    """Tell what a registered model is: data, phrases, halves before and after, gate, limits."""
    from clarify.workflow.decide.card import card_of

    found = card_of(shell.project(), shell.args.version)
    shell.answer(found.to_dict(), found.text.rstrip())


def _comparison(rows: Sequence[Compared]) -> str:
    """Tell the models side by side."""
    shown = [key for key in METRICS if any(key in row.figures for row in rows)]
    figures = table(
        ["model", *(METRICS[key] for key in shown), "seconds", "parameters", "run"],
        [
            [
                row.name
                + (" [oracle]" if row.oracle else "")
                + (f" [champion, version {row.champion}]" if row.champion else "")
                + (f" [{row.seeds} seeds]" if row.seeds > 1 else ""),
                *(_figure(row, key) for key in shown),
                f"{row.cost['seconds']:,.1f}" if row.cost else "–",
                f"{row.cost['parameters']:,.0f}" if row.cost else "–",
                _run(row) or "–",
            ]
            for row in rows
        ],
    )
    gains = [_gains(row) for row in rows if row.gains]
    halves = [_half(row) for row in rows if row.kind == "retraining" and row.half]
    return "\n".join(
        [
            figures,
            *(["against the base, same images:"] if gains else []),
            *gains,
            *(["worst described half:"] if halves else []),
            *halves,
        ]
    )


def _figure(row: Compared, key: str) -> str:
    """Tell a figure with its deviation over seeds and its 95 % interval, as far as it has them."""
    text = percent(row.figures.get(key))
    deviation = f" ± {100 * row.deviations[key]:.1f}" if key in row.deviations else ""
    return text + deviation + row.within(key)


def _half(row: Compared) -> str:
    base = "" if row.base_half is None else f"; the base's worst of the same halves {percent(row.base_half)}"
    return f"  {_run(row)}: {row.half}{base}"


def _gains(row: Compared) -> str:
    told = [
        f"{what.replace('_', ' ')} {100 * gain.estimate:+.1f} points "
        f"(95% {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        for what, gain in row.gains.items()
    ]
    return f"  {_run(row) or row.name}: {', '.join(told)}"


def _run(row: Compared) -> str:
    """Return the beginning of the run; a control has none of its own."""
    return "" if row.kind == "control" else row.run_id[:SHORT_RUN]


def promotion(result: Promotion) -> str:
    """Tell what the gate said."""
    first = (
        f"promoted: {result.model_name} version {result.version} is now the champion"
        if result.verdict.stands
        else f"refused: {result.model_name} version {result.version} stays a candidate"
    )
    overruled = [f"  overruled: {result.verdict.overruled}"] if result.verdict.overruled else []
    return "\n".join([first, *(reason_text(reason) for reason in result.verdict.reasons), *overruled])


def reason_text(reason: Reason) -> str:
    """Tell what the gate says of one figure."""
    return f"  {'passes' if reason.passed else 'fails '} {reason.text}"


def _history_text(data_set: str, found: RegistryState) -> str:
    """Tell every change of the champion, newest first."""
    from clarify.track.registry import without_champion

    now = found.champion
    first = f"{found.model_name}: " + (f"version {now.version} is champion" if now else "no champion")
    if found.uncrowned:
        first = without_champion(data_set, found.uncrowned)
    lines = [f"  {_when(each)}  {_event_text(found, each)}{_overruled(found, each)}" for each in found.events]
    return "\n".join([first, *lines])


def _event_text(found: RegistryState, event: Event) -> str:
    """Tell one event in one line."""
    what = "rolled back to" if event.action == "rollback" else "promoted"
    before = f" after version {event.from_version}" if event.from_version else ""
    note = f": {event.note}" if event.note else ""
    # Where none is champion, nobody can tell whether the last one was: the first line says so.
    told = event.done or (event is found.events[0] and found.uncrowned)
    undone = "" if told else " (but it never became champion)"
    return f"{event.by} {what} version {event.to_version}{before}{undone}{note}"


def _overruled(found: RegistryState, event: Event) -> str:
    """Tell why a lead let a version be champion that the gate refused."""
    version = found.version(event.to_version)
    why = "" if version is None else version.verdict.overruled
    return f"; the gate refused it, and was overruled: {why}" if why else ""


def _when(event: Event) -> str:
    return datetime.fromtimestamp(event.at / 1000, tz=UTC).strftime("%Y-%m-%d %H:%M")


def add_compare(commands: Commands) -> None:
    """Add ``compare``."""
    command = commands.add("compare", _compare, "compare rendered-waterbirds")
    command.takes(
        "--split",
        "the images they are compared on (default: validation)",
        default="validation",
        choices=["validation", "test"],
    )


def add_promote(commands: Commands) -> None:
    """Add ``promote``."""
    command = commands.add("promote", _promote, 'promote rendered-waterbirds 3f2a --note "agreed in review"')
    command.takes("run RUN", "the retraining's run, or its first characters (default: newest)", nargs="?")
    command.takes("--note", "why, for the record", default="")
    command.takes(
        "--overrule REASON",
        "a lead's: make it the champion although the gate refuses it; the reason stays with the version",
        default="",
    )
    command.takes(
        "--encoder-by-hash",
        "leave the backbone out of the registered model; it is found by its name and checked by its hash",
        flag=True,
    )


def add_gate(commands: Commands) -> None:
    """Add ``gate``."""
    command = commands.add("gate", _gate, "gate rendered-waterbirds --junit gate.xml")
    command.takes(
        "run RUN",
        "the run of a retraining, or of imported predictions, or its first characters (default: the newest "
        "retraining); of what was trained elsewhere it is asked whether the failures are gone that are "
        "described of another model",
        nargs="?",
    )
    command.takes("--junit FILE", "write the verdict as JUnit's XML, a test case a reason")


def add_history(commands: Commands) -> None:
    """Add ``history``."""
    commands.add("history", _history, "history rendered-waterbirds")


def add_card(commands: Commands) -> None:
    """Add ``card``."""
    command = commands.add("card", _card, "card rendered-waterbirds > card.md")
    command.takes("version VERSION", "a version of the registry (default: the champion)", nargs="?")


def add_rollback(commands: Commands) -> None:
    """Add ``rollback``."""
    command = commands.add(
        "rollback", _rollback, 'rollback rendered-waterbirds --note "the new one fails on snow"'
    )
    command.takes(
        "--to VERSION", "a version that was champion before (default: the one that the champion followed)"
    )
    command.takes("--note", "why, for the record", default="")
