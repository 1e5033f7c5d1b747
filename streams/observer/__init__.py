"""The observer: joins the lists that users were shown with what they liked afterwards, and shows the sums."""

from streams.observer.main import run, serve

__all__ = ["run", "serve"]
