"""Data sets: the table of images, and the images themselves."""
