"""Look after a home: data sets, their origin, and what is missing."""
