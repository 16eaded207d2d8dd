"""Correct an image classifier by saying in words what it gets wrong.

>>> import clarify
>>> p = clarify.open("birds", home="...")
>>> s = p.diagnose().describe("landbird", "water")
>>> m = p.retrain([s])

Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from clarify.version import __version__

if TYPE_CHECKING:
    from clarify.errors import ClarifyError
    from clarify.face.diagnosis import Diagnosis, Score, diagnose
    from clarify.face.models import Comparison, TrainedModel
    from clarify.face.project import Project, open
    from clarify.method.phrases.error_score import ErrorScore, error_score
    from clarify.workflow.model.recipe import Recipe

__all__ = [
    "ClarifyError",
    "Comparison",
    "Diagnosis",
    "ErrorScore",
    "Project",
    "Recipe",
    "Score",
    "TrainedModel",
    "__version__",
    "diagnose",
    "error_score",
    "open",
]

_HOME_OF = {
    "ClarifyError": "clarify.errors",
    "Comparison": "clarify.face.models",
    "Diagnosis": "clarify.face.diagnosis",
    "ErrorScore": "clarify.method.phrases.error_score",
    "Project": "clarify.face.project",
    "Recipe": "clarify.workflow.model.recipe",
    "Score": "clarify.face.diagnosis",
    "TrainedModel": "clarify.face.models",
    "diagnose": "clarify.face.diagnosis",
    "error_score": "clarify.method.phrases.error_score",
    "open": "clarify.face.project",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'clarify' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
