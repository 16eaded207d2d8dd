"""Numbers and tables as text: percent with one decimal, scores as .66."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["SHORT_RUN", "percent", "score_text", "table"]

SHORT_RUN = 8
"""Characters of a run's id that are shown."""


def percent(value: float | None) -> str:
    """Return a fraction as percent with one decimal, or a dash."""
    return "–" if value is None else f"{100 * value:.1f} %"


def score_text(value: float) -> str:
    """Return a score in [-1, 1] as people write it: .66, 1.00, -.05."""
    text = f"{value:.2f}"
    return text.replace("0.", ".", 1) if abs(value) < 0.995 else text


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return an aligned table: the first column left, the others right."""
    lines = [list(header), *(list(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
