"""Which jobs are a compared method's alone: only those outlive a change of our settings."""

from dch.experiments.jobs.table_methods import METHODS, SEARCHES
from dch.experiments.parts import PARTS
from dch.experiments.plan import Plan


def test_those_of_rivals_are_the_searches_the_compared_methods_and_ials_wherever_it_stands(tmp_path):
    plan = Plan({"ml-1m": tmp_path, "yelp": tmp_path}, tmp_path, seeds=(0, 1))
    jobs = [job for part in PARTS.values() for job in part.jobs(plan)]
    of_rivals = {tuple(job.name.split("/")[::2][:2]) for job in jobs if job.of_baseline}
    assert of_rivals == {
        ("goals", "ials"),
        ("cold", "ials"),
        *(("tables", f"{search}-settings") for search in SEARCHES),
        *(("tables", method) for method in METHODS),
    }
    ours = [job.name for job in jobs if not job.of_baseline]
    assert any("dch-2-ranking" in name for name in ours)
    assert any(name.startswith("drift/") for name in ours)
