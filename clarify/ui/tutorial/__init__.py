"""The Tutorial page."""
