"""What the dashboard signs with: made once, and trusted only if nobody else can know it."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from clarify.errors import StoreError
from clarify.ui.server.shared import read_secret


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "dashboard.key"


def test_it_is_made_once_for_all_who_ask_at_once_and_for_the_owner_alone(tmp_path: Path, key: Path) -> None:
    with ThreadPoolExecutor(16) as pool:
        said = set(pool.map(read_secret, [tmp_path] * 64))
    assert said == {key.read_text()}
    assert len(said.pop()) == 64
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert list(key.parent.iterdir()) == [key]


def test_what_a_start_left_that_was_killed_stops_no_other(tmp_path: Path, key: Path) -> None:
    key.with_name(f".{key.name}.{os.getpid()}").write_text("half")
    assert read_secret(tmp_path) == read_secret(tmp_path)


@pytest.mark.parametrize("content", ["", "x" * 64, "ab" * 31, "ab" * 33, "ab" * 32 + "\n"])
def test_another_content_is_refused(tmp_path: Path, key: Path, content: str) -> None:
    key.write_text(content)
    key.chmod(0o600)
    with pytest.raises(StoreError, match=r"is not what Clarify wrote.*remove it"):
        read_secret(tmp_path)


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o660, 0o777])
def test_one_that_others_may_read_or_write_is_refused(tmp_path: Path, key: Path, mode: int) -> None:
    read_secret(tmp_path)
    key.chmod(mode)
    with pytest.raises(StoreError, match="may be read by others"):
        read_secret(tmp_path)


def test_a_link_is_refused_even_to_a_good_one_and_even_to_nothing(tmp_path: Path, key: Path) -> None:
    read_secret(tmp_path)
    elsewhere = key.rename(tmp_path / "elsewhere")
    key.symlink_to(elsewhere)
    with pytest.raises(StoreError, match="is no file of its own"):
        read_secret(tmp_path)
    elsewhere.unlink()
    with pytest.raises(StoreError, match="is no file of its own"):
        read_secret(tmp_path)
