"""The experiments that ``dch experiment`` runs: jobs, baselines and reports. Nothing else imports them."""
