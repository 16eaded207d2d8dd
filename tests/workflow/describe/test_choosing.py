"""What a retraining takes where nobody chose: the middle of several people, else what brings most."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl

from clarify.track.runs import DescriptionRun
from clarify.workflow.describe.choosing import default_runs

MEANT = np.linspace(0, 1, 20)
BOX = np.tile([0.0, 1.0], 10)
LOOKS = {
    "crate": BOX + MEANT / 9,
    "case": BOX - MEANT / 9,
    "water": MEANT,
    "sea": MEANT**2,
    "lake": MEANT[::-1] ** 3,
    "box": BOX,
}


def run(id: str, phrase: str, by: str, **own: Any) -> DescriptionRun:
    usual = {"class_name": "landbird", "kept": True, "gain": None, "machine": False, "encoder": "clip"}
    usual |= {"id": id, "origin": id, "name": "", "parent": "base", "started": 0, "score": 0.5}
    return DescriptionRun(**{**usual, "phrase": phrase, "by": by, **own})


def project(runs: list[DescriptionRun]) -> Any:
    def artifact(run_id: str, name: str) -> bytes:
        assert name == "similarities.parquet"
        (phrase,) = (each.phrase for each in runs if each.id == run_id)
        content = io.BytesIO()
        pl.DataFrame({"id": [str(k) for k in range(20)], "similarity": LOOKS[phrase]}).write_parquet(content)
        return content.getvalue()

    encoder = SimpleNamespace(identity=SimpleNamespace(digest="clip"))
    return SimpleNamespace(encoder=encoder, tracking=SimpleNamespace(artifact=artifact))


def chosen(*runs: DescriptionRun) -> list[str]:
    return [each.phrase for each in default_runs(project(list(runs)), runs)]


def test_of_three_people_the_phrase_that_is_most_like_the_others_is_taken() -> None:
    said = [run("1", "box", "Ada", score=0.9, gain=0.4), run("2", "sea", "Bo"), run("3", "lake", "Cem")]
    assert chosen(*said, run("4", "water", "Dan")) == ["sea"]  # of those that rank alike Bo's
    assert chosen(said[0], said[1]) == ["box"]  # of two there is no middle: what brings most


def test_a_person_with_many_phrases_does_not_outvote_the_others() -> None:
    often = [
        run(str(k), phrase, "Ada", score=0.5 + k / 10) for k, phrase in enumerate(("crate", "case", "box"))
    ]
    assert chosen(*often, run("6", "sea", "Bo"), run("7", "water", "Cem")) == ["sea"]


def test_of_one_person_what_brought_most_is_taken_and_without_gains_the_best_score() -> None:
    assert chosen(run("1", "box", "Ada", score=0.9, gain=-0.1), run("2", "sea", "Ada", gain=0.05)) == ["sea"]
    assert chosen(run("1", "box", "Ada", score=0.9), run("2", "sea", "Ada", gain=-0.05)) == ["sea"]
    assert chosen(run("1", "box", "Ada", score=0.9), run("2", "sea", "Ada", score=0.4)) == ["box"]


def test_descriptions_by_the_encoder_in_use_come_first_and_each_class_has_its_own() -> None:
    other = run("1", "box", "Ada", gain=0.9, encoder="another")
    assert chosen(other, run("2", "sea", "Ada", gain=0.1)) == ["sea"]
    assert chosen(other) == ["box"]
    assert chosen(run("2", "sea", "Ada"), run("3", "box", "Ada", class_name="waterbird")) == ["sea", "box"]
