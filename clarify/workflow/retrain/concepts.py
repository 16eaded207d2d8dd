"""What descriptions say of images, in the form in which it can be erased from their features."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from clarify.errors import InputError
from clarify.method.fit import erasure
from clarify.method.fit.correction import Eraser, Images
from clarify.method.fit.erasure import Concept, Erasure
from clarify.method.fit.head import Standardisation
from clarify.method.phrases.descriptions import Description
from clarify.method.phrases.mentions import MENTIONED
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import description_scores, has_captions
from clarify.workflow.model.arrays import DataSet
from clarify.workflow.model.project import SplitData
from clarify.workflow.model.recipe import ERASURES, ErasureRow, Recipe

__all__ = ["concepts_of", "eraser_of"]


def concepts_of(
    project: DataSet, descriptions: Sequence[Description], data: SplitData, recipe: Recipe
) -> tuple[Concept, ...]:
    """Return what each description says of each image; nothing where the recipe's erasure needs none.

    Raises
    ------
    InputError, PhraseError
        If an opposite is of a class without description, compound, or the phrase itself.
    """
    row = ERASURES[recipe.erase]
    if row.estimate is None:
        return ()
    unknown = set(recipe.opposites) - {each.class_name for each in descriptions}
    if unknown:
        raise InputError(
            f"opposite for class {min(unknown)!r}: no description of it goes into this; name a "
            "described class"
        )
    return tuple(_concept(project, each, data, row, recipe.opposites) for each in descriptions)


def _concept(
    project: DataSet, what: Description, data: SplitData, row: ErasureRow, opposites: Mapping[str, str]
) -> Concept:
    phrase = parse_phrase(what.phrase)
    known = has_captions(phrase, data)
    rows = np.flatnonzero(known)
    scores = np.zeros(len(known))
    scores[rows] = description_scores(project, phrase, data, what.calibrations, rows)
    if what.class_name in opposites:
        opposite = parse_phrase(opposites[what.class_name])
        if opposite.is_compound or opposite.mentions or phrase.mentions or opposite.text == what.phrase:
            raise InputError(
                f"opposite {opposite.text!r} of {what.phrase!r}: another phrase without AND, OR and "
                f"NOT is legal, and none that is {MENTIONED[:-1]}"
            )
        scores = scores - description_scores(project, opposite, data, {})
    of_class = data.labels == project.manifest.class_index(what.class_name)
    return Concept(
        name=f"{what.class_name}: {what.phrase}",
        rows=known if row.one_class else known & of_class,
        similarity=scores,
        threshold=what.threshold,
    )


def eraser_of(
    project: DataSet, descriptions: Sequence[Description], data: SplitData, recipe: Recipe
) -> Eraser | None:
    """Return what finds the recipe's erasure; None where it erases nothing.

    Raises
    ------
    InputError
        If the phrases' own directions are to be erased, and the features are not those of the
        encoder of the phrases.
    """
    row = ERASURES[recipe.erase]
    if row.by_text:
        return _by_text(project, descriptions, data)
    if row.estimate is None:
        return None
    estimate = row.estimate

    def estimated(images: Images, standardisation: Standardisation) -> Erasure:
        return estimate(standardisation.apply(images.features), images.concepts)

    return estimated


def _by_text(project: DataSet, descriptions: Sequence[Description], data: SplitData) -> Eraser:
    identity = project.encoder.identity
    if data.backbone not in ("", identity.image_digest):
        raise InputError(
            f"erase text: the model stands on backbone {data.backbone}, whose features hold no phrases "
            f"of {identity.architecture}; choose mean_difference or regression"
        )
    phrases = [parse_phrase(each.phrase) for each in descriptions]
    asked = [phrase.text for phrase in phrases if phrase.mentions]
    if asked:
        raise InputError(
            f"erase text: {asked[0]!r} asks captions, and has no direction of its own among features; choose "
            "mean_difference or regression"
        )
    atoms = dict.fromkeys(atom for phrase in phrases for atom in phrase.atoms)
    embeddings = project.encoder.encode_phrases(list(atoms))
    return lambda images, standardisation: erasure.text(embeddings, standardisation)
