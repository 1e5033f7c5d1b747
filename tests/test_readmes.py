"""Pages do not go stale: Python blocks run, and every link and every path in backticks leads somewhere."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part == "build" for part in path.relative_to(ROOT).parts)
)
PYTHON_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
EXTERNAL = re.compile(r"[a-z]+:")
REPOSITORY_PATH = re.compile(r"`((?:dch|streams|tests|docs|deploy)/[\w./*-]*)`")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def name_of(page):
    return str(page.relative_to(ROOT))


def python_blocks():
    for page in PAGES:
        for number, code in enumerate(PYTHON_BLOCK.findall(page.read_text())):
            yield pytest.param(code, id=f"{name_of(page)}[{number}]")


def anchors(page):
    """Return the anchors that GitHub gives to the headings of a page."""
    headings = HEADING.findall(BLOCK.sub("", page.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def leads_somewhere(page, link):
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("code", list(python_blocks()))
def test_a_python_block_runs_as_it_stands(code, tmp_path, monkeypatch):
    pytest.importorskip("implicit")
    pytest.importorskip("torch")
    rows = [f"u{n % 50},i{(n * 7 + n // 50) % 40},{1 + n % 5},{n}" for n in range(1000)]
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + "\n".join(rows))
    events = [f"u{n % 50};i{n % 40};{1_700_000_000 + n}" for n in range(200)]
    (tmp_path / "events.csv").write_text("who;title;when\n" + "\n".join(events))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "page", "exec"), {})


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_relative_link_leads_to_a_file_and_a_heading(page):
    links = [link for link in LINK.findall(BLOCK.sub("", page.read_text())) if not EXTERNAL.match(link)]
    assert [link for link in links if not leads_somewhere(page, link)] == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_repository_path_in_backticks_exists(page):
    paths = REPOSITORY_PATH.findall(page.read_text())
    assert [path for path in paths if not any(ROOT.glob(path.rstrip("/")))] == []
