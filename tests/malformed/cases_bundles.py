"""Bundles that are no bundles, and what predict and export refuse.

The bundles are written by hand here, file by file: what makes good ones would not make these.
"""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.conftest import DATA_SET
from tests.malformed.case import Case

TOML = f"data_manifests/{DATA_SET}/manifest.toml"
Make = Callable[[Path, Path], list[str]]


def entry(name: str, content: bytes, **other: Any) -> dict[str, Any]:
    found = {"path": name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    return found | other


def member(name: str, size: int = 0, **other: Any) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for key, value in other.items():
        setattr(info, key, value)
    return info


def good_files(home: Path) -> dict[str, bytes]:
    """The manifest alone: a data set whose images are elsewhere is legal."""
    folder = home / "data_manifests" / DATA_SET
    return {f"data_manifests/{DATA_SET}/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}


def good_index(home: Path, files: dict[str, bytes]) -> dict[str, Any]:
    from clarify.data.manifest import open_manifest

    return {
        "schema_version": 1,
        "kind": "clarify-bundle",
        "data_set": DATA_SET,
        "manifest": open_manifest(home, DATA_SET).digest,
        "files": [entry(name, content) for name, content in files.items()],
    }


def write(
    outside: Path, index: object, files: dict[str, bytes], *, infos: dict[str, tarfile.TarInfo] | None = None
) -> list[str]:
    """Write a tar of an index and files, some of them with headers of their own; the command."""
    path = outside / "b.tar"
    with tarfile.open(path, "w:") as tar:
        said = index if isinstance(index, bytes) else json.dumps(index).encode()
        for name, content in {"index.json": said, **files}.items():
            info = (infos or {}).get(name) or member(name, len(content))
            tar.addfile(info, io.BytesIO(content) if info.isreg() else None)
    return ["import", str(path)]


def changed(change: Callable[[dict[str, Any], dict[str, bytes]], None]) -> Make:
    """A bundle that would be good, but for a change of its index or files."""

    def make(home: Path, outside: Path) -> list[str]:
        files = good_files(home)
        index = good_index(home, files)
        change(index, files)
        return write(outside, index, files)

    return make


def with_extra(name: str, content: bytes = b"x") -> Make:
    """A bundle with one more file, which its index lists."""

    def change(index: dict[str, Any], files: dict[str, bytes]) -> None:
        files[name] = content
        index["files"].append(entry(name, content))

    return changed(change)


def of_kind(**kind: Any) -> Make:
    """A bundle whose index lists a file that is none in the tar."""

    def make(home: Path, outside: Path) -> list[str]:
        files = good_files(home)
        name = f"images/{DATA_SET}/test/000001.png"
        files[name] = b""
        return write(outside, good_index(home, files), files, infos={name: member(name, **kind)})

    return make


def raw(content: Callable[[bytes], bytes]) -> Make:
    """The bytes of a good bundle, changed."""

    def make(home: Path, outside: Path) -> list[str]:
        files = good_files(home)
        command = write(outside, good_index(home, files), files)
        path = outside / "b.tar"
        path.write_bytes(content(path.read_bytes()))
        return command

    return make


def index_of(**other: Any) -> Make:
    return changed(lambda index, files: index.update(other))


def first_entry(**other: Any) -> Make:
    return changed(lambda index, files: index["files"][0].update(other))


def zipped(content: bytes) -> bytes:
    import gzip

    return gzip.compress(content)


def run(**other: Any) -> bytes:
    values = {
        "id": "abc",
        "kind": "base",
        "name": "n",
        "params": {"objective": "erm"},
        "metrics": {},
        "tags": {},
        "started": 1,
        "files": [],
    }
    return json.dumps(values | other).encode()


def run_of_this(home: Path, **other: Any) -> bytes:
    from clarify.data.manifest import open_manifest

    tags = {"data_set": DATA_SET, "manifest": open_manifest(home, DATA_SET).digest}
    return run(**({"tags": tags} | other))


def with_run(**other: Any) -> Make:
    def make(home: Path, outside: Path) -> list[str]:
        return with_extra("runs/abc/run.json", run_of_this(home, **other))(home, outside)

    return make


def other_content(home: Path, outside: Path) -> list[str]:
    """A good bundle of a data set that has the name of this one."""
    copy = outside / "copy"
    shutil.copytree(home / "data_manifests", copy / "data_manifests")
    toml = copy / TOML
    classes = '["landbird", "waterbird"]'
    toml.write_text(toml.read_text().replace(classes, '["waterbird", "landbird"]'))
    files = good_files(copy)
    return write(outside, good_index(copy, files), files)


def damaged_features(home: Path, outside: Path) -> list[str]:
    files = good_files(home)
    for path in sorted((home / "features").rglob("*")):
        if path.is_file() and path.name != "lock" and path.parent.name != "phrases":
            files[path.relative_to(home).as_posix()] = path.read_bytes()[:-100]
    return write(outside, good_index(home, files), files)


def without_index(home: Path, outside: Path) -> list[str]:
    with tarfile.open(outside / "b.tar", "w:") as tar:
        for name, content in good_files(home).items():
            tar.addfile(member(name, len(content)), io.BytesIO(content))
    return ["import", str(outside / "b.tar")]


def no_such(home: Path, outside: Path) -> list[str]:
    return ["import", str(outside / "none.tar")]


def image(home: Path) -> str:
    return str(next((home / "images" / DATA_SET).rglob("*.png")))


def text_list(content: bytes) -> Make:
    def make(home: Path, outside: Path) -> list[str]:
        (outside / "list.txt").write_bytes(content)
        return ["predict", DATA_SET, "--from", str(outside / "list.txt")]

    return make


def case(name: str, make: Make, expected: str, *, changes: bool = False) -> Case:
    return Case(name=name, make=make, expected=expected, changes=changes)


CASES = [
    case("a bundle that is not there", no_such, r"there is no file .*none\.tar"),
    case("a folder for a bundle", lambda home, outside: ["import", str(outside)], r"there is no file"),
    case("an empty file", raw(lambda content: b""), r"no plain tar that can be read"),
    case("text for a tar", raw(lambda content: b"hello\n" * 500), r"no plain tar that can be read"),
    case("a tar that is compressed", raw(zipped), r"no plain tar that can be read"),
    case(
        "a bundle cut in half",
        raw(lambda content: content[: len(content) // 2]),
        r"(ends before|no plain tar|declares)",
    ),
    case(
        "a bundle cut between two files",
        raw(lambda content: content[:-10240]),
        r"(ends before|no plain tar|declares)",
    ),
    case("a tar without index", without_index, r"does not begin with a file index\.json"),
    case(
        "an index that is no JSON",
        lambda home, outside: write(outside, b"{", good_files(home)),
        r"is no JSON object",
    ),
    case(
        "an index that is a list",
        lambda home, outside: write(outside, [], good_files(home)),
        r"is no JSON object",
    ),
    case(
        "an index nested too deep",
        lambda home, outside: write(outside, b"[" * 200_000, good_files(home)),
        r"is no JSON object",
    ),
    case("an index of another version", index_of(schema_version=99), r"is of version 99"),
    case("an index without files", index_of(files=[]), r"index\.json without files"),
    case("an index of something else", index_of(kind="other"), r"is no bundle of a data set"),
    case(
        "an index of another manifest",
        index_of(manifest="0" * 64),
        r"manifest is not the one that its index means",
    ),
    case("an index of a data set that is not in it", index_of(data_set="other"), r"no data set 'other'"),
    case("a size that is no number", first_entry(size="1"), r"has an entry"),
    case("a negative size", first_entry(size=-1), r"has an entry"),
    case("a huge size", first_entry(size=10**15), r"declares 1,000,000,000,000,\d+ bytes"),
    case("a hash that is none", first_entry(sha256="../../x"), r"has an entry"),
    case("a wrong hash", first_entry(sha256="0" * 64), r"is damaged: .* has another hash"),
    case(
        "a wrong size",
        changed(lambda index, files: index["files"][0].update(size=index["files"][0]["size"] - 1)),
        r"its index says",
    ),
    case("a name that leads up", with_extra("../evil.txt"), r"names a file '\.\./evil\.txt'"),
    case(
        "a name that leads up within",
        with_extra(f"images/{DATA_SET}/../../../evil"),
        r"names a file .*legal are relative paths",
    ),
    case("an absolute name", with_extra("/tmp/evil"), r"names a file '/tmp/evil'"),
    case("a name with a line break", with_extra("images/a\nb"), r"names a file"),
    case("a name that is too long", with_extra("images/" + "x" * 300), r"names a file"),
    case(
        "a file twice",
        changed(lambda index, files: index["files"].append(index["files"][0])),
        r"names .* twice",
    ),
    case("a file that is a folder of another", with_extra(f"{TOML}/x"), r"names .* twice"),
    case("a link", of_kind(type=tarfile.SYMTYPE, linkname="/etc/passwd"), r"which is no regular file"),
    case("a hard link", of_kind(type=tarfile.LNKTYPE, linkname=TOML), r"which is no regular file"),
    case("a device", of_kind(type=tarfile.CHRTYPE, devmajor=1, devminor=3), r"which is no regular file"),
    case("a pipe", of_kind(type=tarfile.FIFOTYPE), r"which is no regular file"),
    case("a folder", of_kind(type=tarfile.DIRTYPE), r"which is no regular file"),
    case(
        "a file that the index does not list",
        changed(lambda index, files: files.update(extra=b"x")),
        r"more files than its index",
    ),
    case(
        "a file that the tar does not hold",
        changed(lambda index, files: files.pop(list(files)[-1]) and None),
        r"ends before",
    ),
    case(
        "files in another order",
        changed(lambda index, files: index["files"].reverse()),
        r"where its index lists",
    ),
    case(
        "a manifest that is broken",
        changed(
            lambda index, files: (
                files.update({TOML: b"name = ["}),
                index.update(files=[entry(n, c) for n, c in files.items()]),
            )[1]
        ),
        r"not readable as TOML|no data set",
    ),
    case(
        "an image that no row of the table means",
        with_extra(f"images/{DATA_SET}/extra.png"),
        r"a file that belongs to nothing",
    ),
    case("a file that goes to the home", with_extra("clarify.toml"), r"belongs to nothing"),
    case("a database", with_extra("mlruns/mlflow.db"), r"belongs to nothing"),
    case("features that are damaged", damaged_features, r"the features .* are damaged"),
    case("a run that is no JSON", with_extra("runs/abc/run.json", b"{"), r"is no run"),
    case("a run without figures", with_extra("runs/abc/run.json", b"{}"), r"is no run"),
    case(
        "a run of another data set",
        with_extra("runs/abc/run.json", run()),
        r"is no run: it is of another data set",
    ),
    case("a run of an unknown kind", with_run(kind="evil"), r"is no run"),
    case(
        "a run with a figure that is not finite",
        with_run(metrics={"a": float("nan")}),
        r"is no run: .*metric a is nan",
    ),
    case(
        "a run that lacks what every one has",
        with_run(params={}),
        r"is no run: base run abc is not as Clarify writes it \('objective'\)",
    ),
    *(
        case(
            f"a run whose {name} are a list",
            with_run(**{name: []}),
            r"is no run: its params, metrics or tags",
        )
        for name in ("params", "metrics", "tags")
    ),
    case("a run whose file is missing", with_run(files=["head.safetensors"]), r"or one is missing"),
    case("a run whose file leads up", with_run(files=["../../../x"]), r"or one is missing"),
    case("a run under another's id", with_run(id="xyz"), r"is no run: it has other keys"),
    case("another content under a name that is taken", other_content, r"with another content"),
    case(
        "predict without images",
        lambda home, outside: ["predict", DATA_SET],
        r"which images\? give their paths",
    ),
    case(
        "predict of a folder that is not there",
        lambda home, outside: ["predict", DATA_SET, "--folder", str(outside / "no")],
        r"there is no folder",
    ),
    case(
        "predict of a folder without images",
        lambda home, outside: ["predict", DATA_SET, "--folder", str(outside)],
        r"holds no image; looked for are",
    ),
    case("predict of a list that is no text", text_list(b"\xff\xfe\x00"), r"is no text in UTF-8"),
    case("predict of an empty list", text_list(b"\n \n"), r"names no image"),
    case(
        "predict of a list that is not there",
        lambda home, outside: ["predict", DATA_SET, "--from", str(outside / "no.txt")],
        r"cannot be read: No such file",
    ),
    case(
        "predict into a file of no known kind",
        lambda home, outside: ["predict", DATA_SET, image(home), "--out", str(outside / "x.xlsx")],
        r"ends in '\.xlsx'; legal are \.csv, \.jsonl, \.parquet",
    ),
    case(
        "predict into a folder that is not there",
        lambda home, outside: ["predict", DATA_SET, image(home), "--out", str(outside / "no" / "x.csv")],
        r"there is no folder .* to write x\.csv in",
    ),
    case(
        "predict with an unknown model",
        lambda home, outside: ["predict", DATA_SET, image(home), "--model", "zzz"],
        r"model 'zzz' is no alias of tiny-birds",
        changes=True,
    ),
    case(
        "export to a table of no known kind",
        lambda home, outside: ["export", DATA_SET, "--out", str(outside / "x.txt")],
        r"ends in '\.txt'",
    ),
    case(
        "export to a bundle that is no tar",
        lambda home, outside: ["export", DATA_SET, "--bundle", str(outside / "x.zip")],
        r"ends in '\.zip'; legal are",
    ),
    case(
        "export of an unknown split",
        lambda home, outside: ["export", DATA_SET, "--split", "holdout", "--out", str(outside / "x.csv")],
        r"has no split 'holdout'",
        changes=True,
    ),
    case(
        "export of an unknown description",
        lambda home, outside: ["export", DATA_SET, "--description", "zzz", "--out", str(outside / "x.csv")],
        r"0 kept descriptions of model",
        changes=True,
    ),
    case(
        "export of links to a file",
        lambda home, outside: ["export", DATA_SET, "--links", image(home)],
        r"is there and not an empty folder",
    ),
]
