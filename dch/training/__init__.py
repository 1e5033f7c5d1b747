"""Fit and refit the towers. Only this package and the baselines import torch.

Raises:
    MissingExtraError: at import, if torch is not installed.
"""

from dch.errors import MissingExtraError

try:
    import torch  # noqa: F401 - checked here, so that each way to a fit ends in the same sentence
except ModuleNotFoundError as missing:
    if missing.name != "torch":
        raise  # torch is installed and lacks something itself
    raise MissingExtraError(
        "a fit needs torch, which is not installed; run: pip install -c constraints.txt '.[fit]'"
    ) from missing

from dch.training.fit import fit_model, has_shape, needs_full_fit

__all__ = ["fit_model", "has_shape", "needs_full_fit"]
