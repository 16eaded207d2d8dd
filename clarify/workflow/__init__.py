"""The loop, one function a step: embed, train, diagnose, describe, retrain, compare, promote.

Adapters come in as a `Workspace`; `clarify.cli` builds one. `demo` runs all of it.
"""
