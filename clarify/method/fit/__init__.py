"""The last layer, fitted to a convex objective over groups and certified; and batches for networks."""
