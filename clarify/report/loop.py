"""What the commands of the loop came to, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from clarify.method.phrases.error_score import band
from clarify.report.words import SHORT_RUN, percent, score_text, table
from clarify.workflow.outbox import waits

if TYPE_CHECKING:
    from clarify.method.groups.metrics import Accuracy
    from clarify.workflow.decide.compare import Compared
    from clarify.workflow.decide.promote import Promotion
    from clarify.workflow.describe.phrases import ScoredPhrase
    from clarify.workflow.model.failures import ClassDiagnosis
    from clarify.workflow.model.trained import Trained
    from clarify.workflow.shows.demo import Story

__all__ = ["comparison", "diagnosis", "embedded", "promotion", "scored", "story", "trained"]

COLUMNS = {
    "average_accuracy": "average",
    "adjusted_average_accuracy": "adj. average",
    "worst_group_accuracy": "worst group",
    "described_worst_group_accuracy": "worst described",
    "gap": "gap",
}

ANOTHER_MODEL = (
    "note: of the base model only predictions are known, so this is another model: a new last "
    "layer on the backbone's features, trained where the described halves count"
)


def embedded(result: dict[str, Any]) -> str:
    """Tell what was embedded, and what was left out."""
    lines = []
    for by in result["features"]:
        lines.append(
            f"{by['images']:,} images of {result['data_set']} embedded by {by['name']}, "
            f"{by['width']} numbers each, in {by['folder']}"
        )
        lines += [f"left out {bad['path']}: {bad['reason']}" for bad in by["left_out"]]
    return "\n".join(lines)


def trained(result: Trained) -> str:
    """Tell how a model was trained and how it does."""
    settings = result.settings
    how = (
        f"{settings['epochs']} epochs, those of epoch {settings['epoch']}"
        if "epochs" in settings
        else f"weight decay {settings['weight_decay']:g}"
    )
    lines = [
        f"{result.model.name}: run {result.model.run_id[:SHORT_RUN]}, {how} chosen by "
        f"{result.rule}" + (" (oracle: uses annotated groups)" if result.oracle else ""),
        "groups in training: "
        + ", ".join(f"{name} {count:,}" for name, count in result.group_counts.items()),
        *(f"merged: {note}" for note in result.merged),
        *(f"note: {note}" for note in result.notes),
        *([ANOTHER_MODEL] if result.another_model else []),
        _cost(result),
        _evaluations(result),
        *(
            [f"and {len(result.repeats)} more seeds, recorded beside it; see: clarify compare"]
            if result.repeats
            else []
        ),
    ]
    return "\n".join(lines)


def _cost(result: Trained) -> str:
    cost = result.cost
    return (
        f"{cost.parameters:,} parameters in {cost.seconds:.1f} s, at most "
        f"{cost.peak_memory_mib:,.0f} MiB of memory"
    )


def _evaluations(result: Trained) -> str:
    values = {split: found.to_dict() for split, found in result.evaluations.items()}
    shown = [key for key in COLUMNS if any(key in found for found in values.values())]
    return table(
        ["split", *(COLUMNS[key] for key in shown)],
        [[split, *(percent(found.get(key)) for key in shown)] for split, found in values.items()],
    )


def diagnosis(classes: Sequence[ClassDiagnosis]) -> str:
    """Tell where the model fails, worst class first."""
    return table(
        ["class", "images", "wrong", "right", "mostly taken for"],
        [
            [
                each.class_name,
                f"{each.accuracy.count:,}",
                f"{each.accuracy.count - each.accuracy.correct:,}",
                percent(each.accuracy.value),
                f"{each.confused_with} ({each.confused_count:,})" if each.confused_with else "–",
            ]
            for each in classes
        ],
    )


def scored(result: ScoredPhrase) -> str:
    """Tell how well a phrase explains the errors, and how far to trust that."""
    found, score = result.evidence, result.evidence.score
    held_out = "no held-out score" if found.held_out is None else (f"held-out {score_text(found.held_out)}")
    lines = [
        f"{result.description.class_name}: {result.description.phrase!r} "
        f"{score_text(score.value)}, {band(score.value)}. It puts "
        f"{100 * score.wrong_on_wrong_side:.0f}% of the wrong images on one side and "
        f"{100 * (1 - score.correct_on_wrong_side):.0f}% of the right ones on the other.",
        f"  95% interval {score_text(found.interval[0])} to {score_text(found.interval[1])}, "
        f"{held_out}, p {found.p_corrected:.2g} corrected for {found.n_tried} tried",
        f"  with: {_half(result.with_phrase)}; without: {_half(result.without_phrase)}",
    ]
    if found.few_wrong:
        lines.append(f"  only {score.n_wrong} wrong images: this score may be luck")
    if result.unknown_words:
        lines.append("  the encoder was never taught: " + ", ".join(result.unknown_words))
    done = "kept" if result.kept else "tried"
    if waits(result.run_id):
        lines.append(f"  {done}, and waiting in the outbox for the tracking store")
    else:
        lines.append(f"  {done} as run {result.run_id[:SHORT_RUN]}")
    return "\n".join(lines)


def _half(found: Accuracy) -> str:
    return f"{found.correct:,} of {found.count:,} right ({percent(found.value)})"


def comparison(rows: Sequence[Compared]) -> str:
    """Tell the models side by side."""
    shown = [key for key in COLUMNS if any(key in row.figures for row in rows)]
    figures = table(
        ["model", *(COLUMNS[key] for key in shown), "seconds", "parameters", "run"],
        [
            [
                row.name
                + (" [oracle]" if row.oracle else "")
                + (f" [{row.seeds} seeds]" if row.seeds > 1 else ""),
                *(_with_deviation(row, key) for key in shown),
                f"{row.cost['seconds']:,.1f}" if row.cost else "–",
                f"{row.cost['parameters']:,.0f}" if row.cost else "–",
                row.run_id[:SHORT_RUN],
            ]
            for row in rows
        ],
    )
    gains = [_gains(row) for row in rows if row.gains]
    return "\n".join([figures, *(["against the base, same images:"] if gains else []), *gains])


def _with_deviation(row: Compared, key: str) -> str:
    text = percent(row.figures.get(key))
    return f"{text} ± {100 * row.deviations[key]:.1f}" if key in row.deviations else text


def _gains(row: Compared) -> str:
    told = [
        f"{what.replace('_', ' ')} {100 * gain.estimate:+.1f} points "
        f"(95% {100 * gain.low:+.1f} to {100 * gain.high:+.1f})"
        for what, gain in row.gains.items()
    ]
    return f"  {row.run_id[:SHORT_RUN]}: {', '.join(told)}"


def promotion(result: Promotion) -> str:
    """Tell what the gate said."""
    first = (
        f"promoted: {result.model_name} version {result.version} is now the champion"
        if result.verdict.passed
        else f"refused: {result.model_name} version {result.version} stays a candidate"
    )
    return "\n".join([first, *(_reason(reason) for reason in result.verdict.reasons)])


def _reason(reason: Any) -> str:
    return f"  {'passes' if reason.passed else 'fails '} {reason.text}"


def story(found: Story) -> str:
    """Tell the demo's story from the first look to the promotion."""
    models = [found.base, found.misled, found.retrained, found.oracle]
    return "\n".join(
        [
            "",
            "1. Where does the model fail? (validation)",
            diagnosis(found.classes),
            "",
            "2. Phrases tried: the model is often wrong with images that have ___ in them",
            *(scored(each) for each in (*found.wrong, *found.kept)),
            "",
            "3. Retrained, on the test split",
            table(
                ["model", "average", "adj. average", "worst group"],
                [
                    [
                        each.model.name,
                        percent(each.evaluations["test"].average),
                        percent(each.evaluations["test"].adjusted_average),
                        percent(each.evaluations["test"].worst_group),
                    ]
                    for each in models
                ],
            ),
            "",
            "4. The gate",
            promotion(found.promotion),
            f"the model misled by {found.wrong[0].description.phrase!r}: "
            + ("passes" if found.wrong_verdict.passed else "refused"),
            *(_reason(reason) for reason in found.wrong_verdict.reasons if not reason.passed),
            "",
            f"The pictures: {found.pictures}",
            f"Everything is in MLflow: {_opened(found.store)}",
            f"{found.seconds:.0f} seconds",
        ]
    )


def _opened(store: str) -> str:
    """Return how people open a tracking store: its page, or the command that serves one."""
    return store if store.startswith("http") else f"mlflow ui --backend-store-uri {store}"
