"""Measure the small CLIP on scenes it never saw: `python -m clarify.demo.evaluate_clip`.

All phrases are put into ``an image of a {}``, which training captions never use, and the scenes
come from seeds that training never draws. Every taught word is measured against its rendered
truth, because a badly learned word could look like a good explanation.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from clarify.demo.captions import EVALUATION_TEMPLATE
from clarify.demo.scenes import Scene, render, sample_scene
from clarify.demo.shapes import seeded
from clarify.demo.vocabulary import VALUES, WORDS, Truth, facts_of

if TYPE_CHECKING:
    from PIL import Image

HELD_OUT_NAME = "held-out scenes"
SCENES = 4000
SCENE_SIDE = 128

PHRASES: Mapping[str, tuple[str, ...]] = {
    "background": VALUES["background"],
    "subject": VALUES["subject"],
    "colour": VALUES["colour"],
    "time": ("day", "night", "sunset"),
    "weather": ("clear", "rain", "fog", "snow"),
    "style": VALUES["style"],
    "count": ("one", "two", "three"),
    "position": VALUES["position"],
    "size": VALUES["size"],
    "bird": ("songbird", "duck"),
}
"""The phrases that are set against one another for each attribute, in the order of its values."""

NEVER_TAUGHT: Mapping[str, tuple[str, str]] = {
    "woodlands": ("background", "forest"),
    "shrubbery": ("background", "forest"),
    "seascapes": ("background", "sea"),
    "bayou": ("background", "lake"),
    "plaza": ("background", "city"),
    "kayak": ("subject", "boat"),
    "minivan": ("subject", "car"),
    "donkey": ("subject", "horse"),
    "turquoise": ("colour", "blue"),
    "maroon": ("colour", "red"),
    "gloom": ("time", "night"),
    "hailstorm": ("weather", "snow"),
}
"""Words that were never taught, with what they would be true of: how far to trust such words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WordFigure:
    """How well one word is known: the area under its ROC curve on held-out scenes, in [0, 1].

    0.5 is chance and 1 is best; None when no scene or every scene is an example.
    """

    word: str
    attribute: str
    values: tuple[str, ...]
    n_positive: int
    n_negative: int
    auc: float | None


def area(scores: NDArray[np.floating[Any]], positive: NDArray[np.bool_]) -> float | None:
    """Return the area under the ROC curve, ties counted half; None without both kinds.

    Parameters
    ----------
    scores
        (N,) floats, higher for what should be positive.
    positive
        (N,) bool.
    """
    n = int(positive.sum())
    m = len(positive) - n
    if n == 0 or m == 0:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m))


def held_out(n: int, seed: int = 0) -> list[Scene]:
    """Return ``n`` scenes that training never draws."""
    rng = seeded(HELD_OUT_NAME, seed)
    return [sample_scene(rng) for _ in range(n)]


def picture(scene: Scene) -> Image.Image:
    """Return the scene as the demonstration shows it, a PIL image."""
    from PIL import Image

    return Image.fromarray(render(scene, SCENE_SIDE))


def embed_scenes(model: Any, preprocess: Any, scenes: Sequence[Scene]) -> NDArray[np.float32]:
    """Return L2-normalised image embeddings (N, D)."""
    import torch

    rows: list[NDArray[np.float32]] = []
    with torch.inference_mode():
        for k in range(0, len(scenes), 256):
            batch = torch.stack([preprocess(picture(s)) for s in scenes[k : k + 256]])
            rows.append(model.encode_image(batch, normalize=True).float().numpy())
    return np.concatenate(rows)


def embed_phrases(model: Any, tokenize: Any, phrases: Sequence[str]) -> NDArray[np.float32]:
    """Return L2-normalised embeddings (P, D) of phrases put into the evaluation template."""
    import torch

    with torch.inference_mode():
        tokens = tokenize([EVALUATION_TEMPLATE.format(phrase) for phrase in phrases])
        parts = [model.encode_text(part, normalize=True).float() for part in tokens.split(128)]
        embedded: NDArray[np.float32] = torch.cat(parts).numpy()
    return embedded


class Measurement:
    """Held-out scenes embedded by one model, and what can be asked of them."""

    def __init__(self, model: Any, preprocess: Any, tokenize: Any, scenes: Sequence[Scene]) -> None:
        self._model, self._tokenize = model, tokenize
        self._facts = [facts_of(scene) for scene in scenes]
        self._images = embed_scenes(model, preprocess, scenes)

    def values(self, attribute: str) -> NDArray[np.str_]:
        """Return the value of an attribute of every scene, (N,) str."""
        return np.array([facts[attribute] for facts in self._facts])

    def similarity(self, phrases: Sequence[str]) -> NDArray[np.float32]:
        """Return similarities (N, P) of all scenes and some phrases."""
        result: NDArray[np.float32] = self._images @ embed_phrases(self._model, self._tokenize, phrases).T
        return result

    def accuracy(self, attribute: str, among: NDArray[np.bool_] | None = None) -> float:
        """Return the share of scenes whose nearest phrase is the true one.

        Scenes whose value has no phrase (a time of the plain background, say) are left out.
        """
        phrases = PHRASES[attribute]
        values = VALUES[attribute][: len(phrases)]
        true = self.values(attribute)
        asked = np.isin(true, values)
        if among is not None:
            asked &= among
        guessed = np.array(values)[self.similarity(phrases).argmax(axis=1)]
        return float((guessed == true)[asked].mean())

    def word(self, word: str, claim: Truth, similarity: NDArray[np.float32]) -> WordFigure:
        """Return the figure of one word; birds between both kinds are left out of bird words."""
        true = self.values(claim.attribute)
        asked = true != "unclear"
        positive = np.isin(true, sorted(claim.values))[asked]
        return WordFigure(
            word=word,
            attribute=claim.attribute,
            values=tuple(v for v in VALUES[claim.attribute] if v in claim.values),
            n_positive=int(positive.sum()),
            n_negative=int((~positive).sum()),
            auc=area(similarity[asked], positive),
        )

    def words(self, words: Mapping[str, Truth]) -> list[WordFigure]:
        """Return the figures of many words."""
        similarity = self.similarity(list(words))
        return [self.word(w, c, similarity[:, k]) for k, (w, c) in enumerate(words.items())]


