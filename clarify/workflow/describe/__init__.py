"""From a phrase to a description: tried, suggested, recorded, and the groups that it makes."""
