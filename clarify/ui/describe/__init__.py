"""The Describe page."""
