"""Studies: what one choice does while everything else stays, on drawn birds or made-up features.

Each is a function of a data set's draws, a seed each, that returns a table of plain rows. No person
takes part in any of them: phrases come from a list.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.errors import ClarifyError
from clarify.evidence.cells import figures_of
from clarify.evidence.collecting import collecting
from clarify.evidence.comparison import spread
from clarify.evidence.labels import labels
from clarify.evidence.methods import methods
from clarify.evidence.reviewers import crowds, distances, oversight, wrong_phrases
from clarify.evidence.situation import Situation
from clarify.method.arrays import generator
from clarify.method.groups.groups import annotated_groups
from clarify.method.phrases.error_score import error_score
from clarify.method.phrases.evidence import evidence
from clarify.workflow.model.arrays import ArrayData, CallableEncoder, ClassNames, split_of
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import Recipe

__all__ = ["STUDIES", "Study", "many_classes"]

Rows = list[dict[str, Any]]

CLARIFY = f"clarify_{Recipe().objective}"
SCAN_STEPS = 1_000
BOOTSTRAPS = 100
DRAWS = 100
CLASS_COUNTS = (2, 10, 100)
ODD = 3


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """A study: its question in words, and what answers it."""

    name: str
    question: str
    run: Callable[[Sequence[Situation], Sequence[str]], Rows] = dataclasses.field(repr=False)


def _corrected(at: Situation, method: str = CLARIFY) -> tuple[float, float]:
    """Return worst group and adjusted average on test after a correction."""
    (chosen,) = methods()[method].fit(at, [Recipe().rule])
    found = figures_of(at, chosen)
    return found.worst_group, found.adjusted_average


def _over_seeds(
    draws: Sequence[Situation], ways: Mapping[str, Callable[[Situation], Situation]], method: str = CLARIFY
) -> Rows:
    """Correct in several ways on each draw; a way that cannot be is counted."""
    rows = []
    for name, way in ways.items():
        worst, adjusted, scores, refused = [], [], [], 0
        for seen in draws:
            try:
                changed = way(seen)
                result = _corrected(changed, method)
                said = changed.scores if changed.phrases else []
            except ClarifyError:
                refused += 1
                continue
            worst.append(result[0])
            adjusted.append(result[1])
            scores += said
        figures = {"worst_group": worst, "adjusted_average": adjusted, "error_score": scores}
        told = {what: spread(values) for what, values in figures.items()}
        rows.append({"way": name, **told, "refused": refused})
    return rows


def _with_thresholds(at: Situation, thresholds: Mapping[str, float]) -> Situation:
    return dataclasses.replace(at, thresholds=thresholds)


def _seen_of(at: Situation, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the similarities of a class's right and wrong validation images."""
    rows = at.validation.labels == at.classes.index(name)
    similarity, right = at.similarity(at.phrases[name], at.validation), at.failures.right
    return similarity[rows & right], similarity[rows & ~right]


