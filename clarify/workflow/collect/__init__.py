"""Collect by words: rank a pool for a described half, and take in the labels that come back."""
