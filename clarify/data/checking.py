"""Looking at every image of a data set: what is wrong, all at once."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.images import ENDINGS, decode_image, read_kind
from clarify.data.neighbours import image_hash, near_pairs
from clarify.data.opening import CONTENT_DIGITS, BadImage, contents, full_content, open_image_file
from clarify.data.parallel import Progress, in_threads
from clarify.data.table import CONTENT

if TYPE_CHECKING:
    from clarify.data.manifest import Manifest

__all__ = ["Checked", "ImageFinding", "Pair", "check_images", "group_counts"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ImageFinding:
    """Something about one image.

    Parameters
    ----------
    row : int
        1 is the table's first.
    id, path : str
        As in the table.
    what : str
        One line.
    """

    row: int
    id: str
    path: str
    what: str


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two images of different splits that are the same, or nearly.

    Parameters
    ----------
    first, second : ImageFinding
        `what` of each is its split.
    bits : int
        In how many of 64 bits their perceptual hashes differ; 0 also for equal files.
    """

    first: ImageFinding
    second: ImageFinding
    bits: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What a check found.

    Parameters
    ----------
    images : int
        How many were looked at.
    deep : bool
        Whether every pixel was decoded.
    wrong : tuple of ImageFinding
        Images that cannot be used, or are not what the table says.
    leaks : tuple of Pair
        Equal files in different splits.
    near : tuple of Pair
        Pictures in different splits that look alike; only of a deep check.
    notes : tuple of ImageFinding
        Harmless oddities.
    counts : mapping of split to group to int
        Images of each class, and of each class and value of each attribute.
    """

    images: int
    deep: bool
    wrong: tuple[ImageFinding, ...]
    leaks: tuple[Pair, ...]
    near: tuple[Pair, ...]
    notes: tuple[ImageFinding, ...]
    counts: dict[str, dict[str, int]]

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong and nothing leaks."""
        return not self.wrong and not self.leaks


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """What one file was found to be."""

    size: int
    kind: str
    content: str | None = None  # the three of a deep check
    picture: int | None = None


def check_images(
    manifest: Manifest,
    *,
    deep: bool,
    workers: int,
    progress: Callable[[Progress], None] | None = None,
    hashing: Callable[[Progress], None] | None = None,
) -> Checked:
    """Look at every image of a data set.

    Parameters
    ----------
    deep : bool
        Also decode every pixel, compare the content with the table's, and look for pictures that
        are nearly the same.
    workers : int
        Threads.
    progress, hashing : callable, optional
        Called while files are looked at, and while those of equal size are hashed.
    """
    root, table = manifest.root, manifest.table
    paths = [root / path for path in table["path"]]
    look = _look_deep if deep else _look

    def one(path: Path) -> _Seen | BadImage:
        try:
            return look(path, root)
        except BadImage as bad:
            return bad
        except OSError as error:
            return BadImage(path, f"cannot be read: {error.strerror or error}")

    seen = list(in_threads(one, paths, workers=workers, progress=progress))
    findings = _Findings(manifest)
    wrong, notes = [], []
    for row, each in enumerate(seen):
        if isinstance(each, BadImage):
            wrong.append(findings.of(row, each.reason))
            continue
        if not paths[row].name.lower().endswith(ENDINGS[each.kind]):
            legal = ", ".join(ENDINGS[each.kind])
            notes.append(findings.of(row, f"is a {each.kind}; its usual endings are {legal}"))
        said = table[CONTENT][row] if CONTENT in table.columns else each.content
        if each.content is not None and each.content != said:
            text = f"its content is {each.content}, not {said} as the table says; import again"
            wrong.append(findings.of(row, text))
    content = _known_contents(paths, seen, root, workers, hashing)
    return Checked(
        images=len(paths),
        deep=deep,
        wrong=tuple(wrong),
        notes=tuple(notes),
        leaks=findings.leaks(content),
        near=findings.near(content, seen) if deep else (),
        counts=group_counts(manifest),
    )


