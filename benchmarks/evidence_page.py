"""The page docs/evidence.md, made from the figures in docs/evidence/ and from nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.evidence_curves import CURVES, curve
from benchmarks.evidence_discovery import discovery_part
from benchmarks.evidence_findings import (
    REAL,
    REAL_NAMES,
    SHOWN,
    findings,
    left_out,
    mean,
    negative,
    owed,
    own_rows,
    read,
    spread,
    worst,
)

__all__ = ["curves", "document", "real_table", "short_table"]

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

    rendered = read(folder / "rendered.json")
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
        findings(rendered["rows"]),
        owed(rendered["rows"]),
        left_out(rendered["rows"]),
        markdown(_printed(rendered["rows"])),
        _refused(rendered["refused"]),
    ]
    if (folder / "features.json").is_file():
        features = read(folder / "features.json")
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
    parts += [*_real(folder), *discovery_part(folder)]
    parts += [
        "## Studies",
        "On the hardest drawn birds unless it says otherwise; `clarify benchmark --study NAME`. "
        "Phrases come from a list: **no person took part in any of this.**",
    ]
    for name in STUDIES:
        if (folder / f"study-{name}.json").is_file():
            parts += _study(read(folder / f"study-{name}.json"))
        if (real := folder / f"study-{name}-waterbirds.json").is_file():
            parts += ["On the real Waterbirds, phrases by the bridge from captions:", *_table(read(real))]
    parts += ["## Negative results", negative(rendered["rows"], folder)]
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
    rows = read(folder / "rendered.json")["rows"]
    kinds = ("ordinary", "balanced")
    return _side_by_side(
        {f"{kind} validation": own_rows(rows, rows[-1]["data_set"], kind) for kind in kinds}, SHOWN
    )


def real_table(folder: Path) -> str:
    """Return the README's table of the real Waterbirds."""
    columns = {}
    for name in REAL_NAMES:
        rows = read(folder / f"waterbirds-{name}.json")["rows"]
        for kind in ("ordinary", "balanced"):
            columns[f"{name}, {kind} validation"] = own_rows(rows, rows[-1]["data_set"], kind, REAL)
    return _side_by_side(columns, REAL)


def _side_by_side(columns: dict[str, list[dict[str, Any]]], methods: Sequence[str]) -> str:
    """Return a table of methods: of each column the worst group, and the adjusted average in brackets."""
    lines = [f"| method | uses | {' | '.join(columns)} |", "|---" * (2 + len(columns)) + "|"]
    uses = {"none": "class labels", "words": "words", "groups": "true groups (oracle)"}
    by_method = [{row["method"]: row for row in rows} for rows in columns.values()]
    for method in methods:
        rows = [each[method] for each in by_method if method in each]
        if len(rows) == len(columns):
            cells = [f"{spread(worst(row))} ({mean(row['adjusted_average_accuracy'])})" for row in rows]
            lines.append(f"| {method} | {uses[rows[0]['supervision']]} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _printed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out the oracles that stand beside their rows already, but the best one."""
    return [
        row for row in rows if not row["method"].startswith("oracle_") or row["method"] == row["best_oracle"]
    ]


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
            found = read(folder / f"waterbirds-{name}.json")
            parts += [
                f'### "{word}" by a bridge from {"captions" if name == "captions" else "class names alone"}',
                _stale(found),
                findings(found["rows"]),
                owed(found["rows"]),
                left_out(found["rows"]),
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
    name = found["study"]
    drawn = f"![{CURVES[name][2]}](evidence/{name}.svg)" if name in CURVES else ""
    return [f"### {found['question']}", f"`--study {name}`, {found['seeds']} seeds.", *_table(found), drawn]


def _table(found: dict[str, Any]) -> list[str]:
    from clarify.evidence.tables import study_markdown

    return [_stale(found), study_markdown(found["rows"])]


def curves(folder: Path) -> dict[Path, str]:
    """Return the pictures of the page by their places."""
    studies = {name: read(folder / f"study-{name}.json")["rows"] for name in CURVES}
    # Beside the distances stand all phrases together, by their score: a curve.
    studies["reviewers"] = [row for row in studies["reviewers"] if row["distance"].startswith("score")]
    return {folder / f"{name}.svg": curve(name, rows) for name, rows in studies.items()}
