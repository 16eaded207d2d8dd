"""The model registry: versions with their verdicts, and the alias `champion` with its history.

A model is registered without pickle: weights as safetensors, code as a file of this package.
"""

from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from clarify.data.files import why
from clarify.errors import InputError, StoreError
from clarify.track.history import Event, check_note, event_record, events_of, promoted_last
from clarify.track.markdown import plain, shortened
from clarify.track.model_folder import LABEL, ModelEncoder, write_model
from clarify.track.run import now, paged, search
from clarify.track.runs import PromotionRun
from clarify.track.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

    from clarify.method.fit.head import Head
    from clarify.track.backends import Backend
    from clarify.track.history import Action
    from clarify.track.mlflow import TrackingStore
    from clarify.track.record import RunContext

__all__ = [
    "CHAMPION",
    "Version",
    "crown",
    "register",
    "registered_name",
    "uncrowned",
    "version_of",
    "versions",
    "without_champion",
]

CHAMPION = "champion"
RUN_TAG = "clarify.run"
REASONS = "clarify.reasons"
"""Tag of what the gate said; a version without it was registered by something else than Clarify."""

CARD = "card.md"
"""The card's file, in the model's folder."""

LONGEST = 5000
"""Characters of a version's description: PostgreSQL takes no more."""

MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""What MLflow answers for a model, and for an alias, that there is not."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A registered version of a model.

    Parameters
    ----------
    version : str
        A whole number from 1.
    run_id : str
        The retraining that made it.
    verdict : Verdict
        What the gate said.
    by, note : str
        Who asked for it and why.
    at : int
        When, in milliseconds since 1970.
    packed : bool
        Whether its encoder's weights are in it.
    """

    model_name: str
    version: str
    run_id: str
    verdict: Verdict
    by: str
    note: str
    at: int
    packed: bool


def register(
    store: TrackingStore,
    *,
    model_name: str,
    run_id: str,
    head: Head,
    encoder: Mapping[str, object],
    verdict: Verdict,
    by: str,
    note: str,
    card: str,
    images_by: ModelEncoder | None = None,
) -> Version:
    """Register a run's head as a new version, the gate's verdict and its card stored with it.

    Parameters
    ----------
    model_name : str
        May not hold ``/ : . % " '``.
    run_id : str
        The run that trained the head.
    head : Head
        Takes raw features.
    encoder : mapping
        Identity of the encoder whose features it takes.
    by, note : str
        Who asked for it and why.
    card : str
        What it is, in Markdown: the version's description, and a file beside it.
    images_by : ModelEncoder, optional
        The encoder, for a model that takes images; without it the model takes features.

    Raises
    ------
    InputError
        For a name that the registry cannot hold, or a note of more than 2,000 characters.
    StoreError
        If the store cannot be written.
    """
    if not model_name.strip() or set(model_name) & set("/:.%\"'"):
        raise InputError(f"model name {model_name!r}; a name without / : . % \" ' is legal")
    check_note(note)
    if LABEL in head.class_names:
        raise InputError(f"a class is named {LABEL!r}, as a column of the model's answer; rename it")
    try:
        with tempfile.TemporaryDirectory(prefix="clarify-") as folder:
            model = write_model(
                Path(folder), head=head, name=model_name, identity=encoder, encoder=images_by, verdict=verdict
            )
            (model / CARD).write_text(card, encoding="utf-8")
            source = store.add_folder(run_id, model)
    except OSError as error:
        raise StoreError(
            f"model {model_name!r} cannot be written: {why(error)}; free space in "
            "the temporary folder or mend its permissions, then promote again"
        ) from None
    store.ask(lambda client: _create(client, model_name))
    described = shortened(card, LONGEST, CARD)
    tags = {
        RUN_TAG: run_id,
        "clarify.by": by,
        "clarify.packed": str(images_by is not None and images_by.pack is not None).lower(),
        "clarify.note": note,
        "clarify.verdict": "passed" if verdict.passed else "overruled" if verdict.overruled else "refused",
        "clarify.overruled": verdict.overruled,
        REASONS: json.dumps(verdict.to_dict()["reasons"], ensure_ascii=False),
    }
    made = store.ask(
        lambda client: client.create_model_version(model_name, source, run_id, tags, description=described)
    )
    return _version(made)


def crown(
    store: TrackingStore,
    version: Version,
    context: RunContext,
    *,
    action: Action = "promotion",
    note: str = "",
) -> Event:
    """Make a version the champion, and write that into the history: nothing else moves the alias.

    One at a time: whoever calls sees to it that no other does so meanwhile, as `workflow.registry`
    does for all processes of a home.

    Parameters
    ----------
    context : RunContext
        Who does it, and on which data set.
    note : str
        Why.

    Raises
    ------
    InputError
        If the gate refused it, or the note is longer than 2,000 characters.
    StoreError
        If the store cannot be written.
    """
    check_note(note)
    if not version.verdict.stands:
        raise InputError(
            f"{version.model_name} version {version.version} is refused by the gate: {version.verdict.failed}"
        )
    name, number = version.model_name, version.version
    before = version_of(store, name)
    champion = before.version if before else ""
    known = events_of(store, context.dataset.name, name, champion)
    event = Event(
        number=1 + max((each.number for each in known), default=0),
        action=action,
        from_version=champion,
        to_version=number,
        run_id=version.run_id,
        by=context.reviewer,
        note=note,
        at=now(),
    )
    store.log(event_record(context, event, model_name=name, verdict=version.verdict))
    store.ask(lambda client: client.set_registered_model_alias(name, CHAMPION, number))
    return event


def version_of(store: TrackingStore, model_name: str, *, alias: str = CHAMPION) -> Version | None:
    """Return the version that holds an alias; None if none does that Clarify registered."""
    found = store.ask(lambda client: _holder(client, model_name, alias))
    return None if found is None or REASONS not in found.tags else _version(found)


def versions(store: TrackingStore, model_name: str) -> tuple[Version, ...]:
    """Return the versions of a model that Clarify registered, newest first; of no model, none."""
    return store.ask(lambda client: _versions(client, model_name))


def registered_name(data_set: str) -> str:
    """Return the name that a data set's models have in the registry."""
    return data_set.replace(".", "-")


