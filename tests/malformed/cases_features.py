"""Features and banks of phrases that do not fit."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import polars as pl

from clarify.data.manifest import open_manifest
from tests.conftest import DATA_SET
from tests.malformed.case import Case

WIDTH = 6
PHRASES = np.array(["water", "forest", "night"])


def ids_of(home: Path) -> np.ndarray:
    return np.array(open_manifest(home, DATA_SET).table["id"].to_list())


def features(home: Path) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(len(ids_of(home)), WIDTH)).astype(np.float32)


def bank() -> np.ndarray:
    return np.eye(len(PHRASES), WIDTH, dtype=np.float32)


def saved(
    outside: Path, *options: str, text: dict[str, object] | None = None, **arrays: object
) -> Sequence[str]:
    """Save features, and a bank where one is given; return the command that imports them."""
    path = outside / "clip.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    command = ["features", "import", DATA_SET, str(path), *options]
    if text is not None:
        np.savez(outside / "bank.npz", **text)  # type: ignore[arg-type]
        command += ["--bank", str(outside / "bank.npz")]
    return command


def with_features(change: Callable[[np.ndarray], object]) -> Callable[[Path, Path], Sequence[str]]:
    """Make a case of features that are right but for one change."""

    def make(home: Path, outside: Path) -> Sequence[str]:
        array = features(home)
        changed = change(array)
        array = array if changed is None else changed  # type: ignore[assignment]
        return saved(outside, ids=ids_of(home), image_features=array)

    return make


def with_ids(change: Callable[[list[str]], list[str]]) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        names = np.array(change(ids_of(home).tolist()))
        return saved(outside, ids=names, image_features=features(home))

    return make


def with_bank(**text: object) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        return saved(outside, ids=ids_of(home), image_features=features(home), text=text)

    return make


def with_options(*options: str) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        return saved(outside, *options, ids=ids_of(home), image_features=features(home))

    return make


def with_file(name: str, content: bytes) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        (outside / name).write_bytes(content)
        return ["features", "import", DATA_SET, str(outside / name)]

    return make


def with_parquet(**columns: object) -> Callable[[Path, Path], Sequence[str]]:
    def make(home: Path, outside: Path) -> Sequence[str]:
        pl.DataFrame(columns).write_parquet(outside / "clip.parquet")
        return ["features", "import", DATA_SET, str(outside / "clip.parquet")]

    return make


def put(row: int, value: float) -> Callable[[np.ndarray], None]:
    def change(array: np.ndarray) -> None:
        array[row] = value

    return change


def cut_in_half(home: Path, outside: Path) -> Sequence[str]:
    command = saved(outside, ids=ids_of(home), image_features=features(home))
    path = outside / "clip.npz"
    os.truncate(path, path.stat().st_size // 2)
    return command


def a_pickle(home: Path, outside: Path) -> Sequence[str]:
    np.save(outside / "clip.npy", np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return ["features", "import", DATA_SET, str(outside / "clip.npy")]


def no_metadata(home: Path, outside: Path) -> Sequence[str]:
    (outside / "img_emb").mkdir()
    np.save(outside / "img_emb" / "img_emb_0.npy", features(home))
    return ["features", "import", DATA_SET, str(outside)]


def other_widths(home: Path, outside: Path) -> Sequence[str]:
    for folder in ("img_emb", "metadata"):
        (outside / folder).mkdir()
    for part in range(2):
        np.save(outside / "img_emb" / f"img_emb_{part}.npy", np.ones((2, 3 + part), np.float32))
        table = pl.DataFrame({"image_path": [f"{part}a", f"{part}b"]})
        table.write_parquet(outside / "metadata" / f"metadata_{part}.parquet")
    return ["features", "import", DATA_SET, str(outside)]


CASES = [
    Case(name="a row of NaN", make=with_features(put(5, np.nan)), expected="have NaN or infinity"),
    Case(name="a row of infinity", make=with_features(put(0, np.inf)), expected="NaN or infinity"),
    Case(name="a row of zeros", make=with_features(put(7, 0)), expected="are all zero"),
    Case(
        name="whole numbers",
        make=with_features(lambda array: array.astype(np.int64)),
        expected="floating-point numbers of shape",
    ),
    Case(
        name="three dimensions",
        make=with_features(lambda array: array[:, None, :]),
        expected=r"shape \(\d+, 1, 6\)",
    ),
    Case(
        name="one number an image",
        make=with_features(lambda array: array[:, 0]),
        expected=r"legal are floating-point numbers of shape \(N, D\)",
    ),
    Case(name="no columns", make=with_features(lambda a: a[:, :0]), expected="none of them 0"),
    Case(name="fewer rows than ids", make=with_features(lambda a: a[:-1]), expected="names for"),
    Case(
        name="ids of another data set",
        make=with_ids(lambda ids: [f"other-{each}" for each in ids]),
        expected="have no features, such as .* its rows are named like 'other-",
    ),
    Case(name="an id twice", make=with_ids(lambda ids: [ids[1], *ids[1:]]), expected="is named twice"),
    Case(
        name="an image missing",
        make=with_ids(lambda ids: ["gone", *ids[1:]]),
        expected="1 of .* images .* have no features",
    ),
    Case(name="an empty id", make=with_ids(lambda ids: [" ", *ids[1:]]), expected="printable text"),
    Case(
        name="no ids",
        make=lambda home, outside: saved(outside, image_features=features(home)),
        expected="--in-order",
    ),
    Case(
        name="no ids and another number of rows in order",
        make=lambda home, outside: saved(outside, "--in-order", features=features(home)[1:]),
        expected="in order, there must be as many",
    ),
    Case(
        name="arrays of other names",
        make=lambda home, outside: saved(outside, pixels=features(home)),
        expected="has the arrays pixels; one of image_features",
    ),
    Case(
        name="two arrays that may be the features",
        make=lambda home, outside: saved(outside, features=features(home), img_emb=bank()),
        expected="may be img_emb or features; keep one",
    ),
    Case(name="a file cut in half", make=cut_in_half, expected="cannot be read"),
    Case(name="a pickle", make=a_pickle, expected="nothing pickled is read"),
    Case(name="an empty file", make=with_file("clip.npz", b""), expected="cannot be read"),
    Case(name="text", make=with_file("clip.npy", b"1 2 3\n" * 9), expected="cannot be read"),
    Case(name="an ending of another kind", make=with_file("clip.pt", b"x"), expected="legal are"),
    Case(
        name="no file",
        make=lambda home, outside: ["features", "import", DATA_SET, str(outside / "no.npz")],
        expected="no such file",
    ),
    Case(
        name="a folder without parts",
        make=lambda home, outside: ["features", "import", DATA_SET, str(outside)],
        expected="holds no img_emb",
    ),
    Case(name="clip-retrieval without metadata", make=no_metadata, expected="no such file"),
    Case(name="clip-retrieval of two widths", make=other_widths, expected="files of widths"),
    Case(
        name="Parquet without vectors",
        make=with_parquet(id=["a"], x=[1.0]),
        expected="a column of vectors is needed",
    ),
    Case(
        name="Parquet with vectors of two lengths",
        make=with_parquet(id=["a", "b"], embedding=[[1.0], [1.0, 2.0]]),
        expected="vectors of 2 lengths",
    ),
    Case(
        name="Parquet with a number where a vector belongs",
        make=with_parquet(id=["a"], embedding=[1.0]),
        expected="lists of numbers are legal",
    ),
    Case(
        name="a bank of another width",
        make=with_bank(words=PHRASES, text_features=bank()[:, :4]),
        expected="phrases of width 4, image features of width 6",
    ),
    Case(
        name="a bank that names no phrases",
        make=with_bank(text_features=bank()),
        expected="the phrases are not named",
    ),
    Case(
        name="a phrase twice in a bank",
        make=with_bank(words=np.array(["water", "Water", "x"]), text_features=bank()),
        expected="'Water' is named twice",
    ),
    Case(
        name="a phrase of zeros",
        make=with_bank(words=PHRASES, text_features=np.zeros((3, WIDTH), np.float32)),
        expected="features of phrase 'water' are all zero",
    ),
    Case(name="a label with a slash", make=with_options("--label", "../x"), expected="label is"),
    Case(
        name="a template without a place for the phrase",
        make=with_options("--template", "a photo"),
        expected="exactly one",
    ),
    Case(
        name="a text encoder of another width",
        make=with_options("--text-encoder", "small-clip"),
        expected="does not give embeddings of length 6",
    ),
    Case(
        name="a text encoder that nothing knows",
        make=with_options("--text-encoder", "clop"),
        expected="'clop' is not known",
    ),
]
