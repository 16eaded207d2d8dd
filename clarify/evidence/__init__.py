"""Does a sentence beat the alternatives? Methods, cells, suites, studies and their tables."""
