"""A data set's manifest: a small TOML beside a table of images, read, validated and hashed.

The TOML says what the data set is (name, title, source, licence, classes, splits, attributes),
the table lists its images: ``id, path, label, split`` and one column an attribute. A column
``content``, which importers fill when they hash the files, says which bytes are meant.
"""

from __future__ import annotations

import dataclasses
import io
import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from clarify.data.files import write_atomically, writing
from clarify.data.names import SAFE_NAME, check_name, check_names, check_text
from clarify.data.reading import read_table
from clarify.data.table import BASE_COLUMNS, CONTENT, base_columns, check_table, table_digest
from clarify.errors import ManifestError, NotFoundError, nearest, shown

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "DRAWN_BY",
    "Manifest",
    "find_manifests",
    "open_manifest",
    "read_manifest",
    "write_again",
    "write_manifest",
]

SCHEMA_VERSION = 1
KEYS = {
    "schema_version": int,
    "name": str,
    "title": str,
    "source": str,
    "licence": str,
    "root": str,
    "table": str,
    "classes": list,
    "splits": list,
    "attributes": dict,
}
OPTIONAL = {"attributes"}
NEEDED_SPLITS = ("train", "validation")


DRAWN_BY = "drawn by clarify.demo"
"""In the source of every data set that Clarify drew, and of its subsets."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A data set, checked: what it is and which images it has.

    Parameters
    ----------
    name : str
        Letters, digits, ``.``, ``_``, ``-``; at most 64; it names folders.
    title, source, licence : str
        One line each, not empty.
    root : Path
        Absolute folder that the images' paths are relative to; need not exist yet.
    classes : tuple of str
        At least two names; their order numbers the labels 0 .. K-1.
    splits : tuple of str
        Names with ``train`` and ``validation`` among them.
    attributes : mapping of str to tuple of str
        Annotated attributes with their legal values; may be empty.
    table : DataFrame
        One row an image, all text: ``id, path, label, split``, the attributes, and perhaps
        ``content``, the first 32 digits of the SHA-256 of the file's bytes.
    digest : str
        SHA-256 of names, classes, splits, attributes and rows (not of title, source, licence
        or root), the same for any file format and order of rows. Computed.

    Raises
    ------
    ManifestError
        If any of it is not legal; of a table the first problem, and how many more.
    """

    name: str
    title: str
    source: str
    licence: str
    root: Path
    classes: tuple[str, ...]
    splits: tuple[str, ...]
    attributes: Mapping[str, tuple[str, ...]]
    table: pl.DataFrame
    digest: str = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        _check_header(self)
        attributes = MappingProxyType({key: tuple(value) for key, value in self.attributes.items()})
        object.__setattr__(self, "attributes", attributes)
        check_table(self.table, classes=self.classes, splits=self.splits, attributes=attributes)
        table = self.table.select(*base_columns(self.table), *attributes)
        object.__setattr__(self, "table", table)
        digest = table_digest(
            table, name=self.name, classes=self.classes, splits=self.splits, attributes=attributes
        )
        object.__setattr__(self, "digest", digest)

    @property
    def drawn(self) -> bool:
        """Whether Clarify drew the images: what it was taught on drawings it knows here alone."""
        return DRAWN_BY in self.source

    def rows(self, split: str) -> pl.DataFrame:
        """Return the rows of a split in the table's order.

        Raises
        ------
        NotFoundError
            If the data set has no such split.
        """
        self._check_split(split)
        return self.table.filter(pl.col("split") == split)

    def row_numbers(self, split: str) -> NDArray[np.int64]:
        """Return the positions in the whole table of a split's rows, shape (N,), ascending."""
        self._check_split(split)
        return np.flatnonzero((self.table["split"] == split).to_numpy()).astype(np.int64)

    def labels(self, split: str) -> NDArray[np.int64]:
        """Return the class number of each image of a split, shape (N,), in [0, K)."""
        names = self.rows(split)["label"].cast(pl.Enum(list(self.classes)))
        return names.to_physical().cast(pl.Int64).to_numpy().copy()

    def ids(self, split: str) -> NDArray[np.str_]:
        """Return the ids of a split's images, shape (N,)."""
        return np.array(self.rows(split)["id"].to_list(), dtype=np.str_)

    def paths(self, split: str) -> list[Path]:
        """Return the absolute paths of a split's images, in order."""
        return [self.root / path for path in self.rows(split)["path"]]

    def attribute(self, split: str, name: str) -> NDArray[np.str_]:
        """Return an attribute's value for each image of a split, shape (N,).

        Raises
        ------
        NotFoundError
            If there is no such attribute or split.
        """
        if name not in self.attributes:
            raise NotFoundError(
                f"data set {self.name} has no attribute {shown(name)}; {nearest(name, self.attributes)}"
            )
        return np.array(self.rows(split)[name].to_list(), dtype=np.str_)

    def class_index(self, name: str) -> int:
        """Return the number of a class; NotFoundError, which tells the nearest, if there is none."""
        if name not in self.classes:
            raise NotFoundError(
                f"data set {self.name} has no class {shown(name)}; {nearest(name, self.classes)}"
            )
        return self.classes.index(name)

    def _check_split(self, split: str) -> None:
        if split not in self.splits:
            raise NotFoundError(
                f"data set {self.name} has no split {shown(split)}; {nearest(split, self.splits)}"
            )


