"""The page docs/evidence.md, made from the figures in docs/evidence/ and from nothing else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.evidence_curves import CURVES, curve

__all__ = ["curves", "document", "short_table"]

USUAL, ORACLE = "clarify_reweight", "group_dro"
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
    ORACLE,
    "dfr_subsampled",
)
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
        Of ``rendered.json``, ``study-*.json``, and ``features.json`` where the suite was run.
    """
    from clarify.evidence.studies import STUDIES
    from clarify.evidence.tables import markdown

    rendered = _read(folder / "rendered.json")
    parts = [
        "# The evidence",
        "Written by `python -m benchmarks evidence`, from the figures in [evidence/](evidence/). "
        "Accuracies on the test split in percent, mean ± deviation over seeds; a seed sees four "
        "fifths of each group of training and validation images, the test images are the same for "
        "all. *Over ERM* and *over the oracle* (group DRO on the true groups) are differences of "
        "the worst group with 95 % of a paired bootstrap over the test images. Every head is a "
        "last layer on the same features.",
        _limits(),
        "## Drawn birds, four difficulties",
        "`clarify benchmark --suite rendered`. What each method uses, and what chose among its "
        "candidates, stands in its row; choosing by true groups makes any method an oracle. On "
        "*easy* and *medium* there is hardly anything to correct, and they show whether a method "
        "does harm.",
        _findings(rendered["rows"]),
        markdown(rendered["rows"]),
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
            markdown(features["rows"]),
            _refused(features["refused"]),
        ]
    parts += [
        "## Studies",
        "On the hardest drawn birds unless it says otherwise; `clarify benchmark --study NAME`. "
        "Phrases come from a list: **no person took part in any of this.**",
    ]
    for name in STUDIES:
        parts += _study(_read(folder / f"study-{name}.json"))
    parts += ["## Negative results", _negative(rendered["rows"], folder)]
    parts += [
        "## The real data sets",
        "They are not passed on with Clarify and were not run here. The commands, and published "
        "figures to compare with (each under its own protocol):",
        COMMANDS,
        PUBLISHED,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def short_table(rows: list[dict[str, Any]], data_set: str) -> str:
    """Return the table of the README: some methods on one data set, each by its own rule."""
    lines = ["| method | uses | worst group | adjusted average |", "|---|---|---|---|"]
    for row in _own(rows, data_set):
        worst, adjusted = row["worst_group_accuracy"], row["adjusted_average_accuracy"]
        uses = {"none": "class labels", "words": "words", "groups": "true groups (oracle)"}
        lines.append(
            f"| {row['method']} | {uses[row['supervision']]} | {_spread(worst)} | {_spread(adjusted)} |"
        )
    return "\n".join(lines)


def _own(rows: list[dict[str, Any]], data_set: str) -> list[dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["data_set"] == data_set and row["method"] in SHOWN:
            own = row["supervision"] != "groups" or row["method"] in {"rwg", ORACLE, SHOWN[-1]}
            if row["selection"] in OWN_RULES and own:
                found.setdefault(row["method"], row)
    return list(found.values())


def _findings(rows: list[dict[str, Any]]) -> str:
    lines = ["What it shows, where the oracle is 20 points or more over ERM:", ""]
    for name in dict.fromkeys(row["data_set"] for row in rows):
        own = {row["method"]: row for row in _own(rows, name)}
        worst = {each: row["worst_group_accuracy"] for each, row in own.items()}
        adjusted = {each: row["adjusted_average_accuracy"]["mean"] for each, row in own.items()}
        if worst[ORACLE]["mean"] - worst["erm"]["mean"] < 0.20:
            continue
        best = max(RIVALS, key=lambda each: worst[each]["mean"])
        for ours in OURS:
            apart = 100 * (worst[ours]["mean"] - worst[ORACLE]["mean"])
            lines.append(
                f"- **{name}**, `{ours}`: worst group {_spread(worst[ours])}, ERM "
                f"{_spread(worst['erm'])}, group DRO on true groups {_spread(worst[ORACLE])} "
                f"({apart:+.1f} points); adjusted average "
                f"{100 * (adjusted[ours] - adjusted['erm']):+.1f} points against ERM. The best "
                f"method without words or groups is `{best}` with {_spread(worst[best])}, at "
                f"{100 * (adjusted[best] - adjusted[ours]):+.1f} points of adjusted average "
                "against it."
            )
    winners = [
        f"`{row['method']}` on {row['data_set']}"
        for row in rows
        if row["supervision"] == "none"
        and row["worst_group_accuracy"]["mean"]
        > next(r for r in _own(rows, row["data_set"]) if r["method"] == USUAL)["worst_group_accuracy"]["mean"]
    ]
    told = ", ".join(dict.fromkeys(winners)) or "nowhere"
    lines.append(f"- Where a method without words or groups beats `{USUAL}`: {told}.")
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
            "- The studies of 2, 10 and 100 classes, of odd images, of wrong phrases, of reviewers and "
            "of crowds, and the suite *features*, are of the day before the rows of Clarify became the "
            "product's own fits (six weight decays, the worst group as objective); they were not run "
            "again since.",
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
