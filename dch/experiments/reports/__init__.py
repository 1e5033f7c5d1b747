"""The pages of an experiment: from the outcomes of jobs to tables, plots and one README.md."""
