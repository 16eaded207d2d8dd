"""Results in words and tables, for a person at a terminal."""
