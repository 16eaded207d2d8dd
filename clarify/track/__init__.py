"""Tracking: results as records, MLflow behind one door, the gate and the registry."""
