"""Suggest phrases for a class, and say in which classes a description would pay most.

Searched are a vocabulary, by how like its phrases images are, and the words of captions, where the data
set has some, by whether they mention them.

Suggestions are not logged: they are no descriptions. But a search counts as so many phrases tried,
so it is noted beside the runs: see `clarify.workflow.describe.tries`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from clarify.data.parallel import Progress
from clarify.discover import promise as promising
from clarify.discover import suggest as searching
from clarify.discover.halves import ImagesOfClass
from clarify.discover.mentions import CaptionedImages, CaptionWords, caption_words
from clarify.discover.vocabulary import read_vocabulary, vocabulary, without_names
from clarify.embed.imported import ImportedEncoder
from clarify.errors import InputError, PhraseError
from clarify.workflow.describe.phrase_cache import known_phrases, phrase_embeddings
from clarify.workflow.describe.tries import note_searched, phrases_tried
from clarify.workflow.model.failures import Failures, failures_of
from clarify.workflow.model.models import Model
from clarify.workflow.model.project import SplitData, Workspace

__all__ = [
    "ClassPromise",
    "ClassSuggestions",
    "SearchedPhrases",
    "embedded_phrases",
    "phrases_to_search",
    "promises",
    "suggest",
]


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassSuggestions:
    """What the machine suggests for one class.

    Parameters
    ----------
    run_id : str
        The model's run.
    vocabulary : str
        Where the phrases come from, for people.
    left_out : int
        Phrases of it that were not searched: they only name a class, or the encoder was never
        taught their words.
    found : Suggestions
        Of the vocabulary.
    mentioned : Suggestions or None
        Of the words of captions; None where they have none that ten captions of the class mention.
    caution : str
        Why their scores say nothing, if they do not: said first.
    """

    data_set: str
    class_name: str
    run_id: str
    vocabulary: str
    left_out: int
    found: searching.Suggestions
    caution: str = ""
    mentioned: searching.Suggestions | None = None

    @property
    def items(self) -> tuple[searching.Suggestion, ...]:
        """What the vocabulary and the captions suggest, what brings most first (`Suggestion.order`)."""
        both = self.found.items + (self.mentioned.items if self.mentioned else ())
        return tuple(sorted(both, key=lambda each: each.order))

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {
            "data_set": self.data_set,
            "class": self.class_name,
            "model": self.run_id,
            "by": "machine",
            "vocabulary": self.vocabulary,
            "left_out": self.left_out,
            "caution": self.caution,
            **_searched_in(self.found),
            "captions": None if self.mentioned is None else _searched_in(self.mentioned),
            "suggestions": [
                {**each.to_dict(), "from": "vocabulary" if each in self.found.items else "captions"}
                for each in self.items
            ],
        }


def _searched_in(found: searching.Suggestions) -> dict[str, Any]:
    return {
        "searched": found.searched,
        "tries": found.tries,
        "right": found.n_right,
        "wrong": found.n_wrong,
        "held_out": found.held_out,
    }


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class ClassPromise:
    """How much a description of one class promises; see `clarify.discover.promise`."""

    class_name: str
    found: promising.Promise

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values."""
        return {"class": self.class_name, **dataclasses.asdict(self.found)}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SearchedPhrases:
    """The phrases of a vocabulary that an encoder knows."""

    name: str
    phrases: tuple[str, ...]
    left_out: int


