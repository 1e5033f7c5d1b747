"""The whole demo, run as a user runs it, on a small folder of ratings."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.broker]

GENRES = ("Sci-Fi", "Drama", "Comedy")


@pytest.fixture
def folder(tmp_path):
    """A folder with ratings of 60 items by 150 users, who arrive over time and like one genre each."""
    rng = np.random.default_rng(0)
    lines = ["user,item,rating,timestamp"]
    for step in range(6000):
        user = int(rng.integers(max(20, 150 * step // 6000)))
        item = int(rng.integers(60))
        liked = item % 3 == user % 3
        rating = int(rng.integers(4, 6) if liked else rng.integers(1, 3))
        if liked or rng.random() < 0.4:
            lines.append(f"u{user},i{item},{rating},{1_700_000_000 + step}")
    (tmp_path / "ratings.csv").write_text("\n".join(lines))
    items = [{"item": f"i{n}", "title": f"Film {n}", "genres": [GENRES[n % 3]]} for n in range(60)]
    (tmp_path / "items.jsonl").write_text("\n".join(json.dumps(item) for item in items))
    return tmp_path


def test_the_demo_runs_to_its_summary_and_leaves_no_files(folder, tmp_path):
    pytest.importorskip("noida_db")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    command = [sys.executable, "-m", "streams", "demo", "--data", str(folder)]
    environment = os.environ | {"TMPDIR": str(scratch), "COLUMNS": "100"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    for expected in ("generation 2 is in service", "after each rating", "Film ", "hit rate at 20", "Summary"):
        assert expected in done.stdout
    assert [path.name for path in scratch.iterdir() if path.name.startswith("dch")] == []
