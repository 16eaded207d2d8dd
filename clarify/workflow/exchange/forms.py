"""The described images in the forms that other tools read; what is left out is named, never dropped unsaid.

Pictures are handed on as their files are, byte for byte. Each form is written whole or not at all.
"""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import polars as pl

from clarify.data.archive import tar_of
from clarify.data.files import write_atomically, writing
from clarify.data.images import ENDINGS, BadImage, read_kind, read_size
from clarify.data.opening import open_image_file
from clarify.workflow.model.project import Workspace

__all__ = ["FORMS", "Form", "Handed", "hand_on", "label_tasks"]

AT_ONCE = 256
"""Pictures that a Parquet file has in one group of rows, so that none needs all of them in memory."""

LOCAL_FILES = "/data/local-files/?d="
"""How Label Studio names a file below the folder that it may read."""

Row = dict[str, Any]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Handed:
    """A file that was written for another tool.

    Parameters
    ----------
    rows : int
        Images in it, once a description; of tasks once.
    left_out : tuple of str
        What is not in it, and why, a line each.
    """

    path: Path
    rows: int
    left_out: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form: its file's endings, for whom it is, and what yields its bytes."""

    endings: tuple[str, ...]
    what: str
    parts: Callable[[Workspace, Readable], Iterator[bytes]]


class Readable:
    """The rows whose pictures can be read, in turn; afterwards it is known what was left out."""

    def __init__(self, root: Path, table: pl.DataFrame) -> None:
        self.root = root
        self.left_out: list[str] = []
        self.rows = 0
        self._table = table

    def __iter__(self) -> Iterator[tuple[Row, str]]:
        """Yield each row with the kind of its picture."""
        bad: set[str] = set()
        for row in self._table.iter_rows(named=True):
            try:
                kind = read_kind(Path(row["path"]), inside=self.root)
            except BadImage as error:
                if row["path"] not in bad:
                    self.left_out.append(f"{row['id']}: {error.reason}")
                bad.add(row["path"])
                continue
            self.rows += 1
            yield row, kind

    def content(self, row: Row) -> bytes:
        """Return the bytes of a row's picture."""
        with open_image_file(Path(row["path"]), inside=self.root) as file:
            return file.read()

    def below_root(self, row: Row) -> str:
        """Return a picture's path below the data set's folder of images."""
        return Path(row["path"]).relative_to(self.root).as_posix()


def hand_on(project: Workspace, table: pl.DataFrame, form: str, path: Path) -> Handed:
    """Write the described images in a form.

    Parameters
    ----------
    table : DataFrame
        Of `described_images`.
    form : str
        A key of `FORMS`.
    path : Path
        With one of the form's endings; replaced if it is there.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    kept = Readable(project.manifest.root, table)
    with writing(path.parent, hint="then give the same command again"):
        write_atomically(path, FORMS[form].parts(project, kept))
        if form == "label_studio":
            write_atomically(path.with_suffix(".xml"), [_labeling(table)])
    return Handed(path=path, rows=kept.rows, left_out=tuple(kept.left_out))


def label_tasks(root: Path, table: pl.DataFrame, classes: Sequence[str], path: Path) -> Handed:
    """Write images without labels as Label Studio's tasks, with the labeling interface (.xml) beside them.

    Parameters
    ----------
    root : Path
        Folder of the pictures.
    table : DataFrame
        ``id, path`` (absolute) and whatever is to be read beside the picture and to come back with it.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    kept = Readable(root, table)
    tasks = [{"data": {"image": LOCAL_FILES + quote(kept.below_root(row)), **row}} for row, _ in kept]
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    choices = ElementTree.SubElement(view, "Choices", name="class", toName="image", choice="single")
    for name in classes:
        ElementTree.SubElement(choices, "Choice", value=name)
    with writing(path.parent, hint="then give the same command again"):
        write_atomically(path, [json.dumps(tasks, ensure_ascii=False).encode()])
        write_atomically(path.with_suffix(".xml"), [ElementTree.tostring(view, encoding="unicode").encode()])
    return Handed(path=path, rows=kept.rows, left_out=tuple(kept.left_out))


def _webdataset(project: Workspace, kept: Readable) -> Iterator[bytes]:
    """Yield a tar of samples: the picture, ``.cls`` with the number of its class, ``.json`` with the row."""
    return tar_of(_samples(project, kept))


def _samples(project: Workspace, kept: Readable) -> Iterator[tuple[str, bytes]]:
    for number, (row, kind) in enumerate(kept):
        key, about = f"{number:08d}", {name: each for name, each in row.items() if name != "path"}
        yield f"{key}{ENDINGS[kind][0]}", kept.content(row)
        yield f"{key}.cls", str(project.manifest.class_index(row["class"])).encode()
        yield f"{key}.json", json.dumps(about, ensure_ascii=False).encode()


