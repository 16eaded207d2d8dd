"""A data set with a chosen spurious correlation, of the images of another; nothing is copied."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from clarify.data.manifest import Manifest, find_manifests, open_manifest, read_manifest, write_again
from clarify.data.names import check_name
from clarify.data.sources.correlated import Correlation, Drawn, Groups, draw_correlated, pair_by_counts
from clarify.errors import InputError, NotFoundError, nearest, shown

__all__ = ["Correlated", "correlate", "write_made"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Correlated:
    """A data set that was made of another one.

    Parameters
    ----------
    toml : Path
        Where it is written.
    base : str
        The data set that its images are of.
    paired_by : str
        ``"given"`` or ``"greatest counts"``.
    share, reached : float
        Asked for, and of each class after rounding to whole images, in (0, 1].
    images : int
        Of each class in training.
    groups : mapping of split to Groups
        The exact table.
    left_out : mapping of split to int
        Images of the base that are not in.
    """

    manifest: Manifest
    toml: Path
    base: str
    attribute: str
    pairing: Mapping[str, str]
    paired_by: str
    share: float
    reached: float
    images: int
    seed: int
    groups: Mapping[str, Groups]
    left_out: Mapping[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "data_set": self.manifest.name,
            "manifest": str(self.toml),
            "digest": self.manifest.digest,
            "root": str(self.manifest.root),
            "base": self.base,
            "attribute": self.attribute,
            "pairing": dict(self.pairing),
            "paired_by": self.paired_by,
            "share": self.share,
            "reached": self.reached,
            "images_of_each_class": self.images,
            "seed": self.seed,
            "images": self.manifest.table.height,
            "counts": self.counts,
            "left_out": dict(self.left_out),
        }

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and group, a group called as in ``clarify data check``."""
        return {
            split: {f"{label}, {value}": count for (label, value), count in of_split.items()}
            for split, of_split in self.groups.items()
        }


def correlate(
    home: Path,
    name: str,
    *,
    attribute: str,
    share: float,
    out_name: str,
    pairs: Sequence[str] = (),
    images: int | None = None,
    seed: int = 0,
) -> Correlated:
    """Make a data set whose training split has a chosen spurious correlation.

    Parameters
    ----------
    name : str
        A data set with annotated attributes.
    attribute : str
        One of them.
    share : float
        Part of each class in training that has the value it is paired with, in (0, 1].
    out_name : str
        Name of the new data set.
    pairs : sequence of str
        ``CLASS=VALUE``; other classes and values are left out. Without any, every class is paired,
        the greatest groups of training first.
    images : int, optional
        Of each class in training; by default as many as the counts allow and the share parts
        without rounding, if there are so many.
    seed : int
        Of the images drawn; the same seed draws the same.

    Returns
    -------
    Correlated

    Raises
    ------
    NotFoundError
        If there is no such data set, attribute, class or value.
    InputError
        If an option is not legal, the counts do not allow it, or the name is taken.
    ManifestError
        If a manifest or the new name is not legal.
    StoreError
        If the home cannot be written.
    """
    base = open_manifest(home, name)
    check_name(out_name)
    _check_options(base, attribute, share, images)
    pairing = _given(base, attribute, pairs) or _by_counts(base, attribute)
    values = tuple(value for value in base.attributes[attribute] if value in pairing.values())
    if len(pairing) < 2 or len(values) < 2:
        raise InputError(
            f"data set {name}: {len(pairing)} of its classes and {len(values)} of the values of "
            f"{attribute} are paired; legal are two or more of each: give --pair CLASS=VALUE for "
            "each class"
        )
    wanted = Correlation(
        attribute=attribute,
        pairing=pairing,
        values=values,
        share=Fraction(str(share)),
        images=images,
        seed=seed,
    )
    drawn = draw_correlated(base.table, base.splits, wanted, name=name)
    manifest, toml = _written(home, base, out_name, wanted, drawn)
    first = next(iter(pairing.items()))
    return Correlated(
        manifest=manifest,
        toml=toml,
        base=name,
        attribute=attribute,
        pairing=pairing,
        paired_by="given" if pairs else "greatest counts",
        share=share,
        reached=drawn.groups["train"][first] / drawn.images,
        images=drawn.images,
        seed=seed,
        groups=drawn.groups,
        left_out={split: base.rows(split).height - manifest.rows(split).height for split in base.splits},
    )


