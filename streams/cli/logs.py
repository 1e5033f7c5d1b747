"""Logs of a role: one line, one fact, on standard error."""

import logging


def log_to_stderr(*, verbose: bool = False) -> None:
    """Send log lines to standard error, from ``info`` on, or from ``debug`` on when verbose."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
