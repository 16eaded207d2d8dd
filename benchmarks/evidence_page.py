"""The page docs/evidence.md, made from the figures in docs/evidence/ and from nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence_curves import CURVES, curve

__all__ = ["curves", "document", "real_table", "short_table"]

USUAL = "clarify_reweight"
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

PUBLISHED = """\
| data set, network | method | worst group | average | source |
|---|---|---|---|---|
| Waterbirds, RN50 fully trained | ERM | 72.6 | | the methods' papers |
| | JTT | 86.7 | | the same |
| | AFR | 90.4 | | the same |
| | DFR (groups) | 92.0 | | the same |
| CelebA, RN50 fully trained | ERM | 47.2 | | the methods' papers |
| | JTT | 81.1 | | the same |
| | AFR | 82.0 | | the same |
| | DFR (groups) | 88.0 | | the same |
| Waterbirds, CLIP RN50, linear probe | ERM | 59.6 or 7.9, by protocol | 96.3 or 93.5 | two papers |
| ImageNet, 31 hard subpopulations of 100 classes | before / Clarify | 21.1 / 28.7 \
(minority half) | 0.2 lost | Clarify, arXiv 2402.03715 |"""

COMMANDS = """\
```sh
# Waterbirds: `clarify data where waterbirds` says where it comes from
clarify data import waterbirds DIR --name waterbirds
clarify embed waterbirds --encoder open_clip:RN50:FILE
clarify benchmark --suite features --data-set waterbirds --encoder open_clip:RN50:FILE \\
  --phrase "landbird=water" --phrase "waterbird=forest"
# CelebA
clarify data import celeba DIR --name celeba
clarify embed celeba --encoder open_clip:RN50:FILE
clarify benchmark --suite features --data-set celeba --encoder open_clip:RN50:FILE \\
  --phrase "Blond_Hair=man"
# ImageNet has no annotated attribute: the classes worth a look, then phrases of people
clarify data import imagenet DIR --name imagenet
clarify embed imagenet --encoder open_clip:ViT-B-32:FILE
clarify promise imagenet --encoder open_clip:ViT-B-32:FILE
```"""


def document(folder: Path) -> str:
    """Return the page.

    Parameters
    ----------
    folder : Path
        Of ``rendered.json``, ``study-*.json``, and ``features.json`` and ``waterbirds-*.json`` where these
        suites were run.
    """
    from clarify.evidence.studies import STUDIES
    from clarify.evidence.tables import markdown

    rendered = _read(folder / "rendered.json")
    parts = [
        "# The evidence",
        "Written by `python -m benchmarks evidence`, from the figures in [evidence/](evidence/). "
        "Accuracies on the test split in percent, mean ± deviation over seeds. Every head is a last "
        "layer on the same features.",
        _read_so(),
        _limits(),
        _TUNED,
        "## Drawn birds, four difficulties",
        "`clarify benchmark --suite rendered`. What each method uses, and what chose among its "
        "candidates, stands in its row; choosing by true groups makes any method an oracle. On "
        "*easy* and *medium* there is hardly anything to correct, and they show whether a method "
        "does harm.",
        _stale(rendered),
        _findings(rendered["rows"]),
        _owed(rendered["rows"]),
        _default(rendered["rows"]),
        markdown(_printed(rendered["rows"])),
        _refused(rendered["refused"]),
    ]
    if (folder / "features.json").is_file():
        features = _read(folder / "features.json")
        parts += [
            "## Embeddings of a real CLIP",
            "500 images (CIFAR-10 test images by OpenAI's ViT-B/32), vehicles against animals, "
            "with a planted correlation on a word of the bank. So few images decide little: one "
            "test image of a group is worth 5 points. `python -m benchmarks evidence`, where the "
            "file is at hand.",
            _stale(features),
            markdown(_printed(features["rows"])),
            _refused(features["refused"]),
        ]
    parts += _real(folder)
    parts += [
        "## Studies",
        "On the hardest drawn birds unless it says otherwise; `clarify benchmark --study NAME`. "
        "Phrases come from a list: **no person took part in any of this.**",
    ]
    for name in STUDIES:
        if (folder / f"study-{name}.json").is_file():
            parts += _study(_read(folder / f"study-{name}.json"))
    parts += ["## Negative results", _negative(rendered["rows"], folder)]
    parts += [
        "## The real data sets",
        "They are not passed on with Clarify. Waterbirds was run on the features of an ImageNet network "
        "([above](#the-real-waterbirds)), with a CLIP none was. The commands, and "
        "published figures to compare with (each under its own protocol):",
        COMMANDS,
        PUBLISHED,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def short_table(folder: Path) -> str:
    """Return the README's table of the hardest drawn birds."""
    rows = _read(folder / "rendered.json")["rows"]
    kinds = ("ordinary", "balanced")
    return _side_by_side(
        {f"{kind} validation": _own(rows, rows[-1]["data_set"], kind) for kind in kinds}, SHOWN
    )


