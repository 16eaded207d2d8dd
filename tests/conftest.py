"""A small home with everything in it, made once by the real commands and copied for each test."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import functools
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.warm import SUBPROCESS

if TYPE_CHECKING:
    import polars as pl

    from clarify.data.manifest import Manifest


# A busy machine is no fault of the code; how long things take is measured by the benchmarks.
hypothesis.settings.register_profile("clarify", deadline=None)
hypothesis.settings.load_profile("clarify")

# Before torch is imported: there is a worker a core, and threads of theirs would only wait.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

DATA_SET = "tiny-birds"
NETWORK = ("--model", "timm:test_resnet", "--image-size", "32")
COUNTS = {
    "train": {
        ("landbird", "land"): 300,
        ("landbird", "water"): 24,
        ("waterbird", "land"): 14,
        ("waterbird", "water"): 110,
    },
    "validation": {(label, place): 50 for label in ("landbird", "waterbird") for place in ("land", "water")},
    "test": {(label, place): 50 for label in ("landbird", "waterbird") for place in ("land", "water")},
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a command left: its exit status, and both of its outputs."""

    status: int
    out: str
    err: str

    @property
    def result(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found

    @property
    def refusal(self) -> str:
        """The one line of a refused command, after its progress."""
        assert self.status == 1, (self.status, self.out, self.err)
        assert self.out == ""
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("clarify: ")]
        assert len(lines) == 1, self.err
        return lines[0].removeprefix("clarify: ")


