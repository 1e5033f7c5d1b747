"""The baselines: methods that are fitted to the same ratings as DCH and measured by the same questions."""
