"""What the recorded figures of docs/evidence.md say: which rows are shown, and sentences made of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__all__ = [
    "REAL",
    "REAL_NAMES",
    "SHOWN",
    "findings",
    "left_out",
    "mean",
    "negative",
    "owed",
    "own_rows",
    "read",
    "spread",
    "worst",
]

USUAL = "clarify_reweight"
REAL_POOL = "study-collecting-waterbirds"
OURS = (USUAL, "clarify_worst_group", "clarify_reweight_refit")
RIVALS = ("rwy", "cvar_dro", "jtt", "afr")
SHOWN = (
    "zero_shot",
    "erm",
    *RIVALS,
    "rwy_refit",
    *OURS,
    "erase_mean_difference",
    "rwg",
    "rwg_refit",
    "group_dro",
    "dfr_subsampled",
)
ORACLES = {"rwg", "rwg_refit", "group_dro", "dfr_subsampled"}
REAL = (
    "erm",
    "rwy",
    "rwy_refit",
    USUAL,
    "clarify_reweight_refit",
    "erase_mean_difference_refit",
    "rwg",
    "rwg_refit",
    "oracle_erase_mean_difference_refit",
    "group_dro",
    "dfr_subsampled",
)
"""What runs on the real Waterbirds; the first ones go from nothing told to words, the others are oracles."""

REAL_NAMES = {"captions": "water", "names": "sea"}
"""By what a bridge was learned from, the word that was said of both classes."""

OWN_RULES = {"worst_class", "own", "described_worst_group", "annotated_worst_group"}


def mean(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f}"


def own_rows(
    rows: list[dict[str, Any]], data_set: str, validation: str, methods: Sequence[str] = SHOWN
) -> list[dict[str, Any]]:
    """Return the rows of some methods on one data set, each by its own rule."""
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if (row["data_set"], row["validation"]) == (data_set, validation) and row["method"] in methods:
            own = row["supervision"] != "groups" or row["method"] in ORACLES or methods is REAL
            if row["selection"] in OWN_RULES and own:
                found.setdefault(row["method"], row)
    return list(found.values())


def _tables(
    rows: list[dict[str, Any]], methods: Sequence[str] = SHOWN
) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Return the rows by data set and validation, and then by method, where there is much to correct."""
    found = {}
    for name, kind in dict.fromkeys((row["data_set"], row["validation"]) for row in rows):
        own = {row["method"]: row for row in own_rows(rows, name, kind, methods)}
        if worst(_best(rows, own["erm"]))["mean"] - worst(own["erm"])["mean"] >= 0.20:
            found[name, kind] = own
    return found


