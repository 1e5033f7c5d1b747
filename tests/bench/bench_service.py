"""Measure a worker on a real Apache Kafka: everything of bench_ingest and bench_requests, with one set-up.

python tests/bench/bench_service.py [--items 3700 100000 1000000] [--ratings 200000] [--requests 200]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "dch"))

import bench_ingest
import bench_requests
from made_service import SIZES, made_service


def main():
    """Measure every size that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, nargs="+", default=SIZES, help="sizes of the catalogue")
    parser.add_argument("--ratings", type=int, default=bench_ingest.N_RATINGS, help="ratings of a round")
    parser.add_argument("--requests", type=int, default=bench_requests.N_REQUESTS, help="of a round")
    asked = parser.parse_args()
    for size in asked.items:
        with made_service(size) as world:
            bench_ingest.measure(world, asked.ratings, lambda: bench_requests.measure(world, asked.requests))


if __name__ == "__main__":
    main()