def _check_options(base: Manifest, attribute: str, share: float, images: int | None) -> None:
    if not base.attributes:
        raise InputError(
            f"data set {base.name} has no annotated attribute to correlate with; import it with "
            "one: clarify data import table --attribute COLUMN"
        )
    if attribute not in base.attributes:
        raise NotFoundError(
            f"data set {base.name} has no attribute {shown(attribute)}; {nearest(attribute, base.attributes)}"
        )
    if not math.isfinite(share) or not 0 < share <= 1:
        raise InputError(f"share is {share:g}; legal is above 0 and at most 1, such as 0.95")
    if images is not None and images < 1:
        raise InputError(f"images of each class is {images}; legal is 1 or more")


def _given(base: Manifest, attribute: str, pairs: Sequence[str]) -> dict[str, str]:
    """Read the pairs that were given, into the order of the classes."""
    found: dict[str, str] = {}
    for pair in pairs:
        label, value = _parted(base, attribute, pair)
        base.class_index(label)
        if value not in base.attributes[attribute]:
            raise NotFoundError(
                f"data set {base.name}, pair {shown(pair)}: attribute {attribute} has no value "
                f"{shown(value)}; {nearest(value, base.attributes[attribute])}"
            )
        if label in found:
            raise InputError(f"class {label!r} is in two pairs; legal is one --pair a class")
        found[label] = value
    return {label: found[label] for label in base.classes if label in found}


def _parted(base: Manifest, attribute: str, pair: str) -> tuple[str, str]:
    """Part ``CLASS=VALUE`` where both sides are known, since names may hold ``=`` too."""
    places = [place for place, letter in enumerate(pair) if letter == "="]
    if not places:
        raise InputError(f"pair is {shown(pair)}; legal is CLASS=VALUE")
    parts = [(pair[:place].strip(), pair[place + 1 :].strip()) for place in places]
    known = [
        (label, value)
        for label, value in parts
        if label in base.classes and value in base.attributes[attribute]
    ]
    return (known or parts)[0]


def _by_counts(base: Manifest, attribute: str) -> dict[str, str]:
    counts = base.rows("train").group_by("label", attribute).len().iter_rows()
    sizes = {(label, value): count for label, value, count in counts}
    return pair_by_counts(sizes, base.classes, base.attributes[attribute])


def _written(
    home: Path, base: Manifest, out_name: str, wanted: Correlation, drawn: Drawn
) -> tuple[Manifest, Path]:
    """Write the new manifest, unless its name is another data set's."""
    share = f"{float(wanted.share):g}"
    manifest = Manifest(
        name=out_name,
        title=f"{base.title}, {wanted.attribute} correlated {share}",
        source=f"drawn from data set {base.name} ({base.digest[:12]}), {wanted.attribute} with share "
        f"{share}, seed {wanted.seed}; {base.source}",
        licence=base.licence,
        root=base.root,
        classes=tuple(wanted.pairing),
        splits=base.splits,
        attributes={**base.attributes, wanted.attribute: wanted.values},
        table=drawn.table,
    )
    return manifest, write_made(home, manifest)


def write_made(home: Path, manifest: Manifest) -> Path:
    """Write a data set that was made of images of others, and return its TOML.

    Raises
    ------
    InputError
        If its name is another data set's.
    StoreError
        If the home cannot be written.
    """
    folder = home / "data_manifests" / manifest.name
    _check_free(home, folder / "manifest.toml", manifest)
    inside = manifest.root.is_relative_to((home / "images").resolve())  # then the home may be moved
    root = os.path.relpath(manifest.root, folder.resolve()) if inside else str(manifest.root)
    return write_again(manifest, folder, root=root)


def _check_free(home: Path, toml: Path, manifest: Manifest) -> None:
    found = find_manifests(home).get(manifest.name)
    if found is None:
        return
    if found != toml or read_manifest(found).digest != manifest.digest:
        raise InputError(
            f"data set {manifest.name} is there already, with other images: {found}; choose "
            "another --out-name, or remove that file"
        )
