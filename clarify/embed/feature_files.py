"""Features and phrase embeddings as other tools write them: .npz, .npy, Parquet, clip-retrieval.

Nothing pickled is read. Which array is which is told by its name.
"""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clarify.data.sizes import refusal
from clarify.errors import FeatureError, is_name, one_line, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Named", "read_bank_file", "read_feature_file", "unit_rows"]

IMAGES = ("image_features", "image_embeddings", "img_emb", "features", "embeddings", "embedding")
IDS = ("ids", "id", "image_ids", "image_id", "image_path", "path", "paths")
TEXTS = (
    "text_features",
    "text_embeddings",
    "text_emb",
    "phrase_features",
    "embeddings",
    "embedding",
    "features",
)
PHRASES = ("phrases", "phrase", "words", "word", "texts", "text", "captions", "caption")
CLIP_RETRIEVAL = {"images": "img_emb", "texts": "text_emb"}
ROWS_AT_ONCE = 16_384


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Named:
    """Rows of embeddings, each with a name.

    Parameters
    ----------
    names : tuple of N str, or None
        Ids of images, or phrases; None where the file does not tell.
    array : (N, D) of floating-point numbers
        As in the file.
    """

    names: tuple[str, ...] | None
    array: NDArray[Any]


def read_feature_file(path: Path) -> Named:
    """Read image features.

    Parameters
    ----------
    path : Path
        An .npz with an array such as ``image_features``, and ``ids``; an .npy, with its ids
        beside it as NAME.ids.txt, one a line; a Parquet table with a column of vectors and one of
        ids; or a folder that clip-retrieval's inference wrote.

    Raises
    ------
    FeatureError
        If it cannot be read, or has no such array.
    """
    return _read(path, IMAGES, IDS, kind="images")


def read_bank_file(path: Path) -> Named:
    """Read phrases with their embeddings, from the same kinds of files.

    Raises
    ------
    FeatureError
        If it cannot be read, has no such array, or does not name the phrases.
    """
    found = _read(path, TEXTS, PHRASES, kind="texts")
    if found.names is None:
        raise FeatureError(
            f"{path}: the phrases are not named; an array or column of them is needed: {', '.join(PHRASES)}"
        )
    return found


def unit_rows(
    array: NDArray[Any], rows: NDArray[np.int64], names: Sequence[str], what: str
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    """Return some rows with unit length (M, D), and the least and greatest length they had.

    Parameters
    ----------
    array : (N, D)
        May lie on disk: a bounded part of it is read at a time.
    rows : (M,)
        Which ones, in the order wanted.
    names : sequence of M str
        For the message.
    what : str
        What a row is of: ``"image"`` or ``"phrase"``.

    Raises
    ------
    FeatureError
        If a row is zero, NaN or infinite.
    """
    found = np.empty((len(rows), array.shape[1]), dtype=np.float32)
    low, high = np.inf, 0.0
    for start in range(0, len(rows), ROWS_AT_ONCE):
        part = np.asarray(array[rows[start : start + ROWS_AT_ONCE]], dtype=np.float64)
        norms = np.linalg.norm(part, axis=1)
        bad = ~(np.isfinite(norms) & (norms > 0))
        if bad.any():
            row = int(np.argmax(bad))
            seen = "are all zero" if norms[row] == 0 else "have NaN or infinity"
            raise FeatureError(
                f"the features of {what} {shown(str(names[start + row]))} {seen} "
                f"({int(bad.sum())} such rows); every {what} needs finite ones that are not all "
                "zero: make them again, or leave it out"
            )
        found[start : start + len(part)] = part / norms[:, None]
        low, high = min(low, float(norms.min())), max(high, float(norms.max()))
    return found, (low, high)


def _read(path: Path, values: Sequence[str], names: Sequence[str], *, kind: str) -> Named:
    if path.is_file() and (why := refusal(path)):
        raise FeatureError(f"{path} is not read: {why}; give the features as .npy, which is not packed")
    try:
        if path.is_dir():
            found = _clip_retrieval(path, names, kind)
        elif path.suffix == ".npz":
            found = _npz(path, values, names)
        elif path.suffix == ".npy":
            found = _npy(path)
        elif path.suffix == ".parquet":
            found = _parquet(path, values, names)
        else:
            raise FeatureError(
                f"{path}: legal are .npz, .npy, .parquet, and a folder of clip-retrieval"
                + ("" if path.exists() else "; there is no such file")
            )
    except FileNotFoundError as error:
        raise FeatureError(f"{error.filename or path}: there is no such file") from None
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, pl.exceptions.PolarsError) as error:
        raise FeatureError(
            f"{path} cannot be read ({one_line(error)}); nothing pickled is read: save plain arrays"
        ) from None
    return _checked(path, found, any_case=kind == "texts")


