"""Numbers and tables as text: percent with one decimal, scores as 0.66."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from clarify.face.pages import percent

__all__ = [
    "CAPTIONS_HELP",
    "MANY_CLASSES",
    "METRICS",
    "SHORT_RUN",
    "group_counts",
    "kept_captions_text",
    "left_out",
    "percent",
    "score_text",
    "table",
]

CAPTIONS_HELP = ".csv, .tsv, .parquet or .jsonl with id or path, and caption; kept with the data set"
MANY_CLASSES = 20
"""Of more classes or groups, only some are shown; --json has all."""

MOST_LEFT_OUT = 10
SHORT_RUN = 8
"""Characters of a run's id that are shown."""

METRICS = {
    "average_accuracy": "average",
    "adjusted_average_accuracy": "adj. average",
    "worst_group_accuracy": "worst group",
    "described_worst_group_accuracy": "worst described",
    "gap": "gap",
}
"""The figures of a model that are shown, with the titles of their columns."""


def score_text(value: float) -> str:
    """Return a score in [-1, 1] with two decimals: the one way that scores are written."""
    return f"{value:.2f}"


def group_counts(counts: dict[str, dict[str, int]]) -> str:
    """Show every group of a split, or of many groups the smallest."""
    rows = []
    for split, groups in counts.items():
        smallest = sorted(groups.items(), key=lambda group: group[1])[:3]
        shown = groups.items() if len(groups) <= MANY_CLASSES else smallest
        rows += [[split, group, f"{count:,}"] for group, count in shown]
        if len(groups) > MANY_CLASSES:
            rows.append([split, f"and {len(groups) - 3:,} larger ones", ""])
    return table(["split", "class or group", "images"], rows)


def kept_captions_text(images: Mapping[str, int], replaced: int) -> str:
    """Say of how many images of each split captions were kept, and whether others stood there."""
    kept = ", ".join(f"{count:,} of {split}" for split, count in images.items())
    before = f", in place of those of {replaced:,} images that were here" if replaced else ""
    return f"captions of {sum(images.values()):,} images kept ({kept}){before}"


def left_out(lines: Sequence[str]) -> list[str]:
    """Return a line each for the first things that were left out, and how many more there are."""
    more = len(lines) - MOST_LEFT_OUT
    shown = [f"left out {line}" for line in lines[:MOST_LEFT_OUT]]
    return [*shown, *([f"and {more:,} more"] if more > 0 else [])]


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
