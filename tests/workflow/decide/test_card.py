"""A model's card: what it says is what the records say, in the registry and on the command line alike."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from clarify.assembly import open_project
from clarify.config import Settings
from clarify.method.intervals import wilson
from clarify.track.promotion import Gate
from clarify.workflow.decide.champions import lineage
from clarify.workflow.decide.promote import promote
from clarify.workflow.model.project import Workspace
from tests.conftest import DATA_SET, Done

pytestmark = pytest.mark.slow

LENIENT = Gate(confidence=0.5, max_class_loss=0.99, max_subgroup_loss=0.99)
STRICT = Gate(confidence=1 - 1e-12)


@pytest.fixture
def project(home: Path, clarify: Callable[..., Done]) -> Workspace:
    assert clarify("retrain", DATA_SET).status == 0
    return open_project(Settings(home=home, reviewer="Ada"), DATA_SET, say=print)


def answers(project: Workspace, run: str) -> pl.DataFrame:
    table = pl.read_parquet(io.BytesIO(project.tracking.artifact(run, "predictions.parquet")))
    return table.filter(split="test")


def cells(card: str, half: str) -> list[str]:
    """Return the cells of a half's row."""
    (line,) = [line for line in card.splitlines() if line.startswith(f"| {half} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_card_is_the_versions_description_and_what_the_command_prints(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    done = promote(project, None, note="agreed in *review*", gate=LENIENT, by_hash=True)
    card = clarify("card", DATA_SET).out
    client = project.tracking.client
    described = client.get_model_version(done.model_name, done.version).description
    assert described.rstrip() == card.rstrip()
    assert clarify("card", DATA_SET, f"v{done.version}").out == card
    assert r"Registered: agreed in \*review\*" in card
    assert str(project.home) not in card
    for title in ("Data", "Phrases", "Before and after", "Gate", "Limits", "How to load it"):
        assert f"\n## {title}\n" in card
    assert "*water*, by Ada" in card
    assert all(f"passes: {reason.text}" in card for reason in done.verdict.reasons)


def test_halves_before_and_after_are_those_of_the_recorded_answers(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    done = promote(project, None, gate=LENIENT, by_hash=True)
    card = clarify("card", DATA_SET).out
    base = lineage(project, done.run_id).run.parent
    both = answers(project, done.run_id).join(
        answers(project, base).select("id", before="right"), on="id", how="inner"
    )
    halves = both.group_by("group").agg(pl.len(), pl.col("before").mean(), pl.col("right").mean())
    assert halves.height == 4
    for group, count, before, after in halves.iter_rows():
        told = cells(card, group)
        assert told[0] == str(count)
        assert told[1] == f"{100 * before:.1f} ({wilson(before, count).words})"
        assert told[2] == f"{100 * after:.1f} ({wilson(after, count).words})"
        assert told[3].startswith(f"{100 * (after - before):+.1f} (")


def test_the_card_of_a_refused_version_says_so_and_of_none_what_to_do(
    project: Workspace, clarify: Callable[..., Done]
) -> None:
    assert clarify("card", DATA_SET).refusal.endswith(f"run: clarify promote {DATA_SET}")
    done = promote(project, None, gate=STRICT, by_hash=True)
    assert not done.verdict.stands
    assert "**The gate refuses it.**" in clarify("card", DATA_SET, done.version).out
    assert "has no version '9'" in clarify("card", DATA_SET, "9").refusal
