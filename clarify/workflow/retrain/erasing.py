"""What descriptions say of images, in the form in which it can be erased from their features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from clarify.errors import InputError
from clarify.method.fit import erasure
from clarify.method.fit.erasure import Concept
from clarify.method.phrases.phrases import parse_phrase
from clarify.workflow.describe.phrases import description_scores

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from clarify.method.fit.correction import Eraser, Images
    from clarify.method.fit.erasure import Erasure
    from clarify.method.fit.head import Standardisation
    from clarify.method.phrases.descriptions import Description
    from clarify.workflow.model.project import Project, SplitData

__all__ = ["concepts_of", "eraser_of"]


def concepts_of(
    project: Project,
    descriptions: Sequence[Description],
    data: SplitData,
    *,
    opposites: Mapping[str, str] | None = None,
    unlabelled: bool = False,
) -> tuple[Concept, ...]:
    """Return what each description says of each image.

    Parameters
    ----------
    opposites : mapping of class name to phrase
        What stands against the class's phrase.
    unlabelled : bool
        Whether all images are taken as one class.

    Raises
    ------
    InputError, PhraseError
        If an opposite is of a class without description, compound, or the phrase itself.
    """
    against = dict(opposites or {})
    found = []
    for each in descriptions:
        scores = description_scores(project, parse_phrase(each.phrase), data.embeddings, each.calibrations)
        threshold, rows = each.threshold, np.ones(len(data.labels), dtype=np.bool_)
        if not unlabelled:
            rows = data.labels == project.manifest.class_index(each.class_name)
        if each.class_name in against:
            opposite = parse_phrase(against[each.class_name])
            if opposite.is_compound or opposite.text == each.phrase:
                raise InputError(
                    f"opposite {opposite.text!r} of {each.phrase!r}: another phrase without AND, "
                    "OR and NOT is legal"
                )
            scores = scores - description_scores(project, opposite, data.embeddings, {})
        name = f"{each.class_name}: {each.phrase}"
        found.append(Concept(name=name, rows=rows, similarity=scores, threshold=threshold))
    unknown = set(against) - {each.class_name for each in descriptions}
    if unknown:
        raise InputError(
            f"opposite for class {min(unknown)!r}: no description of it goes into this; name a "
            "described class"
        )
    return tuple(found)


def eraser_of(project: Project, name: str, descriptions: Sequence[Description]) -> Eraser | None:
    """Return what finds the erasure of a name; None for ``none``.

    Raises
    ------
    InputError
        For ``text`` where the features are not those of the encoder of the phrases.
    """
    if name == "none":
        return None
    if name != "text":
        estimate = getattr(erasure, name.removesuffix("_unlabelled"))

        def estimated(images: Images, standardisation: Standardisation) -> Erasure:
            found: Erasure = estimate(standardisation.apply(images.features), images.concepts)
            return found

        return estimated
    if project.backbone.identity.image_digest != project.encoder.identity.image_digest:
        raise InputError(
            f"erase text: the model stands on {project.backbone.name}, whose features hold no "
            f"phrases of {project.encoder.name}; choose mean_difference or regression"
        )
    atoms = list(dict.fromkeys(atom for each in descriptions for atom in parse_phrase(each.phrase).atoms))
    embeddings = project.encoder.encode_phrases(atoms)
    return lambda images, standardisation: erasure.text(embeddings, standardisation)