def wrong_images(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Show the person so many wrong images of each class; the cut is found on these."""

    def only(count: int) -> Callable[[Situation], Situation]:
        def way(seen: Situation) -> Situation:
            rng = generator(seen.seed, f"wrong images {count}")
            cuts = {}
            for name in seen.phrases:
                right, wrong = _seen_of(seen, name)
                cuts[name] = error_score(right, rng.permutation(wrong)[:count]).threshold
            return _with_thresholds(seen, cuts)

        return way

    return _over_seeds(draws, {f"{n} wrong images": only(n) for n in (2, 5, 10, 20, 50, 1000)})


def thresholds(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Move every threshold off its optimum by bootstrap deviations of it."""

    def off(deviations: int) -> Callable[[Situation], Situation]:
        def way(seen: Situation) -> Situation:
            cuts = {}
            for name in seen.phrases:
                right, wrong = _seen_of(seen, name)
                rng = generator(0, f"threshold {name}")
                drawn = [
                    error_score(rng.choice(right, len(right)), rng.choice(wrong, len(wrong)))
                    for _ in range(BOOTSTRAPS)
                ]
                spread = float(np.std([each.threshold for each in drawn]))
                cuts[name] = error_score(right, wrong).threshold + deviations * spread
            return _with_thresholds(seen, cuts)

        return way

    return _over_seeds(draws, {f"{n:+d} deviations": off(n) for n in range(-3, 4)})


def scan(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Find the cut exactly, and by the authors' scan of evenly spaced thresholds."""

    def exact(seen: Situation) -> Situation:
        return _with_thresholds(
            seen, {name: error_score(*_seen_of(seen, name)).threshold for name in seen.phrases}
        )

    def scanned(seen: Situation) -> Situation:
        cuts = {}
        for name in seen.phrases:
            right, wrong = _seen_of(seen, name)
            both = np.concatenate((right, wrong))
            steps = np.linspace(both.min(), both.max(), SCAN_STEPS)
            below = (right[:, None] < steps).mean(axis=0)
            gaps = np.abs(below - (wrong[:, None] < steps).mean(axis=0))
            cuts[name] = float(steps[int(gaps.argmax())])
        return _with_thresholds(seen, cuts)

    return _over_seeds(draws, {"exact": exact, "1,000 steps": scanned})


def objectives(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Let another objective follow the same phrases."""
    found: Rows = []
    for name in (
        "clarify_worst_group",
        "clarify_reweight",
        "clarify_group_dro",
        "erase_mean_difference",
        "clarify_worst_group_refit",
        "clarify_reweight_refit",
    ):
        (row,) = _over_seeds(draws, {name: lambda seen: seen}, name)
        found.append(row)
    return found


def templates(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Put the phrases into another prompt than the encoder's own."""

    def put(prompt: str) -> Callable[[Situation], Situation]:
        def way(seen: Situation) -> Situation:
            phrases = {name: prompt.replace("{}", each) for name, each in seen.phrases.items()}
            return dataclasses.replace(seen, phrases=phrases)

        return way

    prompts = ("{}", "the {}", "a bird with {} behind it", "lots of {}")
    return _over_seeds(draws, {f"an image of a … {each}": put(each) for each in prompts})


def compound(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Say the same in one word, in several, and by its opposite."""
    said = {
        "water / land": {"landbird": "water", "waterbird": "land"},
        "lake OR ocean / forest OR field": {"landbird": "lake OR ocean", "waterbird": "forest OR field"},
        "NOT land / NOT water": {"landbird": "NOT land", "waterbird": "NOT water"},
        "lake / forest": {"landbird": "lake", "waterbird": "forest"},
    }
    return _over_seeds(
        draws,
        {
            name: lambda seen, of=of: dataclasses.replace(seen, phrases=of)  # type: ignore[misc]
            for name, of in said.items()
        },
    )


def one_class(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Describe one class, or all of them."""
    ways: dict[str, Callable[[Situation], Situation]] = {
        f"{name} alone": lambda seen, name=name: dataclasses.replace(  # type: ignore[misc]
            seen, phrases={name: seen.phrases[name]}
        )
        for name in draws[0].phrases
    }
    return _over_seeds(draws, {**ways, "all of them": lambda seen: seen})


def classes(draws: Sequence[Situation], _: Sequence[str]) -> Rows:
    """Describe one class of many, or all, on made-up features with a planted correlation."""
    rows: Rows = []
    for count in CLASS_COUNTS:
        made = [many_classes(count, seed=seed) for seed in range(len(draws))]
        one = next(iter(made[0].phrases))
        ways: dict[str, Callable[[Situation], Situation]] = {
            f"{count} classes, none described": lambda seen: dataclasses.replace(seen, phrases={}),
            f"{count} classes, one described": lambda seen, one=one: dataclasses.replace(  # type: ignore[misc]
                seen, phrases={one: seen.phrases[one]}
            ),
            f"{count} classes, all described": _parting,
        }
        for name, way in ways.items():
            method = "erm" if "none" in name else CLARIFY
            rows += _over_seeds(made, {name: way}, method)
    return rows


def _parting(at: Situation) -> Situation:
    """Leave out the phrases that put all training images of their class on one side."""
    kept = {}
    for name, phrase in at.phrases.items():
        right, wrong = _seen_of(at, name)
        if not (len(right) and len(wrong)):
            continue
        above = at.similarity(phrase, at.train) > error_score(right, wrong).threshold
        if len(set(above[at.train.labels == at.classes.index(name)])) == 2:
            kept[name] = phrase
    return dataclasses.replace(at, phrases=kept)


def many_classes(count: int, *, seed: int = 0) -> Situation:
    """Return a made-up situation: classes lie apart, and a place that goes with half of them.

    Parameters
    ----------
    count : int
        Classes K; in training 95 % of the images of every class have its usual place.
    """
    rng = generator(seed, f"classes {count}")
    width = 64
    names = tuple(f"class {k}" for k in range(count))
    centres = rng.normal(size=(count, width)) * (0.5 if count < 10 else 0.8 if count < 100 else 1.1)
    direction = rng.normal(size=width)
    direction /= np.linalg.norm(direction)
    centres -= np.outer(centres @ direction, direction)

    def view(name: str, each: int, share: float) -> SplitData:
        labels = np.repeat(np.arange(count), each)
        usual = rng.random(len(labels)) < share
        place = np.where(usual, labels % 2, 1 - labels % 2)
        features = centres[labels] + 2.0 * rng.normal(size=(len(labels), width))
        features += np.outer(6.0 * (2 * place - 1), direction)
        truth = annotated_groups(labels, names, np.array(["a", "b"])[place], "place", values=("a", "b"))
        return split_of(name, features.astype(np.float32), labels, truth=truth)

    def encode(phrases: Sequence[str]) -> list[NDArray[np.float64]]:
        return [direction if each == "b" else -direction for each in phrases]

    each = 800 if count < 100 else 200
    return Situation(
        project=ArrayData(
            manifest=ClassNames(name=f"{count} classes", classes=names),
            encoder=CallableEncoder(encode=encode, name="made up"),
        ),
        encoder="made up",
        values=("a", "b"),
        train=view("train", each, 0.95),
        validation=view("validation", max(100, each // 4), 0.5),
        test=view("test", max(100, each // 4), 0.5),
        phrases={name: ("b" if k % 2 == 0 else "a") for k, name in enumerate(names)},
    )


def outliers(draws: Sequence[Situation], vocabulary: Sequence[str]) -> Rows:
    """Search the list for the phrase that fits a few odd wrong images best.

    Of the searches, the share that would be believed: by the score alone, by the p-value, by the
    p-value corrected for the tries, and by the held-out score as well.
    """
    names = list(vocabulary)
    seen = draws[0]
    texts = seen.encode(names)
    rows: Rows = []
    right = seen.failures.right
    images = seen.validation.embeddings
    scores = images @ (texts / np.linalg.norm(texts, axis=1, keepdims=True)).T
    for count in (ODD, 10, 30):
        believed = {"score over .3": 0, "p": 0, "p corrected": 0, "and held-out": 0}
        for draw in range(DRAWS):
            rng = generator(draw, f"odd {count}")
            rows_right = rng.permutation(np.flatnonzero(right))[: min(200, int(right.sum()) // 2)]
            # Odd images: drawn among those that are right, so that nothing explains them.
            odd = rng.permutation(np.setdiff1d(np.flatnonzero(right), rows_right))[:count]
            best = max(
                range(len(names)), key=lambda k: error_score(scores[rows_right, k], scores[odd, k]).value
            )
            found = evidence(
                scores[rows_right, best], scores[odd, best], n_tried=len(names), seed=draw, resamples=100
            )
            held_out = found.held_out if found.held_out is not None else 0.0
            believed["score over .3"] += found.score.value > 0.3
            believed["p"] += found.score.p_value < 0.05
            believed["p corrected"] += found.p_corrected < 0.05
            believed["and held-out"] += found.p_corrected < 0.05 and held_out > 0.1
        rows.append(
            {
                "odd images": count,
                "phrases searched": len(names),
                "searches": DRAWS,
                **{name: int(value) for name, value in believed.items()},
            }
        )
    return rows


STUDIES = {
    name: Study(name=name, run=run, question=question)
    for name, run, question in (
        ("wrong-images", wrong_images, "How many wrong images must a person see?"),
        ("threshold", thresholds, "How much hangs on the threshold?"),
        ("scan", scan, "Exact score, or a scan of 1,000 thresholds?"),
        ("objective", objectives, "Which objective after the phrases?"),
        ("template", templates, "How much hangs on the prompt?"),
        ("compound", compound, "Compound phrases, or single ones?"),
        ("one-class", one_class, "One described class, or all?"),
        ("classes", classes, "What with 2, 10, 100 classes?"),
        ("outliers", outliers, "A phrase that fits a few odd images: who believes it?"),
        (
            "wrong-phrases",
            wrong_phrases,
            "Does the gate refuse phrases that have nothing to do with the errors?",
        ),
        ("reviewers", distances, "What do phrases near, beside and far from the truth do?"),
        ("crowds", crowds, "Several reviewers put together, against the best of them?"),
        ("oversight", oversight, "A person, the machine, or both?"),
        ("labels", labels, "How many group labels is a sentence worth?"),
        ("collecting", collecting, "Labels of a pool: chosen by words, by doubt, or by chance?"),
    )
}
"""Every study by name."""