def suggest(
    project: Workspace,
    model: Model,
    data: SplitData,
    class_name: str,
    *,
    vocabulary_file: Path | None = None,
    most: int = 12,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> ClassSuggestions:
    """Search a vocabulary, and the words of captions, for phrases that explain the errors on a class.

    Parameters
    ----------
    project, model, data
        The data set, the model whose failures are explained, its validation split with its captions.
    vocabulary_file : Path, optional
        A list of one's own; else the imported encoder's bank, else Clarify's own vocabulary.
    most : int
        Suggestions wanted of either kind, 1 to 100.
    seed : int
        Of the held-out halves.
    progress : callable, optional
        Told how many phrases are embedded; those that were before are not again.

    Raises
    ------
    NotFoundError, NoScoreError, InputError, PhraseError
        Where the class, the file or a phrase in it is not legal, or the class has only right or
        only wrong images.
    """
    rows = data.of_class(project.manifest.class_index(class_name))
    failures = failures_of(model, data)
    images = ImagesOfClass(embeddings=data.embeddings[rows], right=failures.right[rows])
    captioned_rows, words = _captioned(project, failures, rows)
    searched = phrases_to_search(project, vocabulary_file, needed=not words.phrases)
    phrases = searched.phrases
    if vocabulary_file is None:  # the names that somebody lists are asked for
        phrases = without_names(phrases, class_name, project.manifest.classes)
    if not phrases and not words.phrases:
        raise InputError(
            f"{searched.name}: none of its {len(searched.phrases) + searched.left_out:,} phrases "
            f"can be searched for class {class_name!r}; give another list (--vocabulary)"
        )
    sought = functools.partial(searching.suggest, most=most, seed=seed)
    tried = len(phrases_tried(project, model, class_name))
    found, mentioned = searching.nothing(images.right), searching.nothing(images.right)
    if phrases:
        embeddings = embedded_phrases(project, phrases, vocabulary_file, progress)
        found = sought(phrases, embeddings, images, aside=failures.aside(rows))
        note_searched(project, model, class_name, phrases, tries=found.tries)
    if words.phrases:
        mentioned = sought(
            words.phrases,
            words.has,
            CaptionedImages(right=failures.right[captioned_rows]),
            aside=failures.aside(captioned_rows),
        )
        note_searched(project, model, class_name, words.phrases, tries=mentioned.tries)
    return ClassSuggestions(
        data_set=project.manifest.name,
        class_name=class_name,
        run_id=model.run_id,
        vocabulary=searched.name,
        left_out=searched.left_out + len(searched.phrases) - len(phrases),
        found=found.after(tried + mentioned.tries),
        mentioned=mentioned.after(tried + found.tries) if words.phrases else None,
        caution=project.caution if phrases else "",
    )


def promises(
    project: Workspace,
    model: Model,
    data: SplitData,
    *,
    vocabulary_file: Path | None = None,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
    searched: Callable[[Progress], None] | None = None,
) -> tuple[ClassPromise, ...]:
    """Say how much a description of each class promises, most first.

    The class's own name is not left out of the vocabulary here: what counts is that the errors
    have a pattern, not how it is called. No phrase is shown, so no search is noted.

    Parameters and errors are as for `suggest`; `searched` is told how many classes are done.
    """
    predicted = model.predict(data)
    classes = project.manifest.classes
    phrases = phrases_to_search(project, vocabulary_file).phrases
    embeddings = embedded_phrases(project, phrases, vocabulary_file, progress)
    images = [
        ImagesOfClass(embeddings=data.embeddings[rows], right=predicted[rows] == label)
        for label, rows in enumerate(map(data.of_class, range(len(classes))))
    ]

    def tell(done: int) -> None:
        if searched is not None:
            searched(Progress(done=done, total=len(classes), bad=0))

    promised = promising.promise(embeddings, images, seed=seed, progress=tell)
    found = [ClassPromise(class_name=name, found=each) for name, each in zip(classes, promised, strict=True)]
    return tuple(sorted(found, key=lambda each: (-each.found.promise, -each.found.n_wrong)))


def _captioned(
    project: Workspace, failures: Failures, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], CaptionWords]:
    """Return those rows of a class that have captions, and the words of these.

    No words where the captioned ones are all right, or all wrong: they explain nothing then.
    """
    captions = failures.data.captions_of(rows)
    captioned = rows[np.array([bool(texts) for texts in captions], dtype=np.bool_)]
    right = failures.right[captioned]
    told = [texts for texts in captions if texts] if 0 < right.sum() < len(right) else []
    return captioned, caption_words(told, project.manifest.classes)


def phrases_to_search(project: Workspace, file: Path | None, *, needed: bool = True) -> SearchedPhrases:
    """Return a list of one's own, the imported encoder's bank, or Clarify's own vocabulary, as far as known.

    Raises
    ------
    InputError
        Where the encoder knows none of its phrases, though they are needed.
    """
    encoder = project.encoder
    if file is not None:
        name, given = f"the vocabulary {file}", read_vocabulary(file)
    elif isinstance(encoder, ImportedEncoder) and encoder.bank.phrases:
        name, given = f"the bank of {encoder.name}", encoder.bank.phrases
    else:
        name, given = "Clarify's own vocabulary", vocabulary()
    phrases = known_phrases(project, given)
    if not phrases and needed:
        raise InputError(
            f"{name}: encoder {encoder.name} knows none of its {len(given):,} phrases; give "
            "another list (--vocabulary) or another --encoder"
        )
    return SearchedPhrases(name=name, phrases=phrases, left_out=len(given) - len(phrases))


def embedded_phrases(
    project: Workspace,
    phrases: tuple[str, ...],
    file: Path | None,
    progress: Callable[[Progress], None] | None,
) -> NDArray[np.float32]:
    """Embed phrases (P, E), those of `file` if it is given, which a refusal names."""
    try:
        return phrase_embeddings(project.home, project.encoder, phrases, progress=progress)
    except PhraseError as error:
        raise (error if file is None else PhraseError(f"vocabulary {file}: {error}")) from None
