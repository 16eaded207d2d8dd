"""Phrases: parsed, compared with images, scored by how well they part right from wrong."""
