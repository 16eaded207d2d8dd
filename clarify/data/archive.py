"""Files in one plain tar with an index of their sizes and hashes, unpacked with distrust.

``index.json`` is the first file; after it come the others, in its order, and nothing else. Every
one is a regular file with a relative name: no folders, links or devices.
"""

from __future__ import annotations

import collections
import contextlib
import dataclasses
import hashlib
import io
import json
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from clarify.data.files import write_atomically, writing
from clarify.data.parallel import Progress
from clarify.errors import InputError, StoreError, shown

__all__ = ["Member", "tar_of", "unpack_archive", "write_archive"]

SCHEMA_VERSION = 1
INDEX = "index.json"
MOST_INDEX = 512 * 1024**2
"""Bytes of an index, which is read whole: enough for some million files."""

CHUNK = 1 << 20
BLOCK = tarfile.BLOCKSIZE
TOLD_EVERY = 64
HASH = re.compile(r"[0-9a-f]{64}")
KEYS = {"path", "size", "sha256"}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One file for an archive: its path there, with ``/``, and a file to read or the content itself."""

    name: str
    source: Path | bytes

    def open(self) -> BinaryIO:
        """Open the content."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    path: str
    size: int
    sha256: str


def write_archive(
    path: Path,
    head: Mapping[str, object],
    members: Sequence[Member],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> int:
    """Write an archive, whole or not at all; the same content gives the same bytes.

    Parameters
    ----------
    path : Path
        Its folder exists.
    head : mapping
        What else the index says, fit for JSON.

    Returns
    -------
    int
        Its size in bytes.

    Raises
    ------
    InputError
        If a name is not legal.
    StoreError
        If it cannot be written, or a file changes meanwhile.
    """
    with writing(path.parent, hint="then give the same command again"):
        entries = [_measured(member) for member in members]
        _check_names(path, [entry.path for entry in entries])
        index = {
            "schema_version": SCHEMA_VERSION,
            **head,
            "files": [dataclasses.asdict(entry) for entry in entries],
        }
        content = json.dumps(index, ensure_ascii=False, indent=0).encode()
        write_atomically(path, _parts(content, members, entries, progress))
        return path.stat().st_size


def _measured(member: Member) -> _Entry:
    digest, size = hashlib.sha256(), 0
    for chunk in _chunks(member):
        digest.update(chunk)
        size += len(chunk)
    return _Entry(path=member.name, size=size, sha256=digest.hexdigest())


def _chunks(member: Member) -> Iterator[bytes]:
    with member.open() as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _parts(
    index: bytes,
    members: Sequence[Member],
    entries: Sequence[_Entry],
    progress: Callable[[Progress], None] | None,
) -> Iterator[bytes]:
    """Yield the bytes of the tar."""
    yield _header(INDEX, len(index)) + index + _padding(len(index))
    for number, (member, entry) in enumerate(zip(members, entries, strict=True), 1):
        yield _header(entry.path, entry.size)
        digest, size = hashlib.sha256(), 0
        for chunk in _chunks(member):
            digest.update(chunk)
            size += len(chunk)
            yield chunk
        if (size, digest.hexdigest()) != (entry.size, entry.sha256):
            raise StoreError(f"the file {entry.path} changed while it was read; export again")
        yield _padding(size)
        if progress is not None and (number % TOLD_EVERY == 0 or number == len(members)):
            progress(Progress(done=number, total=len(members), bad=0))
    yield bytes(2 * BLOCK)


def tar_of(files: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """Yield the bytes of a tar of named contents, which may be made one by one."""
    for name, content in files:
        yield _header(name, len(content)) + content + _padding(len(content))
    yield bytes(2 * BLOCK)


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode = size, 0o644
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % BLOCK)


def unpack_archive(
    path: Path, folder: Path, *, progress: Callable[[Progress], None] | None = None
) -> tuple[dict[str, Any], list[str]]:
    """Unpack an archive into a folder, checking all of it.

    Parameters
    ----------
    folder : Path
        Empty. After a refusal it may hold files that were good.

    Returns
    -------
    head : dict
        What else the index says; nothing in it is checked.
    names : list of str
        The files' paths in the folder.

    Raises
    ------
    InputError
        If it is no such archive, or not one that `write_archive` finished.
    StoreError
        If there is no room.
    """
    try:
        available = path.stat().st_size
        with open(path, "rb") as file, tarfile.open(fileobj=file, mode="r:") as tar:
            head, entries = _read_index(path, tar, available)
            _check_room(folder, sum(entry.size for entry in entries))
            for number, entry in enumerate(entries, 1):
                _unpack(path, tar, entry, folder)
                if progress is not None and (number % TOLD_EVERY == 0 or number == len(entries)):
                    progress(Progress(done=number, total=len(entries), bad=0))
            if tar.next() is not None:
                raise _refused(path, "holds more files than its index lists")
    except (tarfile.TarError, EOFError, UnicodeDecodeError) as error:
        raise _refused(path, f"is no plain tar that can be read ({error})") from None
    return head, [entry.path for entry in entries]


def _refused(path: Path, what: str) -> InputError:
    return InputError(f"bundle {path} {what}; export it again, and copy it whole")


def _read_index(path: Path, tar: tarfile.TarFile, available: int) -> tuple[dict[str, Any], list[_Entry]]:
    member = tar.next()
    if member is None or member.name != INDEX or not _is_plain(member):
        raise _refused(path, f"does not begin with a file {INDEX}")
    if member.size > min(MOST_INDEX, available):
        raise _refused(path, f"declares an index of {member.size:,} bytes")
    try:
        head = json.loads(_content(tar, member).read())
    except (ValueError, RecursionError):
        head = None
    if not isinstance(head, dict):
        raise _refused(path, f"has an {INDEX} that is no JSON object")
    version, found = head.pop("schema_version", None), head.pop("files", [])
    if version != SCHEMA_VERSION:
        raise InputError(f"bundle {path} is of version {shown(version)}; this Clarify reads {SCHEMA_VERSION}")
    entries = [_entry(path, each) for each in found] if isinstance(found, list) else []
    if not entries:
        raise _refused(path, f"has an {INDEX} without files")
    _check_names(path, [entry.path for entry in entries])
    total = sum(entry.size for entry in entries)
    if total > available:
        raise _refused(path, f"declares {total:,} bytes, and has {available:,}")
    return head, entries


def _entry(path: Path, values: object) -> _Entry:
    if not isinstance(values, dict) or set(values) != KEYS:
        raise _refused(path, f"has an entry {shown(values)} in its index")
    entry = _Entry(**values)
    legal = (
        isinstance(entry.path, str)
        and type(entry.size) is int
        and entry.size >= 0
        and isinstance(entry.sha256, str)
        and HASH.fullmatch(entry.sha256)
    )
    if not legal:
        raise _refused(path, f"has an entry {shown(values)} in its index")
    return entry


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse names that lead anywhere but into the folder, or into one another."""
    for name in names:
        parts = name.split("/")
        inside = all(part not in ("", ".", "..") for part in parts)
        short = len(name) <= 4000 and all(len(part.encode()) <= 255 for part in parts)
        if not (inside and short and name.isprintable() and name != INDEX):
            raise InputError(
                f"bundle {path} names a file {shown(name)}; legal are relative paths of printable "
                "characters without .."
            )
    known = collections.Counter(names)
    parents = {name.rsplit("/", n)[0] for name in known for n in range(1, name.count("/") + 1)}
    wrong = [name for name, count in known.items() if count > 1 or name in parents]
    if wrong:
        raise InputError(f"bundle {path} names {shown(wrong[0])} twice; export it again")


def _check_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise StoreError(
            f"the bundle needs {needed:,} bytes in {folder}, {free:,} are free: make room, then "
            "give the same command again"
        )


def _is_plain(member: tarfile.TarInfo) -> bool:
    return member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse()


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> BinaryIO:
    file = tar.extractfile(member)
    if file is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    return file  # type: ignore[return-value]


def _unpack(path: Path, tar: tarfile.TarFile, entry: _Entry, folder: Path) -> None:
    member = tar.next()
    # It would keep each of a million.
    tar.members.clear()  # type: ignore[attr-defined]
    if member is None:
        raise _refused(path, f"ends before {shown(entry.path)}")
    if member.name != entry.path:
        raise _refused(path, f"holds {shown(member.name)} where its index lists {shown(entry.path)}")
    if not _is_plain(member):
        raise _refused(path, f"holds {shown(member.name)}, which is no regular file")
    if member.size != entry.size:
        raise _refused(
            path, f"has {member.size:,} bytes for {shown(entry.path)}, its index says {entry.size:,}"
        )
    place = folder / entry.path
    place.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with contextlib.closing(_content(tar, member)) as file, open(place, "xb") as copy:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
    if digest.hexdigest() != entry.sha256:
        raise _refused(path, f"is damaged: {shown(entry.path)} has another hash than its index")
