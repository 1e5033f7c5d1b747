"""The published experiments, run again: tables, curves and the goals of this model, from one command."""