def _check_header(manifest: Manifest) -> None:
    check_name(manifest.name)
    for key in ("title", "source", "licence"):
        check_text(key, getattr(manifest, key), most=2000)
    check_names("classes", manifest.classes, least=2)
    check_names("splits", manifest.splits, least=2)
    for split in manifest.splits:
        if not SAFE_NAME.fullmatch(split):
            raise ManifestError(
                f"splits has {shown(split)}; legal are 1 to 64 letters, digits, '.', '_' or '-'"
            )
    for split in NEEDED_SPLITS:
        if split not in manifest.splits:
            raise ManifestError(f"splits is {shown(list(manifest.splits))}; {split!r} must be among them")
    for name, values in manifest.attributes.items():
        check_text("an attribute's name", name, most=100)
        if name in (*BASE_COLUMNS, CONTENT):
            raise ManifestError(f"attribute {name!r} has the name of a column; choose another")
        check_names(f"attribute {name!r}", tuple(values), least=1)


def read_manifest(toml_path: Path) -> Manifest:
    """Read and check a manifest with its table.

    Parameters
    ----------
    toml_path : Path
        The TOML; ``root`` and ``table`` in it are relative to its folder.

    Raises
    ------
    ManifestError
        If it is absent, broken or not legal; begins with the TOML's path.
    """
    toml_path = Path(toml_path).absolute()
    try:
        header = _read_header(toml_path)
        return Manifest(
            **{key: header[key] for key in ("name", "title", "source", "licence")},
            root=(toml_path.parent / header["root"]).resolve(),
            classes=tuple(header["classes"]),
            splits=tuple(header["splits"]),
            attributes={key: tuple(value) for key, value in header["attributes"].items()},
            table=read_table(toml_path.parent / header["table"]),
        )
    except ManifestError as error:
        raise ManifestError(f"manifest {toml_path}: {error}") from None


def _read_header(path: Path) -> dict[str, Any]:
    try:
        header = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError("there is no such file") from None
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ManifestError(f"not readable as TOML: {error}; mend it") from None
    for key in header:
        if key not in KEYS:
            raise ManifestError(f"unknown key {shown(key)}; {nearest(key, KEYS)}")
    for key, kind in KEYS.items():
        if key not in header and key not in OPTIONAL:
            raise ManifestError(f"the key {key!r} is missing; needed are {', '.join(KEYS)}")
        if key in header and (type(header[key]) is not kind):
            raise ManifestError(f"{key} is {shown(header[key])}; legal is a {kind.__name__}")
    if header["schema_version"] != SCHEMA_VERSION:
        raise ManifestError(
            f"schema_version is {header['schema_version']}; this Clarify reads {SCHEMA_VERSION}"
        )
    if Path(header["table"]).name != header["table"]:
        raise ManifestError(f"table is {shown(header['table'])}; legal is a file beside the TOML")
    header.setdefault("attributes", {})
    for name, values in header["attributes"].items():
        if not isinstance(values, list):
            raise ManifestError(f"attribute {name!r} is {shown(values)}; legal is a list of values")
    return header