def _look(path: Path, root: Path) -> _Seen:
    kind = read_kind(path, inside=root)
    return _Seen(size=os.stat(path).st_size, kind=kind)


def _look_deep(path: Path, root: Path) -> _Seen:
    kind = read_kind(path, inside=root)
    with open_image_file(path, inside=root) as file:
        content = full_content(file)[:CONTENT_DIGITS]
        picture = image_hash(decode_image(file, path))
        size = os.fstat(file.fileno()).st_size
    return _Seen(size=size, kind=kind, content=content, picture=picture)


def _known_contents(
    paths: list[Path],
    seen: list[_Seen | BadImage],
    root: Path,
    workers: int,
    progress: Callable[[Progress], None] | None,
) -> dict[int, str]:
    """Return the content of each row whose file may have a twin: of equal size with another."""
    known = {
        row: each.content
        for row, each in enumerate(seen)
        if isinstance(each, _Seen) and each.content is not None
    }
    if known:
        return known
    of_size: defaultdict[int, list[int]] = defaultdict(list)
    for row, each in enumerate(seen):
        if isinstance(each, _Seen):
            of_size[each.size].append(row)
    rows = [row for twins in of_size.values() if len(twins) > 1 for row in twins]
    found = contents([paths[row] for row in rows], inside=root, workers=workers, progress=progress)
    return {row: each for row, each in zip(rows, found, strict=True) if isinstance(each, str)}


class _Findings:
    """Turns rows into findings."""

    def __init__(self, manifest: Manifest) -> None:
        self._ids = manifest.table["id"]
        self._paths = manifest.table["path"]
        self._splits = manifest.table["split"].to_list()

    def of(self, row: int, what: str) -> ImageFinding:
        return ImageFinding(row=row + 1, id=self._ids[row], path=self._paths[row], what=what)

    def pair(self, first: int, second: int, bits: int) -> Pair:
        first, second = sorted((first, second))
        return Pair(
            first=self.of(first, self._splits[first]), second=self.of(second, self._splits[second]), bits=bits
        )

    def leaks(self, content: dict[int, str]) -> tuple[Pair, ...]:
        """Return, of each content, its first row with the first row of each other split."""
        rows: defaultdict[str, dict[str, int]] = defaultdict(dict)
        for row in sorted(content):
            rows[content[row]].setdefault(self._splits[row], row)
        found = []
        for of_split in rows.values():
            first, *others = of_split.values()
            found += [self.pair(first, other, 0) for other in others]
        return tuple(found)

    def near(self, content: dict[int, str], seen: list[_Seen | BadImage]) -> tuple[Pair, ...]:
        """Return pairs of different splits that look alike and are not equal files."""
        hashes = {
            row: each.picture
            for row, each in enumerate(seen)
            if isinstance(each, _Seen) and each.picture is not None
        }
        rows = list(hashes)
        # Rows ascend, and so do the pairs' places among them.
        pairs = near_pairs(list(hashes.values()), [self._splits[row] for row in rows])
        found = [(rows[one], rows[other], bits) for one, other, bits in pairs]
        return tuple(self.pair(*pair) for pair in found if content[pair[0]] != content[pair[1]])


def group_counts(manifest: Manifest) -> dict[str, dict[str, int]]:
    """Count the images of each class, and of each class and value, in each split; zeros too."""
    counts: dict[str, dict[str, int]] = {}
    for split in manifest.splits:
        rows = manifest.rows(split)
        counts[split] = dict.fromkeys(manifest.classes, 0) | Counter(rows["label"])
        for name, values in manifest.attributes.items():
            groups = [f"{label}, {value}" for label in manifest.classes for value in values]
            counts[split] |= dict.fromkeys(groups, 0) | Counter(rows["label"] + ", " + rows[name])
    return counts
