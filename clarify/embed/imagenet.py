"""The 1,000 classes of ImageNet by name: those that CLIP's authors chose, each told apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from clarify.errors import NotFoundError, nearest, shown

__all__ = ["imagenet_names"]


def imagenet_names(wnids: Iterable[str]) -> dict[str, str]:
    """Name classes of ImageNet-1k by their WordNet ids.

    The names are open_clip's, which say "crane bird" and "construction crane" where WordNet has
    "crane" twice. Where they repeat themselves (missile, sunglasses), WordNet's word is taken.

    Parameters
    ----------
    wnids : iterable of str
        Such as ``n01440764``; any of the 1,000.

    Returns
    -------
    dict of str to str
        1,000 ids would have 1,000 different names; each is the same whatever else is asked for.

    Raises
    ------
    NotFoundError
        If an id is not one of the 1,000.
    """
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES
    from timm.data.imagenet_info import ImageNetInfo

    info: Any = ImageNetInfo("imagenet-1k")
    known = list(info.label_names())
    times = Counter(IMAGENET_CLASSNAMES)
    names = {
        wnid: name if times[name] == 1 else info.index_to_description(index).split(",")[0]
        for index, (wnid, name) in enumerate(zip(known, IMAGENET_CLASSNAMES, strict=True))
    }
    chosen = {}
    for wnid in wnids:
        if wnid not in names:
            raise NotFoundError(
                f"{shown(wnid)} is none of the 1,000 classes of ImageNet ({nearest(wnid, names)}); "
                "folders by other names are read by: clarify data import folder"
            )
        chosen[wnid] = str(names[wnid])
    return chosen
