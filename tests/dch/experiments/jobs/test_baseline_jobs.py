"""Which jobs measure a baseline alone, so that their results survive a change of DCH settings."""

from dch.experiments.jobs.goal_baselines import GOAL_BASELINES
from dch.experiments.jobs.table_methods import METHODS
from dch.experiments.jobs.tuned_settings import SEARCHES
from dch.experiments.parts import PARTS
from dch.experiments.plan import Plan


def test_the_jobs_of_baselines_are_the_searches_the_methods_of_the_tables_and_those_of_other_parts(tmp_path):
    plan = Plan({"ml-1m": tmp_path, "yelp": tmp_path}, tmp_path, seeds=(0, 1))
    jobs = [job for part in PARTS.values() for job in part.jobs(plan)]
    of_baselines = {tuple(job.name.split("/")[::2][:2]) for job in jobs if job.of_baseline}
    assert of_baselines == {
        *(("goals", baseline) for baseline in GOAL_BASELINES),
        ("goals", "narrow-ials"),
        ("cold", "ials"),
        *(("tables", f"{search}-settings") for search in SEARCHES),
        *(("tables", method) for method in METHODS),
    }
    dch = [job.name for job in jobs if not job.of_baseline]
    assert any("dch-2-ranking" in name for name in dch)
    assert any(name.startswith("drift/") for name in dch)