def real_table(folder: Path) -> str:
    """Return the README's table of the real Waterbirds."""
    columns = {}
    for name in REAL_NAMES:
        rows = _read(folder / f"waterbirds-{name}.json")["rows"]
        for kind in ("ordinary", "balanced"):
            columns[f"{name}, {kind} validation"] = _own(rows, rows[-1]["data_set"], kind, REAL)
    return _side_by_side(columns, REAL)


def _side_by_side(columns: dict[str, list[dict[str, Any]]], methods: Sequence[str]) -> str:
    """Return a table of methods: of each column the worst group, and the adjusted average in brackets."""
    lines = [f"| method | uses | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    uses = {"none": "class labels", "words": "words", "groups": "true groups (oracle)"}
    by_method = [{row["method"]: row for row in rows} for rows in columns.values()]
    for method in methods:
        rows = [each[method] for each in by_method if method in each]
        if len(rows) == len(columns):
            cells = [f"{_spread(_worst(row))} ({_mean(row['adjusted_average_accuracy'])})" for row in rows]
            lines.append(f"| {method} | {uses[rows[0]['supervision']]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _mean(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f}"


def _own(
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


def _printed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the oracles that stand beside their rows already, but the best one."""
    return [
        row for row in rows if not row["method"].startswith("oracle_") or row["method"] == row["best_oracle"]
    ]


def _tables(
    rows: list[dict[str, Any]], methods: Sequence[str] = SHOWN
) -> dict[tuple[str, str], dict[str, dict[str, Any]]]:
    """Return the rows by data set and validation, and then by method, where there is much to correct."""
    found = {}
    for name, kind in dict.fromkeys((row["data_set"], row["validation"]) for row in rows):
        own = {row["method"]: row for row in _own(rows, name, kind, methods)}
        if _worst(_best(rows, own["erm"]))["mean"] - _worst(own["erm"])["mean"] >= 0.20:
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


def _worst(row: dict[str, Any]) -> dict[str, float]:
    found: dict[str, float] = row["worst_group_accuracy"]
    return found


def _findings(rows: list[dict[str, Any]]) -> str:
    lines = ["What it shows, where the best oracle is 20 points or more over ERM:", ""]
    for (name, kind), own in _tables(rows).items():
        adjusted = {each: row["adjusted_average_accuracy"]["mean"] for each, row in own.items()}
        oracle = _best(rows, own["erm"])
        rival = max(filter(own.__contains__, RIVALS), key=lambda each, own=own: _worst(own[each])["mean"])
        for ours in filter(own.__contains__, OURS):
            apart = 100 * (_worst(own[ours])["mean"] - _worst(oracle)["mean"])
            lines.append(
                f"- **{name}, {kind} validation**, `{ours}`: worst group {_spread(_worst(own[ours]))}, ERM "
                f"{_spread(_worst(own['erm']))}, the best oracle, `{oracle['method']}`, "
                f"{_spread(_worst(oracle))} ({apart:+.1f} points); adjusted average "
                f"{100 * (adjusted[ours] - adjusted['erm']):+.1f} points against ERM. The best method "
                f"without words or groups is `{rival}` with {_spread(_worst(own[rival]))}, at "
                f"{100 * (adjusted[rival] - adjusted[ours]):+.1f} points of adjusted average against it."
            )
    winners = [
        f"`{row['method']}` on {row['data_set']} ({row['validation']})"
        for row in rows
        if row["supervision"] == "none"
        and _worst(row)["mean"]
        > next(
            _worst(r)["mean"] for r in _own(rows, row["data_set"], row["validation"]) if r["method"] == USUAL
        )
    ]
    told = ", ".join(dict.fromkeys(winners)) or "nowhere"
    lines.append(f"- Where a method without words or groups beats `{USUAL}`: {told}.")
    return "\n".join(lines)


def _owed(rows: list[dict[str, Any]]) -> str:
    """Return what of a refit is the validation images', and what the phrase's."""
    lines = ["What a refit owes to the validation images that it fits, and what to the phrase:", ""]
    for (name, kind), own in _tables(rows).items():
        base, images, phrase = (
            100 * _worst(own[each])["mean"] for each in ("rwy", "rwy_refit", f"{USUAL}_refit")
        )
        lines.append(
            f"- **{name}, {kind} validation**: balancing the classes alone goes from {base:.1f} to "
            f"{images:.1f} when validation images are fitted too ({images - base:+.1f} points, no word); "
            f"the phrase brings it to {phrase:.1f} ({phrase - images:+.1f} points)."
        )
    return "\n".join(lines)


def _default(rows: list[dict[str, Any]]) -> str:
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


def _negative(rows: list[dict[str, Any]], folder: Path) -> str:
    """Return what did not do what one would wish, from the figures."""
    hardest = _by_method(rows, rows[-1]["data_set"])
    erm, unlabelled, slope, direction, text = (
        _spread(hardest[name]["worst_group_accuracy"])
        for name in (
            "erm",
            "erase_regression_unlabelled",
            "erase_regression",
            "erase_mean_difference",
            "erase_text",
        )
    )
    studied = {
        name: _read(folder / f"study-{name}.json")["rows"]
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
            f"{_spread(held_out['worst group'])}, and {held_out['harmed']} of {held_out['draws']} did "
            f"harm; the one nearest in meaning to the others comes to "
            f"{_spread(meaning['worst group'])}, and {meaning['harmed']} did.",
            f"- Naming several things at once is no better than the one word for all of them: "
            f"{_spread(several)} against {_spread(single)}.",
        )
    )


def _by_method(rows: list[dict[str, Any]], data_set: str) -> dict[str, dict[str, Any]]:
    return {row["method"]: row for row in reversed(rows) if row["data_set"] == data_set}


def _read_so() -> str:
    return "\n".join(
        (
            "How to read the tables:",
            "",
            "- *Validation* is what a method chooses by, and what people look at. *Balanced*: as many images "
            "of each true group of a class, which by itself tells methods much of the groups. *Ordinary*: "
            "two fifths of the training images, held out class by class without a look at groups; the rest "
            "trains.",
            "- *Seeds* of the hardest birds are data sets drawn anew, test images too. Of all others a seed "
            "is a draw of the training images: four fifths of each group with balanced validation, what is "
            "not held out with ordinary validation; the test images stay.",
            "- *Over ERM*, *over its oracle* (the same objective, erasure and refit with the true groups in "
            "the place of the phrases') and *over the best oracle* (chosen by test, so it flatters the "
            "oracle) are differences of the worst group, with 95 % of a bootstrap that draws seeds, and then "
            "test images of each.",
            "- Grids of the methods that Clarify is compared with are widened until the choice lies inside. "
            "*At* names a setting that was chosen at the edge of a grid that goes no further; Clarify's own "
            "grid is the product's.",
        )
    )


_TUNED = (
    "What was tuned on what: how hard the hardest birds are to tell apart, and the 3 % of them that look "
    "like the other class, were chosen on their validation split (the first draw) so that a head leans on "
    "the place: this problem is made to have the failure that a phrase can describe. Clarify's defaults "
    "(objective, cut, weight decays) were chosen by tables like these, on the same drawn birds and on the "
    "real Waterbirds, test figures in sight. The phrases are the names of the two places, written by those "
    "who drew them. The baselines' settings are chosen on validation alone, each within its own grid."
)


def _stale(found: dict[str, Any]) -> str:
    from clarify.evidence.suites import CORE

    if found.get("core") == CORE:
        return ""
    return "*These figures were made by an older core, and were not run again since.*"


def _real(folder: Path) -> list[str]:
    """Return the section on the real Waterbirds, where these suites were run."""
    from clarify.evidence.tables import markdown

    parts = []
    for name, word in REAL_NAMES.items():
        if (folder / f"waterbirds-{name}.json").is_file():
            found = _read(folder / f"waterbirds-{name}.json")
            parts += [
                f'### "{word}" by a bridge from {"captions" if name == "captions" else "class names alone"}',
                _stale(found),
                _findings(found["rows"]),
                _owed(found["rows"]),
                _default(found["rows"]),
                markdown(found["rows"]),
                _refused(found["refused"]),
            ]
    if not parts:
        return []
    return [
        "## The real Waterbirds",
        "All 11,788 photographs by EfficientNet-lite0 with ImageNet weights; the words by a "
        "[bridge](how-to/photographs.md) that is learned in the suite, from two captions of each of 1,199 "
        "validation images (by BLIP and GPT-4o, published by batmanlab/Ladder, CC-BY-4.0), or from the "
        "network's class names. One word of both classes, as somebody says it who looked at the images. "
        "`python -m benchmarks evidence`, where the features are at hand; the photographs belong to others. "
        "Methods whose grids take hours at this size (CVaR-DRO, JTT, AFR) were not run.",
        *parts,
    ]


def _limits() -> str:
    return "\n".join(
        (
            "What it does not show:",
            "",
            "- The birds are drawn, the encoder is a CLIP of 3.3 million parameters, trained on such "
            "drawings. On photographs a phrase parts images less cleanly.",
            "- Zero-shot does as well as any correction on these birds: the encoder was trained on "
            "such drawings, these classes among them. It needs no training images; it corrects no "
            "model.",
            "- No person took part. What people say, and how long they need, was not studied.",
            "- Only last layers are compared. Networks trained whole are in the README.",
            "- Baselines are as in their papers but for a last layer solved to its optimum, with the "
            "weight decay in the place of early stopping; their docstrings say where they differ.",
        )
    )


def _refused(refused: list[dict[str, Any]]) -> str:
    found: dict[str, list[str]] = {}
    for each in refused:
        found.setdefault(each["reason"], []).append(
            f"{each['method']} ({each['data_set']}, seed {each['seed']})"
        )
    return "\n".join(f"- Not done: {', '.join(cells)}: {reason}." for reason, cells in found.items())


def _study(found: dict[str, Any]) -> list[str]:
    from clarify.evidence.tables import study_markdown

    name = found["study"]
    drawn = f"![{CURVES[name][2]}](evidence/{name}.svg)" if name in CURVES else ""
    return [
        f"### {found['question']}",
        f"`--study {name}`, {found['seeds']} seeds.",
        _stale(found),
        study_markdown(found["rows"]),
        drawn,
    ]


def curves(folder: Path) -> dict[Path, str]:
    """Return the pictures of the page by their places."""
    studies = {name: _read(folder / f"study-{name}.json")["rows"] for name in CURVES}
    # Beside the distances stand all phrases together, by their score: a curve.
    studies["reviewers"] = [row for row in studies["reviewers"] if row["distance"].startswith("score")]
    return {folder / f"{name}.svg": curve(name, rows) for name, rows in studies.items()}


def _spread(values: dict[str, float]) -> str:
    return f"{100 * values['mean']:.1f} ± {100 * values['sd']:.1f}"


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found
