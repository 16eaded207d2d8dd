"""What the process has once: the app, its routes, settings, data sets, visitors."""
