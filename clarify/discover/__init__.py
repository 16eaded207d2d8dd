"""Phrases found by machine: a vocabulary, the search through it, and which classes to begin with.

| module | what it holds |
|---|---|
| vocabulary | some thousand visual words and short phrases, and people's own lists |
| halves | what a search through one half of a class's images says about the other half |
| suggest | the phrases that explain a class's errors best, and what that is worth |
| promise | where a description would pay most |

Nothing here knows about encoders, data sets or tracking.
"""
