"""Which kept descriptions the Retrain page offers, by runs that are written out here."""

from __future__ import annotations

from typing import Any

from clarify.track.runs import DescriptionRun
from clarify.ui.retrain.outcomes import offered_of


def run(id: str, phrase: str, score: float, **own: Any) -> DescriptionRun:
    usual = {"class_name": "landbird", "kept": True, "by": "Ada", "gain": None, "machine": False}
    usual |= {"parent": "base", "encoder": "clip"}
    return DescriptionRun(
        **{"id": id, "origin": id, "name": "", "phrase": phrase, "score": score, "started": 0, **usual, **own}
    )


def test_each_phrase_is_offered_once_what_is_taken_by_default_first_then_by_gain() -> None:
    runs = [
        run("5", "sea", 0.4, by="Bo"),
        run("4", "lake", 0.6, class_name="waterbird"),
        run("3", "sea", 0.4, delivery="earlier"),
        run("2", "night", 0.5),
        run("1", "snow", 0.3, gain=0.1, machine=True),
    ]
    found = offered_of(runs, {"2", "4"})
    told = [(each.class_name, each.phrase, each.run, each.by, each.best) for each in found]
    assert told == [
        ("landbird", "night", "2", ("Ada",), True),
        ("landbird", "snow", "1", ("Ada",), False),
        ("landbird", "sea", "5", ("Bo", "Ada"), False),
        ("waterbird", "lake", "4", ("Ada",), True),
    ]
    assert [each.phrase for each in found if each.machine] == ["snow"]