def _coco(project: Workspace, kept: Readable) -> Iterator[bytes]:
    """Yield COCO's JSON: a category a half, an annotation an image and description, of the whole picture."""
    images: dict[str, Row] = {}
    categories: dict[str, Row] = {}
    annotations: list[Row] = []
    for row, _ in kept:
        width, height = read_size(Path(row["path"]), inside=kept.root)
        image = images.setdefault(
            row["id"],
            {
                "id": len(images) + 1,
                "file_name": kept.below_root(row),
                "width": width,
                "height": height,
                "license": 1,
            },
        )
        if row["half"] == "unknown":
            kept.left_out.append(
                f"{row['id']}: {row['phrase']!r} asks captions, and it has none: no annotation"
            )
            continue
        name = _half(row)
        category = categories.setdefault(
            name, {"id": len(categories) + 1, "name": name, "supercategory": row["class"]}
        )
        said = {key: row[key] for key in ("split", "similarity", "right", "predicted")}
        annotations.append(
            {
                "id": len(annotations) + 1,
                "image_id": image["id"],
                "category_id": category["id"],
                "bbox": [0, 0, width, height],
                "area": width * height,
                "segmentation": [],
                "iscrowd": 0,
                **said,
            }
        )
    manifest = project.manifest
    whole = {
        "info": {"description": manifest.title, "url": "", "version": manifest.digest[:12]},
        "licenses": [{"id": 1, "name": manifest.licence, "url": ""}],
        "images": list(images.values()),
        "categories": list(categories.values()),
        "annotations": annotations,
    }
    yield json.dumps(whole, ensure_ascii=False).encode()


def _tasks(project: Workspace, kept: Readable) -> Iterator[bytes]:
    """Yield Label Studio's tasks: an image each, its halves as a prediction that people may correct."""
    tasks: dict[str, Row] = {}
    for row, _ in kept:
        place = LOCAL_FILES + quote(kept.below_root(row))
        about = {key: row[key] for key in ("id", "split", "class", "predicted", "right")}
        task = tasks.setdefault(row["id"], {"data": {"image": place, **about}, "predictions": []})
        if row["half"] == "unknown":
            kept.left_out.append(
                f"{row['id']}: {row['phrase']!r} asks captions, and it has none: no prediction"
            )
            continue
        if not task["predictions"]:
            choice = {"from_name": "half", "to_name": "image", "type": "choices", "value": {"choices": []}}
            task["predictions"].append({"model_version": "clarify", "result": [choice]})
        task["predictions"][0]["result"][0]["value"]["choices"].append(_half(row))
    yield json.dumps(list(tasks.values()), ensure_ascii=False).encode()


def _labeling(table: pl.DataFrame) -> bytes:
    """Return Label Studio's labeling interface for these tasks."""
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name="image", value="$image")
    choices = ElementTree.SubElement(view, "Choices", name="half", toName="image", choice="multiple")
    for row in table.select("class", "phrase").unique(maintain_order=True).iter_rows(named=True):
        for half in ("with", "without"):
            ElementTree.SubElement(choices, "Choice", value=_half(row | {"half": half}))
    return ElementTree.tostring(view, encoding="unicode").encode()


def _half(row: Mapping[str, Any]) -> str:
    return f"{row['class']} · {row['half']} {row['phrase']}"


def _pictures(project: Workspace, kept: Readable) -> Iterator[bytes]:
    """Yield Parquet with the rows and a column of pictures, as Hugging Face's readers know one."""
    import pyarrow as pa
    from pyarrow import parquet

    schema, file = _schema(), _Sink()
    with parquet.ParquetWriter(pa.PythonFile(file, mode="w"), schema) as writer:
        for rows in _batches(kept):
            writer.write_table(pa.Table.from_pylist(rows, schema=schema))
            yield file.taken()
    yield file.taken()


def _batches(kept: Readable) -> Iterator[list[Row]]:
    rows: list[Row] = []
    for row, _ in kept:
        about = {name: each for name, each in row.items() if name != "path"}
        rows.append({"image": {"bytes": kept.content(row), "path": kept.below_root(row)}, **about})
        if len(rows) == AT_ONCE:
            yield rows
            rows = []
    yield rows


def _schema() -> Any:
    import pyarrow as pa

    kinds = {name: pa.string() for name in ("id", "split", "class", "phrase", "half", "predicted")}
    kinds |= {"similarity": pa.float64(), "right": pa.bool_()}
    said = {
        name: {"dtype": str(kind).replace("double", "float64"), "_type": "Value"}
        for name, kind in kinds.items()
    }
    features = {"image": {"_type": "Image"}, **said}
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    known = {"huggingface": json.dumps({"info": {"features": features}})}
    return pa.schema({"image": image, **kinds}, metadata=known)


class _Sink(io.RawIOBase):
    """A file to write that is taken away in parts, so that it never lies whole in memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._at = 0

    def writable(self) -> bool:
        return True

    def write(self, part: Any) -> int:
        content = bytes(part)
        self._parts.append(content)
        self._at += len(content)
        return len(content)

    def tell(self) -> int:
        return self._at

    def taken(self) -> bytes:
        content = b"".join(self._parts)
        self._parts.clear()
        return content


FORMS: dict[str, Form] = {
    "pictures": Form(endings=(".parquet",), what="Parquet with the pictures themselves", parts=_pictures),
    "webdataset": Form(endings=(".tar",), what="a webdataset's shard", parts=_webdataset),
    "coco": Form(
        endings=(".json",), what="COCO's JSON, a category a half, for the images where they are", parts=_coco
    ),
    "label_studio": Form(
        endings=(".json",),
        what="Label Studio's tasks, and beside them the labeling interface (.xml)",
        parts=_tasks,
    ),
}
"""By the option that asks for it, with ``_`` for ``-``."""
