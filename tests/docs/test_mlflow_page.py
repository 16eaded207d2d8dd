"""docs/reference/mlflow.md against a real home, read by MLflow's own client."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import DATA_SET, copied, run_clarify
from tests.docs.tables import matches, page
from tests.pools import write_pool
from tests.sentences import learn_bridge, use_words

KINDS = {
    "base": "base, retraining",
    "retraining": "base, retraining",
    "description": "description",
    "promotion": "promotion",
    "cell": "cell",
    "bridge": "bridge",
    "collection": "collection",
}


def documented(part: str, kind: str = "") -> list[str]:
    """Return the names under a heading, and under its own heading of a kind."""
    text = page("reference/mlflow.md").partition(f"\n## {part}\n")[2].partition("\n## ")[0]
    if kind:
        text = text.partition(f"\n### {kind}\n")[2].partition("\n### ")[0]
    cells = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


@pytest.fixture(scope="module")
def full_home(network_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a run of every kind, on heads and on networks."""
    home = copied(network_home, tmp_path_factory.mktemp("mlflow") / "home")
    pool, labels = write_pool(home.parent)
    phrases = ("--phrase", "landbird=water", "--phrase", "waterbird=land")
    for step in (
        ("retrain", DATA_SET, "--whole", "--epochs", "1"),
        ("train", DATA_SET),
        ("describe", DATA_SET, "waterbird", "land"),
        ("score", DATA_SET, "waterbird", "night"),
        ("retrain", DATA_SET),
        ("promote", DATA_SET),
        ("collect", DATA_SET, str(pool)),
        ("collect", DATA_SET, str(pool), "--labels", str(labels), "--out-name", "more-birds"),
        ("benchmark", "--suite", "features", "--data-set", DATA_SET, *phrases, "--method", "erm"),
    ):
        done = run_clarify(*step, home=home)
        assert done.status == 0, done.err
    with pytest.MonkeyPatch.context() as patch:
        use_words(patch)
        learn_bridge(home, home.parent)
    return home


@pytest.fixture(scope="module")
def client(full_home: Path) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{full_home}/mlruns/mlflow.db")


def runs(client: Any) -> Iterator[tuple[str, Any]]:
    experiment = client.get_experiment_by_name(f"clarify/{DATA_SET}")
    for run in client.search_runs([experiment.experiment_id]):
        yield run.data.tags["clarify.kind"], run


def compare(what: str, names: set[str], patterns: list[str]) -> None:
    for name in names:
        assert any(matches(each, name) for each in patterns), f"{what}: {name} is not documented"
    for pattern in patterns:
        assert any(matches(pattern, name) for name in names), f"{what}: no run has {pattern}"


def seen(client: Any, read: Any) -> dict[str, set[str]]:
    """Return by section of the page the names that its runs have."""
    found: dict[str, set[str]] = {section: set() for section in KINDS.values()}
    for kind, run in runs(client):
        found[KINDS[kind]] |= set(read(run))
    return found


def test_every_kind_of_run_is_documented_and_there(client: Any) -> None:
    assert {kind for kind, _ in runs(client)} == set(KINDS)


def test_tags(client: Any) -> None:
    for kind, run in runs(client):
        tags = {name for name in run.data.tags if not name.startswith("mlflow.")}
        known = [name for name in documented("Tags") if not name.startswith("mlflow.")]
        compare(f"tags of {kind}", tags, known)


def test_parameters(client: Any) -> None:
    for section, names in seen(client, lambda run: run.data.params).items():
        compare(f"parameters of {section}", names, documented("Parameters", section))


def test_metrics(client: Any) -> None:
    for section, names in seen(client, lambda run: run.data.metrics).items():
        compare(f"metrics of {section}", names, documented("Metrics", section))


def test_artifacts(client: Any, full_home: Path) -> None:
    def files(run: Any) -> set[str]:
        folder = full_home / "mlruns" / "artifacts" / DATA_SET / run.info.run_id / "artifacts"
        return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}

    for section, names in seen(client, files).items():
        compare(f"artifacts of {section}", names, documented("Artifacts", section))


def test_the_registry(client: Any) -> None:
    (version,) = client.search_model_versions(f"name = '{DATA_SET}'")
    compare("tags of a version", set(version.tags), documented("The registry"))
    assert client.get_model_version_by_alias(DATA_SET, "champion").version == version.version


def test_the_comparison_can_fail() -> None:
    with pytest.raises(AssertionError, match="is not documented"):
        compare("tags", {"clarify.new"}, documented("Tags"))
    with pytest.raises(AssertionError, match="no run has"):
        compare("tags", set(), documented("Tags"))
