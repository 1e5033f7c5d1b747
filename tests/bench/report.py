"""Write the tables of README.md's section "Speed" and of docs/costs.md, and draw docs/growth.png.

    python tests/bench/report.py

The figures of a program are those of the newest commit at which it measured all its cases at three sizes or
more; of a case that was measured twice, the last. If there is no such commit, nothing is written.
"""

import csv
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

sys.path.insert(0, str(Path(__file__).parent))

import costs
from cases import (
    AT_THE_LARGEST_SIZE,
    BARE,
    BARE_FAISS,
    BOTH_SIDES,
    BUSY,
    DEFAULT,
    DEFAULT_TOGETHER,
    ENCODE,
    FAISS,
    FAISS_BESIDE_DEFAULT,
    IDLE,
    NEIGHBOURS,
    NO_NEIGHBOURS,
    PROGRAMS,
    SERVED,
    SERVICE,
    TOGETHER,
    TRIAL,
    TRIAL_WITH_NEIGHBOURS,
    USER_SIDE,
    WEIGHTED,
    WHENS,
)

from dch.experiments.reports.plots import COLOURS, MARKERS, RC, require_matplotlib

RESULTS = Path(__file__).with_name("results.csv")
README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- written by tests/bench/report.py -->", "<!-- end -->"
PICTURE = Path(__file__).parents[2] / "docs" / "growth.png"
FEWEST_SIZES = 3


class NotMeasuredError(Exception):
    """A program has not measured enough for the tables."""


def newest(lines, program):
    """Return the lines of the newest commit at which a program measured all its cases at enough sizes.

    Raises:
        NotMeasuredError: there is none.
    """
    cases = PROGRAMS[program]
    for commit in dict.fromkeys(line["commit"] for line in reversed(lines)):
        of_commit = [line for line in lines if line["commit"] == commit]
        measured = [{line["items"] for line in of_commit if line["case"] == case} for case in cases]
        if len(set.intersection(*measured)) >= FEWEST_SIZES:
            known = {*cases, *AT_THE_LARGEST_SIZE.get(program, ())}
            return [line for line in of_commit if line["case"] in known]
    raise NotMeasuredError(
        f"{RESULTS.name} has no commit at which {program} measured all its cases at {FEWEST_SIZES} sizes, so "
        f"README.md and docs/growth.png stay as they are: run make bench without ITEMS"
    )


class Figures:
    """The newest figures, as text for tables and as numbers for the picture.

    Raises:
        NotMeasuredError: a program has not measured enough.
    """

    def __init__(self):
        with RESULTS.open(newline="") as file:
            lines = [line for line in csv.DictReader(file) if line["bits"] == "64"]  # the codes of the tables
        chosen = {program: newest(lines, program) for program in PROGRAMS}
        self.found = {
            (line["case"], int(line["items"])): (float(line["median_ms"]), int(line["n"]))
            for found in chosen.values()
            for line in found
        }
        self.sizes = sorted({items for _, items in self.found})
        commits = {program: found[-1]["commit"] for program, found in chosen.items()}
        self.commit = _one_or_each(commits)
        last = max((found[-1] for found in chosen.values()), key=lambda line: line["date"])
        self.date, self.machine = last["date"], last["machine"]

    def value(self, case, items):
        """Return a figure, or None."""
        return self.found.get((case, items), (None, 0))[0]

    def per_s(self, case, items):
        """Return how many a second a figure in milliseconds for n of them is."""
        value, n = self.found.get((case, items), (None, 0))
        return None if value is None else 1000 * n / value

    def row(self, title, cell):
        """Return a row of a Markdown table; ``cell`` gives the text for a number of items, or None."""
        cells = [cell(items) for items in self.sizes]
        return f"| {title} | " + " | ".join("-" if one is None else one for one in cells) + " |"


def _one_or_each(commits):
    """Return the commit of all programs, or that of each with the name of the program."""
    if len(set(commits.values())) == 1:
        return next(iter(commits.values()))
    return ", ".join(f"{commit} ({program})" for program, commit in commits.items())


def tables(figures):
    """Return the tables as Markdown."""
    head = "| items | " + " | ".join(f"{items:,}" for items in figures.sizes) + " |"
    rule = "|---|" + "---:|" * len(figures.sizes)
    service = [figures.row(f"ratings/s, {name}", _rate(figures, case)) for name, case in RATES]
    for when, name in WHENS.items():
        case = f"request to reply, kafka, {name}"
        service.append(figures.row(f"request {when}, p50 / p99, ms", _pair(figures, case, "")))
        service.append(figures.row("the same of a bare echo", _pair(figures, case, ", bare echo")))
    service += [figures.row(name, _plain(figures, case)) for name, case in SERVICE]
    searches = [
        figures.row("time of our bare search of 20 codes / that of Faiss", _ratio(figures, BARE, BARE_FAISS)),
        figures.row(
            "time of one list by default (neighbours, 5% of its positions for new items) / that of a bare "
            "search by Faiss",
            _ratio(figures, DEFAULT, FAISS_BESIDE_DEFAULT),
        ),
        figures.row(
            "the same of one of 32 lists answered together",
            _ratio(figures, DEFAULT_TOGETHER, FAISS_BESIDE_DEFAULT),
        ),
        figures.row(
            "time of one list without neighbours and reserved positions / that of a bare search by Faiss",
            _ratio(figures, SERVED),
        ),
        figures.row("the same by weighted distance", _ratio(figures, WEIGHTED + SERVED)),
        figures.row("the same of one of 32 lists answered together", _ratio(figures, TOGETHER)),
        figures.row("the same by weighted distance", _ratio(figures, WEIGHTED + TOGETHER)),
        figures.row("one list by default, ms", _plain(figures, DEFAULT, 2)),
        figures.row("one list with neighbours, history of 200, ms", _plain(figures, NEIGHBOURS, 2)),
        figures.row("the same without neighbours, ms", _plain(figures, NO_NEIGHBOURS, 2)),
        figures.row(
            "bare search of 20 codes by Faiss `IndexBinaryFlat`, in the rounds of lists by default, ms",
            _plain(figures, FAISS_BESIDE_DEFAULT, 3),
        ),
        figures.row("the same in the rounds of lists without neighbours, ms", _plain(figures, FAISS, 3)),
        figures.row(
            "prequential trial with its rating, with neighbours, us", _micro(figures, TRIAL_WITH_NEIGHBOURS)
        ),
        figures.row("the same without neighbours, us", _micro(figures, TRIAL)),
        figures.row("encode one row, us", _micro(figures, ENCODE)),
    ]
    return "\n".join([head, rule, *service, "", head, rule, *searches])


