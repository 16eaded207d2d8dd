"""Embedding images and phrases: encoders, features on disk, extraction."""
