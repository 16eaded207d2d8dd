"""What was imported, for a person at a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from clarify.report.words import SHORT_RUN, percent, table

if TYPE_CHECKING:
    from clarify.workflow.exchange.imports import ImportedFeatures, ImportedPredictions

__all__ = ["imported_features", "imported_predictions"]


def imported_features(found: ImportedFeatures) -> str:
    """Tell what features came in, and how to use them."""
    low, high = found.norms
    lines = [
        f"{found.images:,} images of {found.data_set}, {found.width} numbers each, as encoder "
        f"{found.encoder}, in {found.folder}"
    ]
    if low < 0.999 or high > 1.001:
        lines.append(f"their lengths ran from {low:.4g} to {high:.4g}; they are kept with length 1")
    if found.ignored:
        lines.append(f"{found.ignored:,} rows of the file are of no image of the data set")
    lines.append(_phrases(found))
    option = "--encoder" if found.phrases or found.text_encoder else "--backbone"
    lines.append(f"use it: clarify train {found.data_set} {option} {found.encoder}")
    return "\n".join(lines)


def _phrases(found: ImportedFeatures) -> str:
    bank = f"{found.phrases:,} phrases" if found.phrases else "no phrases"
    if found.text_encoder:
        return f"{bank}; others are embedded by {found.text_encoder}"
    if found.phrases:
        return f"{bank}; others are refused, with the nearest of these"
    return f"{bank}: for phrases another encoder is needed"


def imported_predictions(found: ImportedPredictions) -> str:
    """Tell how the model does whose predictions came in."""
    lines = [
        f"{found.name}: base model, run {found.run_id[:SHORT_RUN]}"
        + ("" if found.probabilities else ", predicted classes without probabilities"),
        table(
            ["split", "average", "worst group"],
            [
                [split, percent(each.average), percent(each.worst_group)]
                for split, each in found.evaluations.items()
            ],
        ),
    ]
    if found.ignored:
        lines.append(f"{found.ignored:,} rows of the file are of no image of the data set")
    return "\n".join(lines)