def _checked(path: Path, found: Named, *, any_case: bool) -> Named:
    array = found.array
    if array.ndim != 2 or 0 in array.shape or not np.issubdtype(array.dtype, np.floating):
        raise FeatureError(
            f"{path}: the features are {array.dtype} of shape {array.shape}; legal are "
            "floating-point numbers of shape (N, D), none of them 0"
        )
    if found.names is None:
        return found
    if len(found.names) != len(array):
        raise FeatureError(f"{path}: {len(found.names)} names for {len(array)} rows of features")
    first: dict[str, str] = {}
    for name in found.names:
        # Files may have names with marks that nobody sees (of emoji); phrases may not.
        if not (is_name(name, most=len(name)) if any_case else name.strip() and name.isprintable()):
            raise FeatureError(f"{path}: a name is {shown(name)}; printable text is legal")
        key = " ".join(name.casefold().split()) if any_case else name
        if key in first:
            also = (
                "" if first[key] == name else f", also as {shown(first[key])} (case and blanks do not count)"
            )
            raise FeatureError(f"{path}: {shown(name)} is named twice{also}; each may stand once")
        first[key] = name
    return found


def _one_of(path: Path, known: Sequence[str], there: Sequence[str], what: str) -> str | None:
    found = [name for name in known if name in there]
    if len(found) > 1:
        raise FeatureError(f"{path}: {what} may be {' or '.join(found)}; keep one of them")
    return found[0] if found else None


def _npz(path: Path, values: Sequence[str], names: Sequence[str]) -> Named:
    # Given a path, numpy leaves the file open where it is no archive.
    with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
        value = _one_of(path, values, arrays.files, "the features")
        if value is None:
            raise FeatureError(
                f"{path} has the arrays {', '.join(arrays.files) or 'none'}; one of "
                f"{', '.join(values)} is needed"
            )
        name = _one_of(path, names, arrays.files, "the names")
        return Named(
            names=None if name is None else tuple(_text(each) for each in arrays[name].ravel()),
            array=arrays[value],
        )


def _npy(path: Path) -> Named:
    beside = path.with_suffix(".ids.txt")
    names = beside.read_text(encoding="utf-8-sig").splitlines() if beside.is_file() else None
    return Named(
        names=None if names is None else tuple(names), array=np.load(path, mmap_mode="r", allow_pickle=False)
    )


def _parquet(path: Path, values: Sequence[str], names: Sequence[str]) -> Named:
    table = pl.read_parquet(path)
    value = _one_of(path, values, table.columns, "the features")
    if value is None:
        raise FeatureError(
            f"{path} has the columns {', '.join(table.columns)[:200]}; a column of vectors is "
            f"needed, named one of {', '.join(values)}"
        )
    name = _one_of(path, names, table.columns, "the names")
    return Named(names=None if name is None else _texts(path, table, name), array=_matrix(path, table[value]))


def _matrix(path: Path, column: pl.Series) -> NDArray[Any]:
    kind = column.dtype
    if not isinstance(kind, pl.List | pl.Array):
        raise FeatureError(f"{path}: column {column.name!r} holds {kind}; lists of numbers are legal")
    lengths = column.list.len() if isinstance(kind, pl.List) else column.arr.len()
    if column.null_count() or lengths.n_unique() != 1:
        raise FeatureError(
            f"{path}: column {column.name!r} holds vectors of {lengths.n_unique()} lengths, "
            f"{column.null_count()} are missing; all of one length are legal"
        )
    flat = column.explode()
    if flat.null_count() or not flat.dtype.is_float():
        raise FeatureError(
            f"{path}: column {column.name!r} holds {flat.dtype}, {flat.null_count()} of them "
            "missing; floating-point numbers are legal"
        )
    return flat.to_numpy().reshape(len(column), -1)


def _texts(path: Path, table: pl.DataFrame, name: str) -> tuple[str, ...]:
    if table[name].null_count():
        raise FeatureError(f"{path}: column {name!r} has empty cells; each row needs a name")
    return tuple(_text(each) for each in table[name])


def _text(name: object) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)


def _clip_retrieval(folder: Path, names: Sequence[str], kind: str) -> Named:
    """Read ``img_emb/img_emb_0.npy ...`` with ``metadata/metadata_0.parquet ...`` beside them."""
    part = CLIP_RETRIEVAL[kind]
    arrays, texts = [], []
    for path in sorted(folder.glob(f"{part}/{part}_*.npy"), key=_number):
        arrays.append(np.load(path, mmap_mode="r", allow_pickle=False))
        beside = folder / "metadata" / f"metadata_{_number(path)}.parquet"
        table = pl.read_parquet(beside)
        name = _one_of(beside, names, table.columns, "the names")
        if name is None:
            raise FeatureError(
                f"{beside} has the columns {', '.join(table.columns)[:200]}; one of "
                f"{', '.join(names)} is needed"
            )
        texts.append(_texts(beside, table, name))
    if not arrays:
        raise FeatureError(f"{folder} holds no {part}/{part}_*.npy, as clip-retrieval writes them")
    widths: Mapping[int, int] = {array.shape[-1]: array.ndim for array in arrays}
    if len(widths) > 1:
        raise FeatureError(f"{folder}/{part}: files of widths {sorted(widths)}; one is legal")
    return Named(names=tuple(name for each in texts for name in each), array=np.concatenate(arrays))


def _number(path: Path) -> int:
    text = path.stem.rsplit("_", 1)[-1]
    if not text.isdigit():
        raise FeatureError(f"{path}: a file of clip-retrieval ends in its number, as img_emb_0.npy")
    return int(text)
