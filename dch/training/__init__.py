"""Fit and refit the towers. Only this package and the baselines import torch."""

from dch.training.fit import fit_model, has_shape, needs_full_fit

__all__ = ["fit_model", "has_shape", "needs_full_fit"]
