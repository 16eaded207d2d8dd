"""The demo and the tutorial, on top of everything else."""
