"""Jobs of the code-length study: quality, search time and memory for codes of 8 to 256 bits."""

import time

import numpy as np

from dch.experiments.job import Job, Outcome
from dch.experiments.jobs.table_protocol import by_case, goal_cases
from dch.experiments.plan import Plan
from dch.models.codes import WORD_BITS, n_words

DATA = "ml-1m"
LENGTHS = (8, 16, 32, 64, 128, 256)

N_CODES, N_CODES_QUICK = 1_000_000, 20_000
N_SEARCHES = 30
K = 20


def jobs(plan: Plan) -> list[Job]:
    """Return a job for each seed and length, seed by seed."""
    names = plan.data if plan.quick else [name for name in (DATA,) if name in plan.data]
    lengths = [bits for bits in LENGTHS if bits <= plan.config.hidden]  # a quick run has few hidden units
    return [_job(plan, name, bits, seed) for name in names for seed in plan.seeds for bits in lengths]


def _job(plan: Plan, name: str, bits: int, seed: int) -> Job:
    def run() -> Outcome:
        model, fit_s = plan.model(name, seed, bits=bits)
        measured = goal_cases(model, plan.split(name, seed).holdout, n_threads=plan.config.threads)
        n_codes = N_CODES_QUICK if plan.quick else N_CODES
        return {
            "cases": by_case(measured),
            "fit_seconds": fit_s,
            "search_ms": search_ms(bits, n_codes, np.random.default_rng(seed)),
            "n_codes": n_codes,
            "bytes": bits // 8,
        }

    return Job(f"length/{name}/{bits}-bits/{seed}", run)


def search_ms(bits: int, n_codes: int, rng: np.random.Generator) -> float:
    """Return the median time in ms of N_SEARCHES exact searches over random codes on one core.

    Args:
        bits: length of a code; a code shorter than a word takes one whole word.
        n_codes: number of codes to search.
        rng: samples codes and queries.
    """
    from dch.search import nearest

    words = rng.integers(np.iinfo(np.uint64).max, size=(n_codes, n_words(bits)), dtype=np.uint64)
    if bits < WORD_BITS:
        words &= np.uint64(2**bits - 1)
    times = []
    for row in range(N_SEARCHES + 1):
        start = time.perf_counter()
        nearest(words, words[row], K, bits=bits)
        times.append(1000 * (time.perf_counter() - start))
    return float(np.median(times[1:]))  # the first search includes compilation
