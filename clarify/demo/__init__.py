"""The embedded demonstration: rendered scenes, two data sets of them, and the small CLIP.

``scenes`` draws; ``vocabulary`` and ``captions`` say what a picture shows; ``train_clip``,
``evaluate_clip`` and ``small_clip`` make, measure and load the encoder; ``datasets`` holds the
rendered Waterbirds and the sprites. Importing this package loads nothing.
"""
