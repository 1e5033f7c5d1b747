"""From the outcomes of jobs to tables, plots and one index page."""
