"""Where a data set comes from, and whether what a person has is all of it."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from clarify.data.checking import group_counts
from clarify.data.manifest import DRAWN_BY, Manifest, find_manifests, read_manifest
from clarify.data.sources.origins import ORIGINS, Origin, Published
from clarify.demo.datasets import DATASETS
from clarify.errors import NotFoundError, nearest, shown

__all__ = ["Counted", "Whereabouts", "whereabouts"]

SEEDED = re.compile(r"(?P<name>.+)-seed-(?P<seed>\d+)")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """How many images of a part there are, and how many there should be.

    Parameters
    ----------
    split : str
        Empty for a part of the whole data set.
    seen : int or None
        None without an imported data set, or where that has no such class or value.
    """

    split: str
    group: str
    seen: int | None
    published: int


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """What is known of a data set.

    Parameters
    ----------
    name : str
        As it was asked for.
    get, command : str
        How a person gets it, and what makes a data set of it; empty where that is not known.
    known : str
        The known data set that this is; empty for one of a person's own.
    manifest : Manifest or None
        If the home has it.
    published : tuple of Counted
        Empty where no counts are published.
    """

    name: str
    title: str
    source: str
    licence: str
    get: str
    command: str
    known: str
    manifest: Manifest | None
    published: tuple[Counted, ...]

    @property
    def fits(self) -> bool | None:
        """Whether all counts are as published; None if there is nothing to compare."""
        if self.manifest is None or not self.published:
            return None
        return all(each.seen == each.published for each in self.published)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Images by split and class or group, of a data set that the home has."""
        return {} if self.manifest is None else group_counts(self.manifest)

    def to_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        manifest = self.manifest
        return {
            "data_set": self.name,
            "title": self.title,
            "known": self.known or None,
            "source": self.source,
            "licence": self.licence,
            "get": self.get or None,
            "command": self.command or None,
            "imported": None
            if manifest is None
            else {
                "source": manifest.source,
                "licence": manifest.licence,
                "root": str(manifest.root),
                "images": manifest.table.height,
                "counts": self.counts,
            },
            "published": [dataclasses.asdict(each) for each in self.published],
            "fits": self.fits,
        }


def whereabouts(home: Path, name: str) -> Whereabouts:
    """Tell where a data set comes from; compare what the home has with what is published.

    Parameters
    ----------
    name : str
        A data set of the home; or one that has an importer of its own, or that Clarify draws.

    Returns
    -------
    Whereabouts
        A data set of the home that a known importer wrote is known again under any name.

    Raises
    ------
    NotFoundError
        If it is none of these; tells the nearest.
    ManifestError
        If its manifest is not legal.
    """
    found = find_manifests(home)
    manifest = read_manifest(found[name]) if name in found else None
    known, origin = _known(name, manifest)
    if origin is None:
        names = dict.fromkeys([*ORIGINS, *DATASETS, *found])
        raise NotFoundError(
            f"no data set {shown(name)} is known, nor in {Path(home) / 'data_manifests'}; "
            f"{nearest(name, names)}"
        )
    return Whereabouts(
        name=name,
        title=origin.title,
        source=origin.source,
        licence=origin.licence,
        get=origin.get,
        command=origin.command,
        known=known,
        manifest=manifest,
        published=_compared(origin, manifest),
    )


def _known(name: str, manifest: Manifest | None) -> tuple[str, Origin | None]:
    """Return the known data set that a name or an imported data set is; of a person's own what it says."""
    if manifest is not None:
        for known, origin in ORIGINS.items():
            if manifest.title == origin.title:
                return known, origin
    if name in ORIGINS:
        return name, ORIGINS[name]
    drawn = _drawn(name)
    if drawn is not None:
        return name, drawn
    if manifest is None:
        return "", None
    of = (manifest.title, manifest.source, manifest.licence)
    return "", Origin(title=of[0], source=of[1], licence=of[2], get="", command="")


def _drawn(name: str) -> Origin | None:
    """Describe a data set that Clarify draws itself."""
    seeded = SEEDED.fullmatch(name)
    base, seed = (seeded["name"], int(seeded["seed"])) if seeded else (name, 0)
    if base not in DATASETS:
        return None
    data_set = DATASETS[base]
    return Origin(
        title=data_set.title,
        source=f"{DRAWN_BY}, seed {seed}",
        licence=data_set.licence,
        get="nothing is needed: it is drawn on this machine, the same on any",
        command=f"clarify data draw {base}" + (f" --seed {seed}" if seed else ""),
        published=tuple(
            Published(
                group=", ".join([group.label, *group.attributes.values()]),
                count=group.count,
                split=group.split,
                values=(("label", group.label), *group.attributes.items()),
            )
            for group in data_set.groups
        ),
        classes=len(data_set.classes),
    )


def _compared(origin: Origin, manifest: Manifest | None) -> tuple[Counted, ...]:
    counted = [
        Counted(
            split=each.split or "",
            group=each.group,
            seen=None if manifest is None else each.seen(manifest),
            published=each.count,
        )
        for each in origin.published
    ]
    if origin.classes is not None and counted:
        seen = None if manifest is None else len(manifest.classes)
        counted.append(Counted(split="", group="classes", seen=seen, published=origin.classes))
    return tuple(counted)