def figures(measured: Measurement, words: Sequence[WordFigure]) -> dict[str, Any]:
    """Return the figures of the model: accuracies, and a summary of its words' areas."""
    backgrounds = measured.values("background")
    of_two = np.isin(backgrounds, ("sea", "lake", "river", "forest"))
    wet = measured.similarity(("water", "forest")).argmax(axis=1) == 0
    known = [figure for figure in words if figure.auc is not None]
    areas = np.array([figure.auc for figure in known])
    worst = sorted(known, key=lambda figure: figure.auc or 0.0)[:15]
    strange = {
        word: Truth(attribute=attribute, values=frozenset({value}), role="none")
        for word, (attribute, value) in NEVER_TAUGHT.items()
    }
    unknown = {f.word: round(f.auc, 3) for f in measured.words(strange) if f.auc is not None}
    return {
        "template": EVALUATION_TEMPLATE,
        "accuracy": {name: round(measured.accuracy(name), 4) for name in PHRASES},
        "subject_large": round(measured.accuracy("subject", measured.values("size") == "large"), 4),
        "water_or_forest": round(float((wet == (backgrounds != "forest"))[of_two].mean()), 4),
        "words": len(known),
        "mean_auc": round(float(areas.mean()), 4),
        "share_over_0.9": round(float((areas > 0.9).mean()), 4),
        "worst_words": {f.word: round(f.auc, 3) for f in worst if f.auc is not None},
        "never_taught": unknown,
        "never_taught_mean_auc": round(float(np.mean(list(unknown.values()))), 3),
    }


def words_table(words: Sequence[WordFigure]) -> str:
    """Return the words' figures as CSV text."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["word", "attribute", "values", "n_positive", "n_negative", "auc"])
    for f in words:
        auc = "" if f.auc is None else f"{f.auc:.4f}"
        table.writerow([f.word, f.attribute, " ".join(f.values), f.n_positive, f.n_negative, auc])
    return text.getvalue()


def write_figures(folder: Path, result: Mapping[str, Any], words: Sequence[WordFigure]) -> None:
    """Put the figures into ``record.json`` and the words into ``words.csv`` of ``folder``."""
    path = folder / "record.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    record["figures"] = dict(result)
    path.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (folder / "words.csv").write_text(words_table(words), encoding="utf-8")


def as_text(result: Mapping[str, Any]) -> str:
    """Return the figures as lines for people."""
    lines = [f"prompt: {result['template']}; {result['scenes']} held-out scenes"]
    lines += [f"  {name:<18}{value:.3f}" for name, value in result["accuracy"].items()]
    lines += [
        f"  {'subject, large':<18}{result['subject_large']:.3f}",
        f"  {'water or forest':<18}{result['water_or_forest']:.3f}",
        f"taught words: {result['words']}, mean AUC {result['mean_auc']:.3f}, "
        f"{result['share_over_0.9']:.1%} over .9",
        "worst: " + ", ".join(f"{w} {a:.3f}" for w, a in result["worst_words"].items()),
        f"never taught, mean AUC {result['never_taught_mean_auc']:.3f}: "
        + ", ".join(f"{w} {a:.2f}" for w, a in result["never_taught"].items()),
    ]
    return "\n".join(lines)


def measure(scenes: int = SCENES, seed: int = 0) -> tuple[dict[str, Any], list[WordFigure]]:
    """Measure the shipped model on held-out scenes; return its figures and its words'."""
    from clarify.demo.small_clip import load

    measured = Measurement(*load(), held_out(scenes, seed))
    words = measured.words(WORDS)
    return {"scenes": scenes, "seed": seed, **figures(measured, words)}, words


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and with ``--write`` keep the figures beside the weights."""
    from clarify.demo.small_clip import ASSETS

    parser = argparse.ArgumentParser(prog="python -m clarify.demo.evaluate_clip")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--write", action="store_true", help="update record.json and words.csv")
    parser.add_argument("--scenes", type=int, default=SCENES)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    result, words = measure(given.scenes, given.seed)
    if given.write:
        write_figures(ASSETS, result, words)
    sys.stdout.write((json.dumps(result, indent=2) if given.json else as_text(result)) + "\n")


if __name__ == "__main__":
    main()
