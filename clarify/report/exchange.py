"""What predict, export and import came to, for a person at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from clarify.report.words import percent

if TYPE_CHECKING:
    from clarify.workflow.exchange.bundle import Bundled
    from clarify.workflow.exchange.export import Linked, Onnx, Tabled
    from clarify.workflow.exchange.predict import Answered, Written
    from clarify.workflow.exchange.unbundle import Imported

__all__ = ["as_onnx", "bundled", "imported", "linked", "predictions", "tabled", "written"]

MOST_LEFT_OUT = 10


def predictions(found: Sequence[Answered]) -> str:
    """Tell each image's label."""
    lines = []
    for each in found:
        for path, row in zip(each.paths, each.probabilities, strict=True):
            best = int(row.argmax())
            lines.append(f"{each.class_names[best]}  {percent(float(row[best]))}  {path}")
    bad = [f"{one.path}: {one.reason}" for each in found for one in each.bad]
    return "\n".join([*lines, *_left_out(bad)])


def written(found: Written) -> str:
    """Tell how many predictions a file has."""
    bad = [f"{each.path}: {each.reason}" for each in found.bad]
    return "\n".join([f"{found.images:,} images predicted, in {found.path}", *_left_out(bad)])


def tabled(found: Tabled) -> str:
    """Tell what a table of described images holds."""
    return f"{found.rows:,} rows of {found.descriptions} described halves with and without, in {found.path}"


def linked(found: Linked) -> str:
    """Tell where the links are."""
    return f"{found.links:,} links to images in {found.folder}"


def as_onnx(found: Onnx) -> str:
    """Tell what an ONNX file holds, and how well it agrees."""
    return (
        f"{found.name} as ONNX in {found.path}, {found.size / 1e6:,.1f} MB; its logits are within "
        f"{found.apart:.1g} of the model's own"
    )


def bundled(found: Bundled) -> str:
    """Tell what a bundle holds."""
    first = (
        f"{found.name}: {found.images:,} images, {found.features} sets of features, "
        f"{found.encoders} imported encoders and {found.runs} runs, {found.size / 1e6:,.1f} MB, "
        f"in {found.path}"
    )
    return "\n".join([first, *_left_out(found.left_out)])


def imported(found: Imported) -> str:
    """Tell what an import brought."""
    known = f" ({found.known_runs} were here already)" if found.known_runs else ""
    return (
        f"{found.name}: {found.images:,} images, {found.features} sets of features, "
        f"{found.encoders} imported encoders and {found.runs} runs{known}, now in {found.home}"
    )


def _left_out(lines: Sequence[str]) -> list[str]:
    more = len(lines) - MOST_LEFT_OUT
    shown = [f"left out {line}" for line in lines[:MOST_LEFT_OUT]]
    return [*shown, *([f"and {more:,} more"] if more > 0 else [])]
