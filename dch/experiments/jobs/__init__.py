"""The jobs of each part of an experiment; the pages that show their outcomes are in ``reports``."""
