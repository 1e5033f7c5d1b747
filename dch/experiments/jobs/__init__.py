"""The parts of an experiment: each lists its jobs, and turns their results into pages."""
