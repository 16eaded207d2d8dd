"""Small pictures of big ones, made once and kept in a bounded cache.

They are kept by content: the SHA-256 of the original's bytes. An index from a file's path, size and
time to its content makes that a hit does not read the original.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.images import BadImage, decode_image
from clarify.data.opening import check_inside, full_content, open_image_file
from clarify.data.parallel import Progress, in_threads
from clarify.data.thumbnail_store import Kept, Stamp, ThumbnailStore

if TYPE_CHECKING:
    from io import BufferedReader

    from PIL.Image import Image

__all__ = ["MAX_BYTES", "SIDE", "Made", "Thumbnails"]

SIDE = 256
MAX_BYTES = 2 << 30
QUALITY = 75
WRITTEN_AT_ONCE = 256


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """What a call to make thumbnails ahead came to: how many are new, how many were there, and the rest."""

    made: int
    kept: int
    bad: tuple[BadImage, ...]


class Thumbnails:
    """The thumbnails of a home: WebP, upright, RGB, the longer side 256 pixels or less.

    Several processes may use them at once.

    Parameters
    ----------
    home : Path
        They are kept in its ``cache/thumbnails``, which may be deleted at any time.
    max_bytes : int
        All pictures together stay below this; the least recently used go first.
    """

    def __init__(self, home: Path, max_bytes: int = MAX_BYTES) -> None:
        self._store = ThumbnailStore(Path(home) / "cache" / "thumbnails", max_bytes)

    @property
    def total_bytes(self) -> int:
        """Bytes of all thumbnails that are kept."""
        return self._store.total_bytes

    def of(self, path: Path, *, inside: Path | None = None) -> bytes:
        """Return the thumbnail of an image as the bytes of a WebP; make it if need be.

        Parameters
        ----------
        inside : Path, optional
            A folder that the image must lie in, once all links are followed.

        Raises
        ------
        BadImage
            If the image cannot be read.
        StoreError
            If the cache cannot be written.
        """
        kept = self._store.pictures([_stamp(path)])[0]
        found = self._one(path, inside) if kept is None else _allowed(kept, path, inside)
        if isinstance(found, BadImage):
            raise found
        return found

    def image(self, path: Path, *, inside: Path | None = None) -> Image:
        """Return the thumbnail of an image, decoded; see `of`."""
        from PIL import Image as images

        with images.open(io.BytesIO(self.of(path, inside=inside))) as picture:
            return picture.convert("RGB")

    def make(
        self,
        paths: Sequence[Path],
        *,
        inside: Path | None = None,
        workers: int,
        progress: Callable[[Progress], None] | None = None,
    ) -> Made:
        """Make the thumbnails of many images ahead; what is done is kept if it is stopped.

        Parameters
        ----------
        workers : int
            Threads.
        progress : callable, optional
            Called now and then with how many of the missing ones are done.

        Raises
        ------
        StoreError
            If the cache cannot be written.
        """
        known = self._store.known([_stamp(path) for path in paths])
        missing = [path for path, is_known in zip(paths, known, strict=True) if not is_known]
        bad = [
            picture
            for picture in self._making(missing, inside, workers, progress)
            if isinstance(picture, BadImage)
        ]
        return Made(made=len(missing) - len(bad), kept=len(paths) - len(missing), bad=tuple(bad))

    def _making(
        self,
        paths: Sequence[Path],
        inside: Path | None,
        workers: int,
        progress: Callable[[Progress], None] | None,
    ) -> Iterator[bytes | BadImage]:
        """Make thumbnails in threads, and keep them here in batches."""
        if not paths:
            return
        batch: list[Kept] = []
        # Asked for once: opening the store for every image would take a third of the time.
        contents = self._store.contents()

        def one(path: Path) -> Kept | BadImage:
            return self._made(path, inside, contents)

        pictures = in_threads(one, paths, workers=workers, progress=progress)
        with contextlib.closing(pictures):
            for made in pictures:
                if isinstance(made, BadImage):
                    yield made
                    continue
                batch.append(made)
                yield made.picture
                if len(batch) >= WRITTEN_AT_ONCE:
                    self._store.add(batch)
                    batch = []
        self._store.add(batch)

    def _one(self, path: Path, inside: Path | None) -> bytes | BadImage:
        """Make one thumbnail and keep it, in this thread."""
        made = self._made(path, inside, None)
        if isinstance(made, BadImage):
            return made
        self._store.add([made])
        return made.picture

    def _made(self, path: Path, inside: Path | None, contents: frozenset[str] | None) -> Kept | BadImage:
        """Make a thumbnail, or find one of the same content: among `contents` if they are known."""
        try:
            with open_image_file(path, inside=inside) as file:
                stamp = Stamp.of(path, os.fstat(file.fileno()))
                content = full_content(file)
                may_be_kept = contents is None or content in contents
                picture = self._store.by_content(content) if may_be_kept else None
                return Kept(stamp=stamp, content=content, picture=picture or _drawn(file, path))
        except BadImage as bad:
            return bad
        except OSError as error:
            return BadImage(path, f"cannot be read: {error.strerror or error}")


def _allowed(picture: bytes, path: Path, inside: Path | None) -> bytes | BadImage:
    """Refuse what was kept if the path has since become a link to elsewhere."""
    if inside is not None:
        try:
            check_inside(path, inside)
        except BadImage as bad:
            return bad
    return picture


def _stamp(path: Path) -> Stamp | None:
    try:
        return Stamp.of(path, os.stat(path))
    except (OSError, ValueError):
        return None  # making it will say why


def _drawn(file: BufferedReader, path: Path) -> bytes:
    content = io.BytesIO()
    # The fastest method: 2 % larger files than the default's, in a third of the time.
    decode_image(file, path, side=SIDE).save(content, "WEBP", quality=QUALITY, method=0)
    return content.getvalue()
