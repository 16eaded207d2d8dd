"""Weights as trainers save them: inside mappings of their own, and under names with something in front.

What a trainer calls its wrapping (``model_state_dict``, ``net.``, ``module.``, ``backbone.``) is anybody's
choice; the names of the network's own weights, which end each name, are not. They tell what is in front.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from clarify.errors import InputError

__all__ = ["raw_weights", "unwrapped"]

DEPTH = 3
"""So many mappings inside each other are looked into."""


def raw_weights(path: Path) -> Mapping[str, Any]:
    """Read a file of weights as it was saved; nothing that is pickled in it is run."""
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    found = torch.load(path, map_location="cpu", weights_only=True)
    return found if isinstance(found, Mapping) else {}


def unwrapped(saved: Mapping[str, Any], names: Collection[str], path: Path) -> tuple[dict[str, Any], str]:
    """Return weights by a network's own names, and what they were wrapped in.

    Parameters
    ----------
    saved : mapping
        As it was read.
    names : collection of str
        Of the network's weights.
    path : Path
        The file, for messages.

    Returns
    -------
    weights : dict
        All that is wrapped alike, without what is in front of its names; `saved` itself where most of the
        network is not to be found under any wrapping.
    wrapping : str
        For people, as ``'state_dict', 'model.'``; empty if there is none.

    Raises
    ------
    InputError
        If the network is there more than once: a student and its teacher, weights and their average.
    """
    known = frozenset(names)
    found: dict[tuple[tuple[str, ...], str], int] = {}
    for place, state in _mappings(saved, ()):
        for prefix, count in _prefixes(state, known).items():
            found[place, prefix] = count
    most = max(found.values(), default=0)
    if 2 * most <= len(known) or found.get(((), ""), 0) == most:
        return dict(saved), ""
    best = [where for where, count in found.items() if count == most]
    told = [", ".join(repr(each) for each in (*place, prefix) if each) for place, prefix in best]
    if len(best) > 1:
        raise InputError(
            f"{path} holds these weights {len(best)} times, under {' and under '.join(told)}; "
            "save one of them alone"
        )
    place, prefix = best[0]
    state = saved
    for key in place:
        state = state[key]
    return {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}, told[
        0
    ]


def _mappings(
    saved: Mapping[str, Any], place: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Yield a mapping and those in it, each with the keys that lead there."""
    yield place, saved
    if len(place) < DEPTH:
        for key, each in saved.items():
            if isinstance(key, str) and isinstance(each, Mapping):
                yield from _mappings(each, (*place, key))


def _prefixes(state: Mapping[str, Any], known: frozenset[str]) -> Counter[str]:
    """Count, by what stands in front of them, the names that end in one of the network's."""
    found: Counter[str] = Counter()
    for name in filter(lambda each: isinstance(each, str), state):
        parts = name.split(".")
        found.update(
            name.removesuffix(rest)
            for rest in (".".join(parts[start:]) for start in range(len(parts)))
            if rest in known
        )
    return found
