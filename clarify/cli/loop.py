"""The commands between training and retraining: embed, diagnose, score, describe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clarify.cli.shell import Command, Commands, Shell, add_base_model
from clarify.cli.words import SHORT_RUN, percent, score_text, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from clarify.method.groups.metrics import Accuracy
    from clarify.workflow.describe.recording import ScoredPhrase
    from clarify.workflow.model.failures import ClassDiagnosis

__all__ = ["add_describe", "add_diagnose", "add_embed", "add_score", "diagnosis", "scored"]


def _embed(shell: Shell) -> None:
    """Extract the features of a data set's images."""
    from clarify.embed.cluster import OnRay
    from clarify.embed.work import here
    from clarify.errors import InputError

    args = shell.args
    if args.address and args.engine != "ray":
        raise InputError(f"--address {args.address} is of a Ray cluster; give --engine ray with it")
    project, engine = shell.open(), OnRay(address=args.address) if args.engine == "ray" else here
    found = [
        {
            "encoder": encoder.identity.to_dict(),
            "name": encoder.name,
            "images": int(features.valid.sum()),
            "width": features.width,
            "folder": str(features.folder),
            "left_out": [bad.to_dict() for bad in features.bad],
        }
        for encoder, features in project.embed(dtype=args.dtype, engine=engine)
    ]
    for doubt in project.workspace.doubts:
        shell.say(f"note: {doubt}")
    if project.workspace.caution:
        shell.say(f"note: {project.workspace.caution}")
    digest = project.workspace.manifest.digest
    result = {"data_set": project.name, "manifest": digest, "features": found}
    shell.answer(result, _embedded(result))


def _diagnose(shell: Shell) -> None:
    """Show where the model fails, class by class."""
    found = shell.open().diagnose(shell.args.model)
    shell.answer(found.to_dict(), diagnosis(found.classes))


def _score(shell: Shell) -> None:
    """Try a phrase: how well does it explain the errors on a class?"""
    _try_phrase(shell, keep=False)


def _describe(shell: Shell) -> None:
    """Keep a phrase as a description of the errors on a class."""
    _try_phrase(shell, keep=True)


def _try_phrase(shell: Shell, *, keep: bool) -> None:
    args = shell.args
    found = (
        shell.open()
        .diagnose(args.model)
        .describe(args.class_name, args.phrase, threshold=args.threshold, keep=keep, note=args.note)
    )
    assert found.recorded is not None  # of a data set in a home every phrase is
    shell.answer(found.to_dict(), scored(found.recorded))


def _embedded(result: dict[str, Any]) -> str:
    """Tell what was embedded, and what was left out."""
    lines = []
    for by in result["features"]:
        lines.append(
            f"{by['images']:,} images of {result['data_set']} embedded by {by['name']}, "
            f"{by['width']} numbers each, in {by['folder']}"
        )
        lines += [f"left out {bad['path']}: {bad['reason']}" for bad in by["left_out"]]
    return "\n".join(lines)


def diagnosis(classes: Sequence[ClassDiagnosis]) -> str:
    """Tell where the model fails, worst class first."""
    from clarify.face.diagnosis import TITLES, class_rows  # with NumPy, which `--help` needs not load

    return table(TITLES, class_rows(classes))


def scored(result: ScoredPhrase) -> str:
    """Tell how well a phrase explains the errors, and how far to trust that."""
    found, score, halves = result.evidence, result.evidence.score, result.tried.halves
    lines = [f"{result.tried.caution}: this score says nothing"] if result.tried.caution else []
    lines += [
        f"{result.description.class_name}: {result.description.phrase!r} "
        f"{score_text(score.value)}, {result.tried.verdict}. It puts "
        f"{100 * score.wrong_on_wrong_side:.0f}% of the wrong images on one side and "
        f"{100 * (1 - score.correct_on_wrong_side):.0f}% of the right ones on the other.",
        f"  95% interval {score_text(found.interval[0])} to {score_text(found.interval[1])}"
        + (", which near 0 is right less often" if found.near_zero else ""),
        f"  {found.checked[:1].lower()}{found.checked[1:]}",
        f"  p {found.p_corrected:.2g} corrected for {found.n_tried} tried: {_confirmed(result)}",
        f"  with: {_half(halves.with_phrase)}; without: {_half(halves.without_phrase)}",
    ]
    if result.tried.best_score > score.value:
        lines.append(f"  by a cut of your own; the best one scores {score_text(result.tried.best_score)}")
    if found.few_wrong:
        lines.append(f"  only {score.n_wrong} wrong images: this score may be luck")
    if result.tried.captions_told:
        lines.append(f"  {result.tried.captions_told}")
    done = "kept" if result.kept else "tried"
    if result.waiting:
        lines.append(f"  {done}, and waiting in the outbox for the tracking store")
    else:
        lines.append(f"  {done} as run {result.run_id[:SHORT_RUN]}")
    return "\n".join(lines)


def _confirmed(result: ScoredPhrase) -> str:
    if result.tried.caution:
        return "no verdict, whatever the images say"
    return "confirmed" if result.evidence.confirmed else "not confirmed"


def _half(found: Accuracy) -> str:
    return f"{found.correct:,} of {found.count:,} right ({percent(found.value)})"


def add_embed(commands: Commands) -> None:
    """Add ``embed``."""
    command = commands.add("embed", _embed, "embed rendered-waterbirds")
    command.takes(
        "--dtype",
        "how features are kept on disk (default: float16)",
        choices=["float16", "float32"],
        default="float16",
    )
    command.takes("--engine", "what embeds (default: here)", choices=["here", "ray"], default="here")
    command.takes(
        "--address ADDRESS", "of a Ray cluster, HOST:PORT (default: Ray on this machine)", default=""
    )


def add_diagnose(commands: Commands) -> None:
    """Add ``diagnose``."""
    add_base_model(commands.add("diagnose", _diagnose, "diagnose rendered-waterbirds"))


def add_score(commands: Commands) -> None:
    """Add ``score``."""
    _add_phrase(commands.add("score", _score, 'score rendered-waterbirds landbird "water"'))


def add_describe(commands: Commands) -> None:
    """Add ``describe``."""
    _add_phrase(
        commands.add(
            "describe", _describe, 'describe rendered-waterbirds landbird "water" --note "lakes, mostly"'
        )
    )


def _add_phrase(command: Command) -> None:
    command.takes("class_name CLASS", "the class it fails on")
    command.takes(
        "phrase PHRASE",
        "completes: the model is often wrong with images that have ___ in them; AND, OR, NOT join; "
        "mentioned: WORDS asks captions",
    )
    command.takes("--threshold", "a cut of your own (default: the best)", type=float)
    command.takes("--note", "anything worth remembering", default="")
    add_base_model(command)
