"""``dch models``: the published generations, and going back to an earlier one."""

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from streams.cli.options import with_settings
from streams.cli.texts import time_text
from streams.settings import TrainerSettings

if TYPE_CHECKING:
    from streams.trainer.published import Published

LIST_EXAMPLE = "Example: dch models list --prefix shop- --artifacts s3://bucket/models"
ROLLBACK_EXAMPLE = "Example: dch models rollback --to 7 --prefix shop- --artifacts s3://bucket/models"


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    models = typer.Typer(
        no_args_is_help=True, help="List the published models, or go back to an earlier one."
    )
    models.command("list", epilog=LIST_EXAMPLE)(with_settings("models list", list_models))
    models.command("rollback", epilog=ROLLBACK_EXAMPLE)(with_settings("models rollback", rollback))
    app.add_typer(models, name="models")


def list_models(
    n: Annotated[int, typer.Option("-n", min=1, max=100_000, help="Number of newest generations.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON line for each generation.")] = False,
    *,
    settings: TrainerSettings,
) -> None:
    """Print the published generations, oldest first. The newest one that can be loaded is in service.

    Workers serve a new one as soon as its item codes are there; dch_model_info in their metrics shows it.
    A removed one is in the artifact store no more, and no role loads one that is corrupt or outside the
    store; --json names where each is. Each stored one is loaded to see that.
    NDCG@20 is that of the gate: of the model before, and of the new one before
    its last update, on ratings that both had not seen. The first model has none.
    """
    from streams.trainer.published import in_service, read_published

    found = read_published(settings)
    served = in_service(settings, found) if found else None
    rows = [_row(settings, one, is_in_service=one is served) for one in found[-n:]]
    if as_json:
        for row in rows:
            typer.echo(json.dumps(row))
    elif rows:
        Console(highlight=False).print(_table(rows))
    else:
        typer.echo("no model was published yet; a trainer publishes the first one: dch trainer")


def rollback(
    to: Annotated[
        int | None,
        typer.Option("--to", min=0, metavar="N", help="Generation; default: the one before that in service."),
    ] = None,
    *,
    settings: TrainerSettings,
) -> None:
    """Publish the artifact of an earlier generation as the next one, in place of the model in service.

    A running trainer drops the fit that it is at, and refits from this model after as many new ratings again
    (--refit-ratings). It may run meanwhile; if both publish at the same moment, one of them is refused.
    """
    from streams.trainer.rollback import roll_back

    pointer = roll_back(settings, to)
    Console(soft_wrap=True, highlight=False).print(
        f"published generation {pointer.generation}, a copy of generation {pointer.rolled_back_to}, in place "
        f"of generation {pointer.rolled_back_from}\nlocation {pointer.location}\nworkers serve it as soon as "
        "they have its item codes; see dch_model_info in their metrics"
    )


def _row(settings: TrainerSettings, found: "Published", *, is_in_service: bool) -> dict[str, Any]:
    from streams.trainer.fit import IN_SERVICE_NDCG, NEWEST_NDCG
    from streams.trainer.published import is_loadable, is_outside, is_stored

    pointer = found.pointer
    has_files = is_stored(settings, pointer)
    return {
        "generation": pointer.generation,
        "generation_hash": pointer.generation_hash,
        "rolled_back_from": pointer.rolled_back_from,
        "rolled_back_to": pointer.rolled_back_to,
        "published_at": time_text(found.published_at),
        "fitted_at": time_text(pointer.trained_at),
        "ratings": sum(pointer.watermarks.values()),
        "ndcg_before": _figure(pointer.metrics.get(IN_SERVICE_NDCG)),
        "ndcg_after": _figure(pointer.metrics.get(NEWEST_NDCG)),
        "is_stored": has_files,
        "is_loadable": is_in_service or (has_files and is_loadable(settings, pointer)),
        "is_outside": is_outside(settings, pointer),
        "location": pointer.location,
        "is_in_service": is_in_service,
    }


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in ("generation", "hash", "published (UTC)", "ratings", "NDCG@20"):
        table.add_column(
            name, no_wrap=True
        )  # 80 columns are enough, and a hash that is cut off names nothing
    table.add_column("")
    for row in rows:
        before, after = (_text(row[name]) for name in ("ndcg_before", "ndcg_after"))
        table.add_row(
            str(row["generation"]),
            row["generation_hash"],
            _minutes(row["published_at"]),
            str(row["ratings"]),
            f"{before} to {after}" if row["ndcg_after"] is not None else "-",
            _remarks(row),
        )
    return table


def _minutes(time: str) -> str:
    date, t, clock = time.partition("T")
    return f"{date} {clock[:5]}" if t else time


def _remarks(row: dict[str, Any]) -> str:
    is_rollback = row["rolled_back_from"] is not None
    copied = f"rolled back from {row['rolled_back_from']} to {row['rolled_back_to']}"
    is_removed = not row["is_stored"] and not row["is_outside"]
    found = {
        "in service": row["is_in_service"],
        copied: is_rollback,
        "removed": is_removed,
        "cannot be loaded": row["is_stored"] and not row["is_loadable"],
        "outside": row["is_outside"],
    }
    return ", ".join(remark for remark, holds in found.items() if holds)


def _figure(found: object) -> float | None:
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _text(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:.3f}"