def write_manifest(
    folder: Path,
    *,
    name: str,
    title: str,
    source: str,
    licence: str,
    root: str,
    classes: tuple[str, ...],
    splits: tuple[str, ...],
    attributes: Mapping[str, tuple[str, ...]],
    table: pl.DataFrame,
) -> Path:
    """Check a data set and write it as ``manifest.toml`` and a Parquet table, or not at all.

    Parameters
    ----------
    folder : Path
        Made if absent. A manifest that is there is replaced in one step.
    root : str
        Folder of the images, relative to `folder` or absolute.
    name, title, source, licence, classes, splits, attributes, table
        As in `Manifest`.

    Returns
    -------
    Path
        The TOML.

    Raises
    ------
    ManifestError
        If it is not legal; nothing is written then.
    StoreError
        If the folder cannot be written.
    """
    folder = Path(folder)
    checked = Manifest(
        name=name,
        title=title,
        source=source,
        licence=licence,
        root=(folder / root).absolute(),
        classes=tuple(classes),
        splits=tuple(splits),
        attributes=attributes,
        table=table,
    )
    check_text("root", root, most=4000)
    # A new name for each content, so that the TOML's replacement is the one moment of change.
    table_name = f"images-{checked.digest[:12]}.parquet"
    content = io.BytesIO()
    checked.table.write_parquet(content)
    path = folder / "manifest.toml"
    with writing(folder, hint="then give the same command again"):
        folder.mkdir(parents=True, exist_ok=True)
        write_atomically(folder / table_name, [content.getbuffer()])
        write_atomically(path, [_toml(checked, root, table_name).encode()])
        for old in folder.glob("images-*.parquet"):
            if old.name != table_name:
                old.unlink()
    return path


def write_again(manifest: Manifest, folder: Path, *, root: str) -> Path:
    """Write a data set that is known into a folder, its images at `root`; see `write_manifest`."""
    keys = ("name", "title", "source", "licence", "classes", "splits", "attributes", "table")
    return write_manifest(folder, root=root, **{key: getattr(manifest, key) for key in keys})


def _toml(manifest: Manifest, root: str, table_name: str) -> str:
    def quoted(value: str | list[str]) -> str:
        # Printable text as JSON writes it is a legal TOML string, a list of it a legal array.
        return json.dumps(value, ensure_ascii=False)

    lines = [f"schema_version = {SCHEMA_VERSION}"]
    lines += [f"{key} = {quoted(getattr(manifest, key))}" for key in ("name", "title", "source")]
    lines += [f"licence = {quoted(manifest.licence)}", f"root = {quoted(root)}"]
    lines += [f"table = {quoted(table_name)}", f"classes = {quoted(list(manifest.classes))}"]
    lines += [f"splits = {quoted(list(manifest.splits))}", "", "[attributes]"]
    lines += [f"{quoted(key)} = {quoted(list(v))}" for key, v in manifest.attributes.items()]
    return "\n".join(lines) + "\n"


def find_manifests(home: Path) -> dict[str, Path]:
    """List the data sets of a home by name.

    Parameters
    ----------
    home : Path
        Its ``data_manifests`` is searched: ``*.toml`` and ``*/*.toml``.

    Returns
    -------
    dict of str to Path
        Sorted by name. A TOML that cannot be read stands under the name of its folder or
        file, so that opening it tells what is wrong.

    Raises
    ------
    ManifestError
        If two manifests have the same name.
    """
    folder = Path(home) / "data_manifests"
    found: dict[str, Path] = {}
    for path in sorted([*folder.glob("*.toml"), *folder.glob("*/*.toml")]):
        name = _name_in(path) or (path.stem if path.parent == folder else path.parent.name)
        if name in found:
            raise ManifestError(
                f"data set {name} is described twice: {found[name]} and {path}; rename or remove one"
            )
        found[name] = path
    return dict(sorted(found.items()))


def _name_in(path: Path) -> str | None:
    try:
        name = tomllib.loads(path.read_text(encoding="utf-8")).get("name")
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None  # opening it will say why
    return name if isinstance(name, str) and SAFE_NAME.fullmatch(name) else None


def open_manifest(home: Path, name: str) -> Manifest:
    """Read the manifest of a data set by its name.

    Raises
    ------
    NotFoundError
        If the home has no data set of that name; tells the nearest.
    ManifestError
        If it is not legal.
    """
    found = find_manifests(home)
    if name not in found:
        raise NotFoundError(
            f"no data set {shown(name)} in {Path(home) / 'data_manifests'}"
            + (f"; {nearest(name, found)}" if Path(home).is_dir() else ": there is no such home")
        )
    return read_manifest(found[name])
