"""The part of docs/evidence.md on discovery, from docs/evidence/discovery*.json and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks import real_waterbirds
from benchmarks.evidence_findings import read
from clarify.discover.slices.methods import DISCOVERY_METHODS
from clarify.evidence.discovery import NOTHING

__all__ = ["discovery_part"]

BY_SLICES, BY_WORDS = "worst group, by slices", "worst group, by words"
COLUMNS = ("AP", "P@10", "P@25", BY_SLICES, BY_WORDS)
HARM = 0.02

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
                _findings(own),
                _refused(own),
            ]
    if not parts:
        return []
    return ["## Discovery by machine", READ_SO, _missing(folder), *parts]


def _missing(folder: Path) -> str:
    """Say which data sets of the suite have no figures here."""
    from clarify.evidence.suites import HARDEST

    known = {row["data set"] for path in folder.glob("discovery*.json") for row in read(path)["rows"]}
    wanted = {HARDEST: "the drawn birds", real_waterbirds.NAME: "the real Waterbirds"}
    missing = [said for name, said in wanted.items() if name not in known]
    return f"*Not run yet, so nothing is known of it: {' and '.join(missing)}.*" if missing else ""


def _table(rows: list[dict[str, Any]]) -> str:
    lines = [f"| method | {' | '.join(COLUMNS)} | CPU s |", "|---" * (len(COLUMNS) + 2) + "|"]
    for row in rows:
        cells = ["–" if row[name] is None else _percent(row[name]) for name in COLUMNS]
        seconds = "–" if row["CPU s"] is None else f"{row['CPU s']:.2f}"
        lines.append(f"| {row['method']} | {' | '.join(cells)} | {seconds} |")
    return "\n".join(lines)


def _findings(rows: list[dict[str, Any]]) -> str:
    """Say which methods find no better than the trivial cells, and which retrainings harm."""
    by_name = {row["method"]: row for row in rows}
    cells, nothing = by_name["confusion-cells"], by_name[NOTHING][BY_SLICES]["mean"]
    found = [row for row in rows if row["AP"] and row["method"] in DISCOVERY_METHODS]
    told = {
        "No higher AP than the confusion cells": [
            row["method"] for row in found if row is not cells and row["AP"]["mean"] <= cells["AP"]["mean"]
        ],
        f"Worst group more than {100 * HARM:.0f} points below no correction, by slices": _harmed(
            rows, BY_SLICES, nothing
        ),
        "By words": _harmed(rows, BY_WORDS, nothing),
    }
    return "\n".join(f"- {what}: {', '.join(names) or 'none'}." for what, names in told.items())


def _harmed(rows: list[dict[str, Any]], column: str, nothing: float) -> list[str]:
    return [row["method"] for row in rows if row[column] and row[column]["mean"] < nothing - HARM]


def _percent(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f} ± {100 * values['sd']:.1f}"


def _refused(rows: list[dict[str, Any]]) -> str:
    return "\n".join(
        f"- {row['method']}, {row['refused']} of {row['draws']} draws: {row['reasons'][0].partition(';')[0]}."
        for row in rows
        if row["refused"]
    )
