"""Data sets as others keep them: each module reads one form and gives a `Listing`."""
