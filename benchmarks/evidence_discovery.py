"""The part of docs/evidence.md on discovery, from docs/evidence/discovery*.json and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.evidence_findings import read

__all__ = ["discovery_part"]

COLUMNS = ("AP", "P@10", "P@25", "worst group, by slices", "worst group, by words")

READ_SO = """\
`clarify benchmark --suite discovery`; what each method does stands in [Groups that fail
together](explanation/discovery.md). Each sees the validation images once and never their groups. *AP* and
*P@k* are of test images within a class: of a method's slices and their complements the best one counts, which
knows the truth and flatters all alike (the protocol of dcbench); *chance* is the AP of none. True slices are
those values of the attribute on which the model does worse by 5 points or more. *By slices*: worst group on
test after `clarify retrain`'s correction with each class's **first** slice as its groups, cut where it
explains errors best; *by words*: with the phrase that describes this slice best, as `clarify retrain` cuts
it. Words by gain are ordered by the gain on 32 principal components, the product's first round. *CPU s* is
processor time of finding alone, of all classes, on a machine that others used; it is no promise."""


def discovery_part(folder: Path) -> list[str]:
    """Return the section, where the suite was run."""
    parts = []
    for path in sorted(folder.glob("discovery*.json")):
        rows = read(path)["rows"]
        for name, kind in dict.fromkeys((row["data set"], row["validation"]) for row in rows):
            own = [row for row in rows if (row["data set"], row["validation"]) == (name, kind)]
            chance = next((row["chance"] for row in own if row["chance"]), None)
            told = f", chance {_percent(chance)}" if chance else ", no true slice"
            parts += [
                f"**{name}**, {kind} validation, {max(row['draws'] for row in own)} draws{told}",
                _table(own),
                _refused(own),
            ]
    return ["## Discovery by machine", READ_SO, *parts] if parts else []


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"| method | {' | '.join(COLUMNS)} | CPU s |", "|---" * (len(COLUMNS) + 2) + "|"]
    for row in rows:
        cells = ["–" if row[name] is None else _percent(row[name]) for name in COLUMNS]
        seconds = "–" if row["CPU s"] is None else f"{row['CPU s']:.2f}"
        lines.append(f"| {row['method']} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def _percent(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f} ± {100 * values['sd']:.1f}"


def _refused(rows: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"- {row['method']}, {row['refused']} of {row['draws']} draws: {'; '.join(row['reasons'])}."
        for row in rows
        if row["refused"]
    )
