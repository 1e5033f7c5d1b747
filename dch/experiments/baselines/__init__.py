"""The baselines: methods fitted to the same ratings as DCH and measured on the same ranking tasks."""
