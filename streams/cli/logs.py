"""Logs of a role: one line, one fact, on standard error."""

import logging


def log_to_stderr() -> None:
    """Send log lines to standard error, from ``info`` on."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
