"""What features a home keeps, and what goes when nothing can open them any more."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clarify.data.files import locked
from clarify.data.manifest import find_manifests
from clarify.errors import ManifestError, StoreError
from clarify.workflow.home.features import clean_features, kept_features
from tests.conftest import DATA_SET, run_clarify


@pytest.fixture
def place(made_home: Path, tmp_path: Path) -> Path:
    """A home with its manifests and features, and those of a content that its data set no longer has."""
    for name in ("data_manifests", "features"):
        shutil.copytree(made_home / name, tmp_path / name)
    (own,) = (tmp_path / "features").glob(f"{DATA_SET}-*")
    shutil.copytree(own, own.with_name(f"{DATA_SET}-{'0' * 12}"))
    return tmp_path


def content(home: Path) -> dict[str, bytes]:
    files = (home / "features").rglob("*")
    return {str(path): path.read_bytes() for path in files if path.is_file() and path.name != "lock"}


def test_features_of_a_content_that_is_gone_are_told_and_cleaned_and_no_others(place: Path) -> None:
    kept = kept_features(place)
    assert [(each.manifest == "0" * 12, each.used) for each in kept] == [(True, False), (False, True)]
    before = content(place)
    told = run_clarify("features", "list", home=place)
    assert "unused" in told.out
    assert content(place) == before
    done = run_clarify("features", "clean", "--json", home=place)
    assert [each["manifest"] for each in done.result["removed"]] == ["0" * 12]
    assert content(place) == {path: each for path, each in before.items() if f"-{'0' * 12}" not in path}
    assert not (place / "features" / f"{DATA_SET}-{'0' * 12}").exists()
    assert run_clarify("features", "clean", home=place).out.strip() == "nothing to remove"


def test_unfinished_ones_count_too(place: Path) -> None:
    (left,) = (place / "features").glob(f"*-{'0' * 12}/*")
    (left / "index.json").unlink()
    assert [each.encoder for each in clean_features(place)] == [""]


def test_nothing_goes_where_a_manifest_cannot_be_read(place: Path) -> None:
    before = content(place)
    toml = find_manifests(place)[DATA_SET]
    toml.write_text("name = 3")
    with pytest.raises(ManifestError):
        clean_features(place)
    assert content(place) == before


def test_what_another_process_writes_stays(place: Path) -> None:
    (left,) = (place / "features").glob(f"*-{'0' * 12}/*")
    before = content(place)
    with (
        locked(left, hint="", taken=""),
        pytest.raises(StoreError, match="another process is writing features"),
    ):
        clean_features(place)
    assert content(place) == before
    assert json.loads((left / "index.json").read_bytes())["complete"]
