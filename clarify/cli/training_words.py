"""What training and retraining came to, for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.cli.words import METRICS, SHORT_RUN, percent, table

if TYPE_CHECKING:
    from clarify.workflow.model.trained import Trained

__all__ = ["trained"]

ANOTHER_MODEL = (
    "note: of the base model only predictions are known, so this is another model: a new last "
    "layer on the backbone's features, trained where the described halves count"
)


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
    shown = [key for key in METRICS if any(key in found for found in values.values())]
    return table(
        ["split", *(METRICS[key] for key in shown)],
        [[split, *(percent(found.get(key)) for key in shown)] for split, found in values.items()],
    )
