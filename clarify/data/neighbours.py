"""Pictures that look alike: perceptual hashes, and pairs of them found without trying all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

__all__ = ["MOST_BITS", "image_hash", "near_pairs"]

MOST_BITS = 3
"""Pictures count as nearly the same if their hashes differ in at most so many of 64 bits."""

BANDS = MOST_BITS + 1  # two hashes that differ in 3 bits are equal in one of 4 bands at least
MOST_IN_A_BAND = 2000  # of one band's value: plain pictures, which all look alike
PLAIN = 3.0  # standard deviation of grey, of 255, under which a picture is of one colour
ONES = np.array([byte.bit_count() for byte in range(256)], dtype=np.int64)  # numpy 1 cannot count


def image_hash(image: Image) -> int | None:
    """Return the perceptual hash (pHash: the signs of 64 low frequencies) of a picture.

    Returns
    -------
    int or None
        64 bits; None for a picture of nearly one colour, whose hash would say nothing.
    """
    import imagehash
    from PIL import Image as images

    # pHash looks at 32 x 32 anyway: reducing first is faster and changes next to nothing.
    small = image.convert("L").resize((32, 32), images.Resampling.LANCZOS, reducing_gap=3.0)
    if float(np.asarray(small).std()) < PLAIN:
        return None
    bits = np.asarray(imagehash.phash(small).hash, dtype=np.uint8)
    return int.from_bytes(np.packbits(bits).tobytes())


def near_pairs(hashes: Sequence[int], splits: Sequence[str]) -> list[tuple[int, int, int]]:
    """Find pairs of different splits whose hashes differ in at most `MOST_BITS` bits.

    Two such hashes are equal in at least one of four bands of 16 bits (pigeonhole), so only those
    that share a band are compared.

    Parameters
    ----------
    hashes : sequence of N int
        Of 64 bits.
    splits : sequence of N str

    Returns
    -------
    list of (int, int, int)
        Both positions, the smaller first, and the number of bits; each pair once. A band's value
        that more than 2,000 pictures share is compared for exact equality of hashes alone.
    """
    values = np.array(hashes, dtype=np.uint64)
    _, of_split = np.unique(np.array(splits, dtype=np.str_), return_inverse=True)
    found: dict[tuple[int, int], int] = {}
    for band in range(BANDS):
        keys = (values >> np.uint64(16 * band)) & np.uint64(0xFFFF)
        for rows in _alike(keys):
            groups = [rows[group] for group in _alike(values[rows])] if rows.size > MOST_IN_A_BAND else [rows]
            for group in groups:
                _compare(group[:MOST_IN_A_BAND], values, of_split, found)
    return sorted((one, other, bits) for (one, other), bits in found.items())


def _alike(keys: NDArray[np.uint64]) -> list[NDArray[np.int64]]:
    """Return the positions of each value that occurs more than once."""
    order = np.argsort(keys, kind="stable")
    ends = np.flatnonzero(np.diff(keys[order])) + 1
    return [group for group in np.split(order, ends) if group.size > 1]


def _compare(
    rows: NDArray[np.int64],
    values: NDArray[np.uint64],
    of_split: NDArray[np.int64],
    found: dict[tuple[int, int], int],
) -> None:
    for at, one in enumerate(rows[:-1]):
        others = rows[at + 1 :]
        differing = (values[others] ^ values[one]).view(np.uint8).reshape(-1, 8)
        bits = ONES[differing].sum(axis=1)
        near = (bits <= MOST_BITS) & (of_split[others] != of_split[one])
        for other, count in zip(others[near], bits[near], strict=True):
            pair = (min(int(one), int(other)), max(int(one), int(other)))
            found[pair] = int(count)