RATES = (("users committed", USER_SIDE), ("users and items committed", BOTH_SIDES))


def _rate(figures, case):
    def cell(items):
        found = figures.per_s(case, items)
        return None if found is None else f"{found:,.0f}"

    return cell


def _pair(figures, case, suffix):
    def cell(items):
        both = [figures.value(f"{case}, p{one}{suffix}", items) for one in (50, 99)]
        return None if None in both else f"{both[0]:.1f} / {both[1]:.1f}"

    return cell


def _plain(figures, case, digits=1):
    def cell(items):
        found = figures.value(case, items)
        return None if found is None else f"{found:,.{digits}f}"

    return cell


def _ratio(figures, case, peer=FAISS):
    def cell(items):
        found, faiss = figures.value(case, items), figures.value(peer, items)
        return None if found is None or not faiss else f"{found / faiss:.2f}"

    return cell


def _micro(figures, case):
    def cell(items):
        found = figures.value(case, items)
        return None if found is None else f"{1000 * found:.0f}"

    return cell


def draw(figures):
    """Draw how search, request, ingest and trial grow with the number of items."""
    require_matplotlib()
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    panels = (
        (
            "search",
            "ms of processor time",
            {
                "one list": DEFAULT,
                "of 32 that wait": DEFAULT_TOGETHER,
                "one list without neighbours": SERVED,
                "Faiss, bare": FAISS_BESIDE_DEFAULT,
            },
            1,
        ),
        (
            "request, p99",
            "ms",
            {
                "idle": f"{IDLE}, p99",
                "echo, idle": f"{IDLE}, p99, bare echo",
                "with 10,000 ratings/s": f"{BUSY}, p99",
                "echo, with these": f"{BUSY}, p99, bare echo",
            },
            1,
        ),
        ("ingest", "ratings/s", {"users": USER_SIDE, "users and items": BOTH_SIDES}, None),
        (
            "trial, encoding",
            "us of processor time",
            {
                "trial with its rating": TRIAL_WITH_NEIGHBOURS,
                "without neighbours": TRIAL,
                "encode one row": ENCODE,
            },
            1000,
        ),
    )
    with rc_context(RC):
        figure = Figure(figsize=(4 * len(panels), 4.2), layout="constrained")
        for axes, (title, unit, lines, factor) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
        ):
            for at, (label, case) in enumerate(lines.items()):
                points = [(items, _number(figures, case, items, factor)) for items in figures.sizes]
                if known := [point for point in points if point[1] is not None]:
                    axes.plot(*zip(*known, strict=True), label=label, color=COLOURS[at], marker=MARKERS[at])
            axes.set(title=title, xlabel="items", ylabel=unit)
            axes.set(xscale="log", ylim=(0, None))
            axes.set_xticks(figures.sizes, [f"{items:,}" for items in figures.sizes])
            axes.minorticks_off()
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
            axes.legend(fontsize=9, loc="upper center", bbox_to_anchor=(0.5, -0.15), ncols=2)
        figure.suptitle(
            f"How costs grow with the catalogue (commit {figures.commit}, {figures.date})", fontsize=12
        )
        figure.savefig(PICTURE, format="png", dpi=110)


def _number(figures, case, items, factor):
    if factor is None:
        return figures.per_s(case, items)
    value = figures.value(case, items)
    return None if value is None else factor * value


def write(figures):
    """Put the tables in their place in the README."""
    before, _, rest = README.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    source = (
        f"Commit {figures.commit}, {figures.date}, {figures.machine}, two cores. A dash: not measured here."
    )
    picture = "![How costs grow with the number of items](docs/growth.png)"
    README.write_text(f"{before}{BEGIN}\n{source}\n\n{tables(figures)}\n\n{picture}\n{END}{after}")


def main():
    """Print the tables, draw the picture, and write the tables, in this order: a failure writes no tables."""
    try:
        figures = Figures()
    except NotMeasuredError as missing:
        print(missing)
        return
    print(tables(figures))
    draw(figures)
    write(figures)
    costs.write(figures)


if __name__ == "__main__":
    main()
