"""The names of what benchmarks measure, as in results.csv, and which program measures which."""

BARE, BARE_FAISS = "search, top 20", "search, top 20, faiss IndexBinaryFlat"
FAISS = f"{BARE_FAISS}, in the rounds of lists"
SERVED, TOGETHER = "list without neighbours, 20 of 200", "list without neighbours, of 32 requests that wait"
WEIGHTED = "weighted distance: "
DEFAULT, DEFAULT_TOGETHER = "list by default", "list by default, of 32 requests that wait"
FAISS_BESIDE_DEFAULT = f"{BARE_FAISS}, in the rounds of lists by default"
NEIGHBOURS, NO_NEIGHBOURS = (
    f"list {which}, history of 200" for which in ("with neighbours", "by codes and vectors")
)
TRIAL, TRIAL_WITH_NEIGHBOURS = (f"prequential trial {which} neighbours" for which in ("without", "with"))
LEARN_NEIGHBOURS, PEER_OF_NEIGHBOURS = "neighbours learned, one core", "RP3beta of irspack, one core"
ENCODE = "encode one row"
USER_SIDE, BOTH_SIDES = (
    f"ingest, real Kafka, {side}, ms" for side in ("record to committed offset", "both sides committed")
)
IDLE, BUSY = "request to reply, kafka, idle", "request to reply, kafka, while 10,000 ratings/s arrive"
HEAVY = "while ten heavy requests/s arrive"
BESIDE_HEAVY, BESIDE_REFUSED = f"{HEAVY}, 2,500 items, k = 1000", f"{HEAVY}, 10,000 items, refused"
CHOSEN, POPULAR = "list of 10 chosen items", "list of popular items"
WHENS = {
    "idle": "idle",
    "while 10,000 ratings/s arrive": "while 10,000 ratings/s arrive",
    "while ten requests/s of 2,500 items, k = 1000, arrive": BESIDE_HEAVY,
    "while ten of 10,000 items arrive, which are refused": BESIDE_REFUSED,
}
"""Rows of the table, and how the cases of requests are named."""

STOPPED = "stop of a worker under load, s"
SERVICE = (
    ("first start until ready, s", "first start of a worker, until it is ready, s"),
    (
        "the same until all item codes are published, s",
        "first start of a worker, until all item codes are published, s",
    ),
    ("restart until ready, s", "start of a worker with published item codes, until it is ready, s"),
    ("memory after ingest, MiB", "memory of a worker, MiB, after ingest"),
    ("SIGTERM under load until the process ended, s", STOPPED),
)

_REQUESTS = tuple(
    f"request to reply, kafka, {when}, p{one}{of}"
    for when in WHENS.values()
    for one in (50, 99)
    for of in ("", ", bare echo")
)
PROGRAMS = {
    "bench_service.py": (USER_SIDE, BOTH_SIDES, *_REQUESTS, *(case for _, case in SERVICE)),
    "bench_search.py": (
        *(FAISS, SERVED, TOGETHER, WEIGHTED + SERVED, WEIGHTED + TOGETHER, TRIAL, ENCODE, CHOSEN, POPULAR),
    ),
    "bench_neighbours.py": (
        *(FAISS_BESIDE_DEFAULT, DEFAULT, DEFAULT_TOGETHER, NEIGHBOURS, NO_NEIGHBOURS, TRIAL_WITH_NEIGHBOURS),
    ),
}
"""Which program measures which cases: figures of one program are compared, so they must be of one commit."""

AT_THE_LARGEST_SIZE = {"bench_search.py": (BARE, BARE_FAISS)}
"""What a program measures besides, but not at all sizes."""