def _best(rows: list[dict[str, Any]], beside: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the best oracle of a row's table."""
    where = ("data_set", "validation", "best_oracle")
    return next(
        row
        for row in rows
        if all(row[each] == beside[each] for each in where)
        and row["supervision"] == "groups"
        and row["method"] == row["best_oracle"]
    )


def worst(row: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = row["worst_group_accuracy"]
    return found


def findings(rows: list[dict[str, Any]]) -> str:
    lines = ["What it shows, where the best oracle is 20 points or more over ERM:", ""]
    for (name, kind), own in _tables(rows).items():
        adjusted = {each: row["adjusted_average_accuracy"]["mean"] for each, row in own.items()}
        oracle = _best(rows, own["erm"])
        rival = max(filter(own.__contains__, RIVALS), key=lambda each, own=own: worst(own[each])["mean"])
        for ours in filter(own.__contains__, OURS):
            apart = 100 * (worst(own[ours])["mean"] - worst(oracle)["mean"])
            lines.append(
                f"- **{name}, {kind} validation**, `{ours}`: worst group {spread(worst(own[ours]))}, ERM "
                f"{spread(worst(own['erm']))}, the best oracle, `{oracle['method']}`, "
                f"{spread(worst(oracle))} ({apart:+.1f} points); adjusted average "
                f"{100 * (adjusted[ours] - adjusted['erm']):+.1f} points against ERM. The best method "
                f"without words or groups is `{rival}` with {spread(worst(own[rival]))}, at "
                f"{100 * (adjusted[rival] - adjusted[ours]):+.1f} points of adjusted average against it."
            )
    winners = [
        f"`{row['method']}` on {row['data_set']} ({row['validation']})"
        for row in rows
        if row["supervision"] == "none"
        and worst(row)["mean"]
        > next(
            worst(r)["mean"]
            for r in own_rows(rows, row["data_set"], row["validation"])
            if r["method"] == USUAL
        )
    ]
    told = ", ".join(dict.fromkeys(winners)) or "nowhere"
    lines.append(f"- Where a method without words or groups beats `{USUAL}`: {told}.")
    return "\n".join(lines)


def owed(rows: list[dict[str, Any]]) -> str:
    """Return what of a refit is the validation images', and what the phrase's."""
    lines = ["What a refit owes to the validation images that it fits, and what to the phrase:", ""]
    for (name, kind), own in _tables(rows).items():
        base, images, phrase = (
            100 * worst(own[each])["mean"] for each in ("rwy", "rwy_refit", f"{USUAL}_refit")
        )
        lines.append(
            f"- **{name}, {kind} validation**: balancing the classes alone goes from {base:.1f} to "
            f"{images:.1f} when validation images are fitted too ({images - base:+.1f} points, no word); "
            f"the phrase brings it to {phrase:.1f} ({phrase - images:+.1f} points)."
        )
    return "\n".join(lines)


def left_out(rows: list[dict[str, Any]]) -> str:
    """Return what a refit and an erasure would add to the default correction."""
    others = {f"{USUAL}_refit": "a refit", "erase_mean_difference_refit": "erasure and refit"}
    lines = [f"What the default, `{USUAL}`, leaves out: worst group, and adjusted average:", ""]
    for (name, kind), own in _tables(rows, (*SHOWN, *REAL)).items():
        worst, adjusted = (
            {each: 100 * row[f"{what}_accuracy"]["mean"] for each, row in own.items()}
            for what in ("worst_group", "adjusted_average")
        )
        told = "; ".join(
            f"{words} {worst[each] - worst[USUAL]:+.1f} and {adjusted[each] - adjusted[USUAL]:+.1f}"
            for each, words in others.items()
        )
        lines.append(f"- **{name}, {kind} validation**: {told} points.")
    return "\n".join(lines)


def negative(rows: list[dict[str, Any]], folder: Path) -> str:
    """Return what did not do what one would wish, from the figures."""
    hardest = _by_method(rows, rows[-1]["data_set"])
    erm, unlabelled, slope, direction, text = (
        spread(hardest[name]["worst_group_accuracy"])
        for name in (
            "erm",
            "erase_regression_unlabelled",
            "erase_regression",
            "erase_mean_difference",
            "erase_text",
        )
    )
    studied = {
        name: read(folder / f"study-{name}.json")["rows"]
        for name in ("compound", "crowds", "reviewers", "wrong-phrases")
    }
    crowd = {row["put together by"]: row for row in studied["crowds"]}
    near = next(row for row in studied["reviewers"] if row["distance"] == "near")
    single, several = (studied["compound"][number]["worst_group"] for number in (0, 1))
    wrong = studied["wrong-phrases"][0]
    held_out, meaning = (crowd[name] for name in ("best held-out score", "consensus by meaning"))
    ours, free = (hardest[name]["adjusted_average_accuracy"]["mean"] for name in (USUAL, "cvar_dro"))
    return "\n".join(
        (
            f"- Erasure alone stays behind the objectives on {rows[-1]['data_set']}: worst "
            f"group {direction} by the mean difference, {slope} by the slope, {text} by the text; "
            f"ERM {erm}.",
            f"- The slope over images without labels takes the class out with the place: {unlabelled}.",
            f"- No correction keeps all of the adjusted average, which weighs groups as in training: "
            f"`{USUAL}` gives {100 * (free - ours):.1f} points more of it away than CVaR-DRO, which "
            "hardly corrects.",
            f"- The gate refuses {wrong['refused by the gate']} of {wrong['draws']} phrases that have "
            f"nothing to do with the errors, and pays for it: of {near['draws']} phrases near the "
            f"truth it lets {near['let through']} through, and {near['harmed']} did harm.",
            f"- Of several reviewers' phrases the one with the best held-out score comes to "
            f"{spread(held_out['worst group'])}, and {held_out['harmed']} of {held_out['draws']} did "
            f"harm; the one nearest in meaning to the others comes to "
            f"{spread(meaning['worst group'])}, and {meaning['harmed']} did.",
            f"- Naming several things at once is no better than the one word for all of them: "
            f"{spread(several)} against {spread(single)}.",
            *_collected(folder),
        )
    )


def _collected(folder: Path) -> list[str]:
    """Return what labels of a pool bring, where that was measured: validation is ordinary."""
    found = []
    for name, of in (("study-collecting", "the hardest drawn birds"), (REAL_POOL, "the real Waterbirds")):
        if (place := folder / f"{name}.json").is_file():
            rows = read(place)["rows"]
            none, most = rows[0], max(row["labels"] for row in rows)
            told = ", ".join(
                f"{row['taken']} {spread(row['worst group, trained'])} and "
                f"{spread(row['worst group, corrected'])}"
                for row in rows
                if row["labels"] == most
            )
            words = next(row for row in rows if row["taken"] == "words, by phrase")
            found.append(
                f"- Of half of the training images of {of}, {most} get their labels back (validation "
                f"ordinary). Worst group, trained and corrected, without them "
                f"{spread(none['worst group, trained'])} and {spread(none['worst group, corrected'])}; "
                f"{told}. Of the first 50 by phrase {spread(words['half, first 50'])} % are of the half that "
                f"was meant, but only {spread(words['group, first 50'])} % of its class too: a half is full "
                "of the other class."
            )
    return found


def _by_method(rows: list[dict[str, Any]], data_set: str) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in reversed(rows) if row["data_set"] == data_set}


def spread(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f} ± {100 * values['sd']:.1f}"


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
