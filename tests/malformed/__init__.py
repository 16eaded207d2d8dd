"""A corpus of malformed inputs, made by code, each with the line that refuses it.

Every `cases_*.py` here has a list `CASES`; `test_malformed.py` runs them all.
"""
