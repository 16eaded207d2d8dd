"""A retraining in a process of its own, which every session sees alike."""
