"""Groups of images, what a model does on them, and choosing by that."""
