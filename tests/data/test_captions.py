from __future__ import annotations

import io
from pathlib import Path

import polars as pl
import pytest

from clarify.data.captions import captions_file, count_captioned, keep_captions, kept_captions, read_captions
from clarify.data.manifest import Manifest, open_manifest
from clarify.errors import InputError, StoreError
from tests.conftest import DATA_SET


@pytest.fixture(scope="module")
def manifest(made_home: Path) -> Manifest:
    return open_manifest(made_home, DATA_SET)


def written(folder: Path, rows: list[tuple[str, str]]) -> Path:
    path = folder / "captions.csv"
    pl.DataFrame(rows, schema=["id", "caption"], orient="row").write_csv(path)
    return path


def test_captions_are_kept_by_id_and_a_second_file_stands_in_place_of_the_first(
    manifest: Manifest, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    first, second, third = manifest.ids("validation")[:3].tolist()
    assert kept_captions(home, DATA_SET) == {}
    path = written(tmp_path, [(second, "two"), (first, "one"), (second, "and two")])
    assert keep_captions(home, manifest, read_captions(path, manifest)) == 0
    assert kept_captions(home, DATA_SET) == {first: ("one",), second: ("two", "and two")}
    path = written(tmp_path, [(third, "three")])
    assert keep_captions(home, manifest, read_captions(path, manifest)) == 2
    assert kept_captions(home, DATA_SET) == {third: ("three",)}


def test_captions_of_test_images_are_taken_only_if_asked(manifest: Manifest, tmp_path: Path) -> None:
    path = written(tmp_path, [(manifest.ids("test")[0], "a bird")])
    with pytest.raises(InputError, match=r"1 captions are of images of split test.*--with-test"):
        read_captions(path, manifest)
    assert read_captions(path, manifest, with_test=True).splits == {"test": 1}


def test_damaged_captions_are_told_in_one_line_and_may_be_replaced(
    manifest: Manifest, tmp_path: Path
) -> None:
    place = captions_file(tmp_path, DATA_SET)
    place.parent.mkdir()
    name = str(manifest.ids("validation")[0])
    captions = read_captions(written(tmp_path, [(name, "a bird")]), manifest)
    broken = pl.DataFrame(
        {"id": [name, name], "caption": ["a", None]}, schema={"id": pl.String, "caption": pl.String}
    )
    for content in (b"no table", _bytes(broken), _bytes(pl.DataFrame({"id": [1], "caption": ["a"]}))):
        place.write_bytes(content)
        with pytest.raises(StoreError, match=r"is damaged.*--captions FILE") as told:
            kept_captions(tmp_path, DATA_SET)
        assert "\n" not in str(told.value)
        assert count_captioned(tmp_path, DATA_SET) == 0
    assert keep_captions(tmp_path, manifest, captions) == 0
    assert kept_captions(tmp_path, DATA_SET) == {name: ("a bird",)}


def test_nothing_is_left_half_written_where_there_is_no_room(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(manifest.ids("validation")[0])
    captions = read_captions(written(tmp_path, [(name, "a bird")]), manifest)
    keep_captions(tmp_path, manifest, captions)
    monkeypatch.setattr("os.replace", _refuse)
    with pytest.raises(StoreError):
        keep_captions(tmp_path, manifest, captions)
    assert kept_captions(tmp_path, DATA_SET) == {name: ("a bird",)}
    assert [path.name for path in captions_file(tmp_path, DATA_SET).parent.iterdir()] == [
        f"{DATA_SET}.parquet"
    ]


def _refuse(*paths: object) -> None:
    raise OSError(28, "No space left on device")


def _bytes(table: pl.DataFrame) -> bytes:
    content = io.BytesIO()
    table.write_parquet(content)
    return content.getvalue()
