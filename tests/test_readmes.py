"""Every Python block of a README runs as it stands."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks():
    for path in sorted(ROOT.glob("**/README.md")):
        if ".venv" not in path.parts:
            for place, code in enumerate(BLOCK.findall(path.read_text())):
                yield pytest.param(code, id=f"{path.relative_to(ROOT)}[{place}]")


@pytest.mark.parametrize("code", list(blocks()))
def test_a_block_of_a_readme_runs(code, tmp_path, monkeypatch):
    pytest.importorskip("implicit")
    rows = [f"u{n % 50},i{(n * 7 + n // 50) % 40},{1 + n % 5},{n}" for n in range(1000)]
    (tmp_path / "ratings.csv").write_text("user,item,rating,timestamp\n" + "\n".join(rows))
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
