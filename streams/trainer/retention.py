"""Remove artifacts from the store that are older than the newest generations."""

import logging
import re

from streams import artifacts
from streams.messages import ModelPointer

log = logging.getLogger("streams.trainer")

FOLDER = re.compile(r"\.?gen-([0-9]{1,10})(?:-[0-9a-f]{12}(?:-[a-z0-9_]+)?)?")
"""An artifact, or what is left of one that was not written to its end."""


def remove_old(store: str, published: ModelPointer, keep: int) -> None:
    """Remove the artifacts of all generations before the newest ones; an error is logged, not raised.

    Artifacts of the published generation and of later ones are never removed, nor anything else in the store.

    Args:
        store: the folder or object-store URL.
        published: the pointer that was published last.
        keep: how many generations to keep, the published one included.
    """
    try:
        system, path = artifacts.open_store(store)
        system.invalidate_cache()
        names = {name.rstrip("/") for name in system.ls(path, detail=False)}
        for name in old_folders(sorted(names), published.generation, keep):
            system.rm(name, recursive=True)
            log.info("old artifact removed location=%s", name)
    except Exception as error:  # noqa: BLE001 - the next publication tries again; each store has own errors
        log.warning("old artifacts cannot be removed store=%s reason=%r", store, error)


def old_folders(names: list[str], newest: int, keep: int) -> list[str]:
    """Return the paths of artifacts that are older than the ``keep`` newest generations up to ``newest``."""
    found = {name: match for name in names if (match := FOLDER.fullmatch(name.rpartition("/")[2]))}
    generations = {name: int(match[1]) for name, match in found.items()}
    kept = sorted({one for one in generations.values() if one < newest}, reverse=True)[: keep - 1]
    first_kept = min([*kept, newest])
    return [name for name, generation in generations.items() if generation < first_kept]
