"""Correct an image classifier by saying in words what it gets wrong.

`clarify.error_score(correct, wrong)` is the one function that scripts need most; everything
else is reached through the command line or `clarify.workflow`. Nothing heavy is imported here.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clarify.errors import ClarifyError
    from clarify.method.phrases.error_score import ErrorScore, error_score

__all__ = ["ClarifyError", "ErrorScore", "__version__", "error_score"]

__version__ = "0.1.0"

_HOME_OF = {
    "ClarifyError": "clarify.errors",
    "ErrorScore": "clarify.method.phrases.error_score",
    "error_score": "clarify.method.phrases.error_score",
}


def __getattr__(name: str) -> object:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'clarify' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME_OF[name]), name)
