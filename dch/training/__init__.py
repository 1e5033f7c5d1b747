"""Fitting the towers: the only part of the library that imports torch."""

from dch.training.fit import fit_model, has_outgrown, has_shape

__all__ = ["fit_model", "has_outgrown", "has_shape"]