def run_clarify(*arguments: str, home: Path | None = None) -> Done:
    """Run one command in this process."""
    from clarify.cli import main

    out, err = io.StringIO(), io.StringIO()
    place = [] if home is None else ["--home", str(home)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main([*arguments, *place])
        except SystemExit as leaving:
            status = int(leaving.code or 0)
    return Done(status=status, out=out.getvalue(), err=err.getvalue())


def with_champion(made: Path, home: Path) -> Path:
    """Copy a home, retrain its model and make that the champion, whatever the gate says of so few images."""
    shutil.copytree(made, home)
    assert run_clarify("relocate", home=home).status == 0
    run = run_clarify("retrain", DATA_SET, "--objective", "reweight", "--json", home=home).result["run"]
    done = run_clarify("promote", DATA_SET, run, "--overrule", "a champion for tests", home=home)
    assert done.status == 0, (done.out, done.err)
    return home


def stamps(folder: Path) -> dict[str, tuple[int, int, int]]:
    """Return each file's place on the disk, size and time of its last change."""
    known, waiting = {}, [(str(folder), "")]
    while waiting:  # by text, not by Path: a home has a thousand files, and is looked at a thousand times
        place, name = waiting.pop()
        for entry in os.scandir(place):
            if entry.is_dir(follow_symlinks=False):
                waiting.append((entry.path, f"{name}{entry.name}/"))
            elif entry.is_file(follow_symlinks=False):
                found = entry.stat()
                known[name + entry.name] = (found.st_ino, found.st_size, found.st_mtime_ns)
    return known


TOGETHER = {
    "tests/docs/test_mlflow_page.py": "mlflow page",
    "tests/docs/test_site.py": "site",
    "tests/track/test_elsewhere.py": "elsewhere",
    "tests/track/test_served_photographs.py": "served photographs",
    "tests/workflow/retrain/test_photographs.py": "retrained photographs",
    "tests/workflow/test_photographs.py": "photographs",
    **dict.fromkeys(
        (f"tests/browser/test_{name}.py" for name in ("all_pages", "describe_page", "guard", "story")),
        "browser",
    ),
}
"""Files whose tests share what takes long to make, above all a browser and a server: one worker has them."""


class Together(LoadScopeScheduling):
    """Deals tests out one by one, but for those of `TOGETHER`, which come first."""

    def _split_scope(self, nodeid: str) -> str:
        return TOGETHER.get(nodeid.partition("::")[0], nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together:
    return Together(config, log)


@pytest.fixture(scope="session", autouse=True)
def own_settings() -> Iterator[None]:
    """Keep the settings of whoever runs the tests out of them, their tracking store above all."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [*os.environ]:
            if name.startswith("CLARIFY_") or name == "MLFLOW_TRACKING_URI":
                patch.delenv(name)
        yield


def kept(home: Path) -> dict[str, tuple[int, int, int]]:
    """Stamp every file of a home but its phrases, a cache that grows as they are asked for."""
    return {name: of for name, of in stamps(home).items() if not name.startswith("features/phrases/")}


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with tiny birds, their features, a base model and two kept descriptions."""
    import mlflow.store.db.utils as schema

    # MLflow asks its scripts anew for each store that is opened, as each test does: 0.1 s a time.
    schema._get_latest_schema_revision = functools.cache(schema._get_latest_schema_revision)

    base = tmp_path_factory.getbasetemp()
    place = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    home = place / "made" / "home"
    home.parent.mkdir(exist_ok=True)
    with open(home.parent / "lock", "w") as lock:  # one worker makes it, for all
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            make_home(home)
    before = kept(home)
    yield home
    # Copies share the images with it: a test that breaks one must remove it first.
    assert kept(home) == before


def make_home(home: Path) -> None:
    from clarify.demo.dataset import group_table
    from clarify.demo.datasets import DATASETS
    from clarify.workflow.shows.demo import write_demo_data

    birds = dataclasses.replace(
        DATASETS["rendered-waterbirds"], name=DATA_SET, size_px=64, groups=group_table("place", COUNTS)
    )
    write_demo_data(home, birds, seed=0, workers=1)
    for step in (
        ("embed", DATA_SET),
        ("train", DATA_SET),
        ("describe", DATA_SET, "landbird", "water", "--reviewer", "Ada"),
        ("describe", DATA_SET, "waterbird", "forest", "--reviewer", "Ada"),
        ("suggest", DATA_SET, "landbird"),
        ("suggest", DATA_SET, "waterbird"),
    ):
        done = run_clarify(*step, home=home)
        assert done.status == 0, done.err
    # The searches' caches stay, for a search takes seconds; that anybody searched is forgotten.
    shutil.rmtree(home / "mlruns" / "searched")


def captioned_by_place(manifest: Manifest, splits: tuple[str, ...] = ("train", "validation")) -> pl.DataFrame:
    """Return a caption of each image of some splits: on the water, or on the meadow."""
    import polars as pl

    images = manifest.table.filter(pl.col("split").is_in(splits))
    spots = {"land": "meadow", "water": "water"}
    return images.select("id", caption="a bird on the " + pl.col("place").replace_strict(spots))


def copied(home: Path, copy: Path) -> Path:
    """Copy a home to break; its tracking store is re-rooted to where it now is."""
    shutil.copytree(home, copy, ignore=shutil.ignore_patterns("images"))
    shutil.copytree(home / "images", copy / "images", copy_function=os.link)
    assert run_clarify("relocate", home=copy).status == 0
    return copy


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """A copy of the made home to break."""
    return copied(made_home, tmp_path / "home")


@pytest.fixture(scope="session")
def network_home(made_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny birds with a network as base model, and described by what it gets wrong."""
    copy = copied(made_home, tmp_path_factory.mktemp("network") / "home")
    for step in (
        ("train", DATA_SET, *NETWORK, "--epochs", "6", "--rate", "3e-3"),
        ("describe", DATA_SET, "landbird", "water", "--reviewer", "Ada"),
        ("describe", DATA_SET, "waterbird", "land", "--reviewer", "Ada"),
    ):
        done = run_clarify(*step, home=copy)
        assert done.status == 0, done.err
    return copy


@pytest.fixture
def warm_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Clarify starts by itself, jobs and the doctor's probe, begins warm."""
    from clarify.workflow.home import probe
    from clarify.workflow.jobs import queue

    for module in (probe, queue):
        monkeypatch.setattr(module, "subprocess", SUBPROCESS)


@pytest.fixture
def clarify(home: Path) -> Callable[..., Done]:
    """Run a command on the copied home."""

    def run(*arguments: str) -> Done:
        return run_clarify(*arguments, home=home)

    return run
