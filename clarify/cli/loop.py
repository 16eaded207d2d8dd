"""The commands of the loop but for training: embed, diagnose, score, describe, compare, promote."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from clarify.assembly import open_project
from clarify.cli.shell import Commands, Shell, bar
from clarify.errors import RefusedError

if TYPE_CHECKING:
    from clarify.workflow.model.project import Project

__all__ = ["add_commands"]


def _demo(shell: Shell) -> None:
    from clarify.report import loop as report
    from clarify.workflow.shows.demo import run_demo

    def opened(name: str) -> Project:
        return open_project(shell.settings, name, say=shell.say)

    story = run_demo(
        shell.settings.home,
        opened,
        seed=shell.args.seed,
        workers=shell.settings.workers,
        say=shell.say,
        bar=bar,
    )
    shell.answer(story.to_dict(), report.story(story))
    if not shell.args.headless:
        from clarify.cli.dashboard import PORT, serve

        shell.say(f"the dashboard: http://localhost:{PORT} (Ctrl+C ends it)")
        serve(shell.settings)


def _embed(shell: Shell) -> None:
    from clarify.report import loop as report
    from clarify.workflow.model.backbones import bodies_without_features
    from clarify.workflow.model.project import embed

    project = shell.project()
    if project.encoder.domain:
        shell.say(
            f"note: encoder {project.encoder.name} knows {project.encoder.domain}; for other "
            "images give --encoder open_clip:ARCHITECTURE:TAG_OR_FILE"
        )
    found = []
    wanted = [(encoder, shell.args.dtype) for encoder in project.encoders]
    # A head that was trained with its body takes features as exact as it was trained on.
    wanted += [(body, "float32") for body in bodies_without_features(project)]
    for encoder, dtype in wanted:
        with bar(f"embed {project.manifest.name} by {encoder.name}") as move:
            features = embed(project, encoder, workers=shell.settings.workers, dtype=dtype, progress=move)
        found.append(
            {
                "encoder": encoder.identity.to_dict(),
                "name": encoder.name,
                "images": int(features.valid.sum()),
                "width": features.width,
                "folder": str(features.folder),
                "left_out": [bad.to_dict() for bad in features.bad],
            }
        )
    result = {"data_set": project.manifest.name, "manifest": project.manifest.digest, "features": found}
    shell.answer(result, report.embedded(result))


def _diagnose(shell: Shell) -> None:
    from clarify.report import loop as report
    from clarify.workflow.model.failures import diagnose, failures_of
    from clarify.workflow.model.models import open_model

    project = shell.project()
    model = open_model(project, shell.args.model)
    found = diagnose(project, failures_of(model, model.data(project, "validation")))
    result = {"model": model.run_id, "classes": [each.to_dict() for each in found]}
    shell.answer(result, report.diagnosis(found))


def _score(shell: Shell) -> None:
    _try_phrase(shell, keep=False)


def _describe(shell: Shell) -> None:
    _try_phrase(shell, keep=True)


def _try_phrase(shell: Shell, *, keep: bool) -> None:
    from clarify.report import loop as report
    from clarify.workflow.describe.phrases import score_phrase
    from clarify.workflow.model.failures import failures_of
    from clarify.workflow.model.models import open_model

    args = shell.args
    project = shell.project()
    model = open_model(project, args.model)
    scored = score_phrase(
        project,
        failures_of(model, model.data(project, "validation")),
        args.class_name,
        args.phrase,
        threshold=args.threshold,
        keep=keep,
        note=args.note,
    )
    shell.answer(scored.to_dict(), report.scored(scored))


def _compare(shell: Shell) -> None:
    from clarify.report import loop as report
    from clarify.workflow.decide.compare import compare

    rows = compare(shell.project(), split=shell.args.split)
    shell.answer({"models": [row.to_dict() for row in rows]}, report.comparison(rows))


def _promote(shell: Shell) -> None:
    from clarify.report import loop as report
    from clarify.workflow.decide.promote import promote

    done = promote(shell.project(), shell.args.run, note=shell.args.note, by_hash=shell.args.encoder_by_hash)
    shell.answer(done.to_dict(), report.promotion(done))
    if not done.verdict.passed:
        failed = "; ".join(each.text for each in done.verdict.reasons if not each.passed)
        raise RefusedError(f"not promoted, run {done.run_id[:8]}: {failed}")


def _relocate(shell: Shell) -> None:
    from clarify.track.mlflow import TrackingStore

    settings = shell.settings
    changed = TrackingStore(settings.home, uri=settings.tracking_uri).relocate()
    shell.answer(
        {"home": str(shell.settings.home), "changed": changed},
        f"{changed} places in the tracking store now point to {shell.settings.home}",
    )


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model", metavar="RUN", help="base model's run, or its first characters (default: newest)"
    )


def add_commands(commands: Commands) -> None:
    """Add them all."""
    add = commands.add
    demo = add(
        "demo",
        _demo,
        "Run the whole loop on rendered birds.",
        "demo --headless --home /tmp/birds",
        data_set=False,
    )
    demo.add_argument("--headless", action="store_true", help="do not open the dashboard after it")
    demo.add_argument("--seed", type=int, default=0, help="which birds are drawn (default: 0)")

    command = add(
        "embed", _embed, "Extract the features of a data set's images.", "embed rendered-waterbirds"
    )
    command.add_argument(
        "--dtype",
        choices=["float16", "float32"],
        default="float16",
        help="how features are kept on disk (default: float16)",
    )
    command = add(
        "diagnose", _diagnose, "Show where the model fails, class by class.", "diagnose rendered-waterbirds"
    )
    _add_model(command)
    for name, run, what, example in (
        (
            "score",
            _score,
            "Try a phrase: how well does it explain the errors on a class?",
            'score rendered-waterbirds landbird "water"',
        ),
        (
            "describe",
            _describe,
            "Keep a phrase as a description of the errors on a class.",
            'describe rendered-waterbirds landbird "water" --note "lakes, mostly"',
        ),
    ):
        command = add(name, run, what, example)
        command.add_argument("class_name", metavar="CLASS", help="the class it fails on")
        command.add_argument(
            "phrase",
            metavar="PHRASE",
            help="completes: the model is often wrong with images that have ___ in them; AND, OR, NOT join",
        )
        command.add_argument("--threshold", type=float, help="a cut of your own (default: the best)")
        command.add_argument("--note", default="", help="anything worth remembering")
        _add_model(command)
    command = add(
        "compare", _compare, "Compare the base model with the retrained ones.", "compare rendered-waterbirds"
    )
    command.add_argument(
        "--split",
        default="validation",
        choices=["validation", "test"],
        help="the images they are compared on (default: validation)",
    )
    command = add(
        "promote",
        _promote,
        "Make a retrained model the champion, if the gate passes.",
        'promote rendered-waterbirds 3f2a --note "agreed in review"',
    )
    command.add_argument(
        "run",
        metavar="RUN",
        nargs="?",
        help="the retraining's run, or its first characters (default: newest)",
    )
    command.add_argument("--note", default="", help="why, for the record")
    command.add_argument(
        "--encoder-by-hash",
        action="store_true",
        help="leave the backbone out "
        "of the registered model; it is found by its name and checked by its "
        "hash",
    )
    add(
        "relocate",
        _relocate,
        "Adopt a home that was moved or copied: its runs point to their old place.",
        "relocate --home /data/birds",
        data_set=False,
    )
