"""The loop, one function a step: embed, train, diagnose, describe, retrain, compare, promote.

Adapters come in as a `Project`; `clarify.cli` builds one. `demo` runs all of it.
"""
