"""Decisions: what paired outcomes on images allow to say of a changed model. Pure: numpy and scipy."""
