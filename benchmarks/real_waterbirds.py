"""The gate on the real Waterbirds: true words pass, words that have nothing to do with the place do not.

All 11,788 photographs by EfficientNet-lite0, from `shared/data` beside the project, and a bridge that is
learned here from captions of 1,199 validation images (docs/how-to/photographs.md). Each phrase is said of
both classes, and everything goes through the product's own core: once with the data set's own validation,
and with an ordinary one for each of five seeds. Without the file or the extra photos there are no figures.

`$WATERBIRDS_HOME` names a home to go on in.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.measurement import Measurement
from clarify.data.manifest import write_manifest
from clarify.embed.packages import NETWORKS, SENTENCES
from clarify.evidence.situation import Situation

FEATURES = Path(__file__).resolve().parents[2] / "shared" / "data" / "waterbirds_lite0.npz"
NETWORK = "tf_efficientnet_lite0"
NAME, CLASSES, SPLITS, PLACES = (
    "waterbirds",
    ("landbird", "waterbird"),
    ("train", "validation", "test"),
    ("land", "water"),
)
TRUE, UNRELATED = "water", ("red", "balloon animal")
SEEDS = 5
MOST_OF_SEEDS = 1
"""So many of the seeds may go the other way."""

HOME = "WATERBIRDS_HOME"


def at_hand() -> bool:
    """Return whether the features and the weights for bridges are there."""
    return FEATURES.is_file() and SENTENCES.installed() and NETWORKS[NETWORK].installed()


def import_features(home: Path) -> None:
    """Write the table, and import the features as ``imported:lite0``."""
    with np.load(FEATURES, allow_pickle=False) as arrays:
        paths = arrays["paths"].tolist()
        write_manifest(
            home / "data_manifests" / NAME,
            name=NAME,
            title="Waterbirds",
            source="Sagawa et al. 2020",
            licence="for study",
            root="../../images",
            classes=CLASSES,
            splits=SPLITS,
            attributes={"place": PLACES},
            table=pl.DataFrame(
                {
                    "id": paths,
                    "path": paths,
                    "label": np.array(CLASSES)[arrays["labels"]],
                    "split": np.array(SPLITS)[arrays["splits"]],
                    "place": np.array(PLACES)[arrays["places"]],
                }
            ),
        )
        (home / "images").mkdir(exist_ok=True)
        np.savez(home / "lite0.npz", features=arrays["features"].astype(np.float32), ids=np.array(paths))
    _clarify(home, "features", "import", NAME, str(home / "lite0.npz"), "--label", "lite0")


def prepare(home: Path) -> None:
    """Import the features and learn both bridges, as far as that is not done."""
    if not (home / "data_manifests" / NAME).is_dir():
        import_features(home)
    bridge = ("bridge", NAME, "--network", "imported:lite0")
    learned = home / "encoders" / NAME
    if not (learned / "captions").is_dir():
        with np.load(FEATURES, allow_pickle=False) as arrays:
            paths = arrays["paths"][arrays["captioned"]]
            texts = (arrays["captions_short"], arrays["captions_long"])
        captions = pl.DataFrame({"path": np.tile(paths, 2), "caption": np.concatenate(texts)})
        captions.write_csv(home / "captions.csv")
        _clarify(home, *bridge, "--captions", str(home / "captions.csv"))
    if not (learned / "names").is_dir():
        _clarify(home, *bridge, "--classifier", f"timm:{NETWORK}")


def situation(home: Path) -> Situation:
    """Return the prepared data set by the bridge from captions, with what is true of it."""
    from clarify.assembly import open_project
    from clarify.config import read_settings
    from clarify.evidence.suites import situation_of

    settings = read_settings({"home": str(home), "encoder": "bridge:captions"}, {}, home)
    return situation_of(open_project(settings, NAME), dict.fromkeys(CLASSES, TRUE))


def measure() -> list[Measurement]:
    """Return shares of promotions, by phrase and kind of validation."""
    if not at_hand():
        print(f"real_waterbirds: needs {FEATURES.name} and the extra photos", file=sys.stderr)
        return []
    with tempfile.TemporaryDirectory(prefix="clarify-") as new:
        home = Path(os.environ.get(HOME) or new)
        prepare(home)
        return list(_gate(situation(home)))


def _gate(whole: Situation) -> Iterator[Measurement]:
    from clarify.evidence.reviewers import tried
    from clarify.evidence.situation import ordinary

    kinds = {"own": [whole], "ordinary": [ordinary(whole, seed) for seed in range(SEEDS)]}
    for kind, drawn in kinds.items():
        for phrase in (TRUE, *UNRELATED):
            said = [tried(at, dict.fromkeys(CLASSES, phrase)) for at in drawn]
            passed = sum(each is not None and each.passed for each in said)
            allowed = MOST_OF_SEEDS if len(drawn) > 1 else 0
            told = ", ".join(
                "no groups"
                if each is None
                else f"{100 * each.base_worst_group:.1f} to {100 * each.worst_group:.1f}"
                for each in said
            )
            yield Measurement(
                name=f"{kind} validation, {phrase!r} for both ({told}): promoted of {len(drawn)}",
                figure=passed,
                unit="seeds",
                target=len(drawn) if phrase == TRUE else 0,
                holds=(len(drawn) - passed if phrase == TRUE else passed) <= allowed,
            )


def _clarify(home: Path, *command: str) -> None:
    from clarify.cli import main

    with contextlib.redirect_stdout(sys.stderr):
        if (status := main([*command, "--home", str(home)])) != 0:
            raise SystemExit(status)