def uncrowned(client: MlflowClient, backend: Backend, data_set: str) -> str:
    """Return the version that was promoted last, of a model none of whose is champion; else empty.

    Something else than Clarify took the alias off then, or a promotion was killed before it was on.
    """
    name = registered_name(data_set)
    holder = _holder(client, name, CHAMPION)
    if holder is not None and REASONS in holder.tags:
        return ""
    changes = [PromotionRun.read(run) for run in search(client, backend, data_set, PromotionRun.kind)]
    versions = {each.version for each in _versions(client, name)}
    return promoted_last((each for each in changes if each.model == name), versions)


def without_champion(data_set: str, version: str) -> str:
    """Say that no version is champion though one was promoted (see `uncrowned`), and what mends it."""
    return (
        f"no version of {data_set} is champion: version {version}, which was promoted, lacks the alias "
        f"(taken off in MLflow, or the promotion was cut short); put it back: clarify rollback {data_set}"
    )


def _versions(client: MlflowClient, model_name: str) -> tuple[Version, ...]:
    asked = f"name='{model_name}'"
    found = paged(lambda token: client.search_model_versions(asked, page_token=token))
    ours = [_version(each) for each in found if REASONS in each.tags]
    return tuple(sorted(ours, key=lambda each: -int(each.version)))


def _version(found: ModelVersion) -> Version:
    tags = found.tags
    return Version(
        model_name=found.name,
        version=str(found.version),
        run_id=tags.get(RUN_TAG, ""),
        verdict=Verdict.from_dict(
            {"reasons": json.loads(tags[REASONS]), "overruled": tags.get("clarify.overruled", "")}
        ),
        by=tags.get("clarify.by", ""),
        note=tags.get("clarify.note", ""),
        at=int(found.creation_timestamp),
        packed=tags.get("clarify.packed") == "true",
    )


def _create(client: MlflowClient, model_name: str) -> None:
    from mlflow.exceptions import MlflowException

    what = (
        f"What was retrained of **{plain(model_name)}** with what reviewers said of its errors. The alias "
        f"`{CHAMPION}` is on the version in use; each version's description is its card."
    )
    try:
        client.create_registered_model(model_name, description=what)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        if not client.get_registered_model(model_name).description:  # of an older version
            client.update_registered_model(model_name, what)


def _holder(client: MlflowClient, model_name: str, alias: str) -> ModelVersion | None:
    from mlflow.exceptions import MlflowException

    try:
        return client.get_model_version_by_alias(model_name, alias)
    except MlflowException as error:
        if error.error_code not in MISSING:
            raise
        return None
