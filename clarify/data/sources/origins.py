"""Where known data sets come from, under which terms, and how many images they should have.

Only what could be checked against public pages and code is stated: the counts of Waterbirds in
several projects that train on it, those of CelebA against the sums that others publish, those of
PACS and ImageNet on their cards. MetaShift's differ by who made it, so it has none.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

import polars as pl

from clarify.data.manifest import Manifest

__all__ = ["ORIGINS", "Origin", "Published"]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """How many images a part of a data set has by its authors.

    Parameters
    ----------
    group : str
        For people, such as ``"landbird, water"``.
    split : str, optional
        Else any.
    values : tuple of (str, str)
        Columns of the table of images, ``label`` or an attribute, and what they are.
    folder : str
        What the paths begin with; for data sets whose folders are not the splits.
    """

    group: str
    count: int
    split: str | None = None
    values: tuple[tuple[str, str], ...] = ()
    folder: str = ""

    def seen(self, manifest: Manifest) -> int | None:
        """Count the part in a data set; None if that has no such split, class or value."""
        legal = {"label": manifest.classes, "split": manifest.splits, **manifest.attributes}
        wanted = [*self.values, *([] if self.split is None else [("split", self.split)])]
        if any(value not in legal.get(column, ()) for column, value in wanted):
            return None
        rows = manifest.table.filter(*(pl.col(column) == value for column, value in wanted))
        return int(rows["path"].str.starts_with(self.folder).sum())


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A known data set.

    Parameters
    ----------
    title : str
        Also the title of a manifest that its importer wrote, by which it is known again.
    source : str
        Who made it of what.
    get : str
        How a person gets the images.
    command : str
        What makes a data set of them, with DIR for the folder.
    published : tuple of Published
        Empty where no counts are known for sure.
    classes : int, optional
        How many there are.
    """

    title: str
    source: str
    licence: str
    get: str
    command: str
    published: tuple[Published, ...] = ()
    classes: int | None = None


def _groups(
    classes: tuple[str, str],
    attribute: str,
    values: tuple[str, str],
    counts: Mapping[str, tuple[int, int, int, int]],
) -> tuple[Published, ...]:
    """Return two classes times two values in each split; the values change fastest."""
    pairs = [(label, value) for label in classes for value in values]
    return tuple(
        Published(
            group=f"{label}, {value}", count=count, split=split, values=(("label", label), (attribute, value))
        )
        for split, of_split in counts.items()
        for (label, value), count in zip(pairs, of_split, strict=True)
    )


WATERBIRDS = Origin(
    title="Waterbirds",
    source="Sagawa et al. 2020, arXiv 1911.08731: birds of CUB-200-2011 on backgrounds of Places",
    licence="not stated by its authors as far as Clarify knows; the terms of CUB-200-2011 and Places hold",
    get="download and unpack "
    "https://nlp.stanford.edu/data/dro/waterbird_complete95_forest2water2.tar.gz (described at "
    "https://github.com/kohpangwei/group_DRO)",
    command="clarify data import waterbirds DIR --name waterbirds",
    published=_groups(
        ("landbird", "waterbird"),
        "place",
        ("land", "water"),
        {"train": (3498, 184, 56, 1057), "validation": (467, 466, 133, 133), "test": (2255, 2255, 642, 642)},
    ),
    classes=2,
)
CELEBA = Origin(
    title="CelebA",
    source="Liu et al. 2015, Deep Learning Face Attributes in the Wild: 202,599 faces, 40 annotations each",
    licence="for non-commercial research only, by the agreement of its authors",
    get="accept the agreement at https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html and download "
    "img_align_celeba, list_attr_celeba and list_eval_partition into one folder",
    command="clarify data import celeba DIR --name celeba",
    published=_groups(
        ("not Blond_Hair", "Blond_Hair"),
        "Male",
        ("not Male", "Male"),
        {
            "train": (71629, 66874, 22880, 1387),
            "validation": (8535, 8276, 2874, 182),
            "test": (9767, 7535, 2480, 180),
        },
    ),
    classes=2,
)
IMAGENET = Origin(
    title="ImageNet",
    source="Russakovsky et al. 2015, arXiv 1409.0575: ILSVRC 2012, classification",
    licence="for non-commercial research and education only, by ImageNet's terms of access",
    get="accept the terms at https://www.image-net.org/download.php and download the images of "
    "ILSVRC 2012; unpack them as train/nXXXXXXXX and val/nXXXXXXXX",
    command="clarify data import imagenet DIR --name imagenet",
    published=(
        Published(group="all of the folder train", count=1_281_167, folder="train/"),
        Published(group="all of the folder val", count=50_000, folder="val/"),
    ),
    classes=1000,
)
PACS = Origin(
    title="PACS",
    source="Li et al. 2017, arXiv 1710.03077: seven kinds of objects as photo, art painting, "
    "cartoon and sketch",
    licence="not stated by its authors as far as Clarify knows; the images come from Caltech256, "
    "Sketchy, TU-Berlin and Google Images",
    get="download it by way of https://sketchx.eecs.qmul.ac.uk/downloads/, with a folder a domain",
    command="clarify data import pacs DIR --name pacs",
    published=(
        Published(group="all of art_painting", count=2048, values=(("domain", "art_painting"),)),
        Published(group="all of cartoon", count=2344, values=(("domain", "cartoon"),)),
        Published(group="all of photo", count=1670, values=(("domain", "photo"),)),
        Published(group="all of sketch", count=3929, values=(("domain", "sketch"),)),
        Published(group="all", count=9991),
    ),
    classes=7,
)
METASHIFT = Origin(
    title="MetaShift",
    source="Liang and Zou 2022, arXiv 2202.06523: photographs of Visual Genome by class and context",
    licence="CC BY 4.0 by its card on Hugging Face, MIT for the scripts; the images are Visual Genome's",
    get="download the images of Visual Genome as https://github.com/Weixin-Liang/MetaShift tells, "
    "and run its dataset/subpopulation_shift_cat_dog_indoor_outdoor.py or "
    "dataset/domain_generalization_cat_dog.py; copy with `cp -rL` where it made links",
    command="clarify data import metashift DIR --name metashift",
)
ORIGINS: Mapping[str, Origin] = MappingProxyType(
    {"waterbirds": WATERBIRDS, "celeba": CELEBA, "imagenet": IMAGENET, "pacs": PACS, "metashift": METASHIFT}
)
"""The data sets that people import, by the name of their importer."""
