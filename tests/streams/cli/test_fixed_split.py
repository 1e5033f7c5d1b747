"""``dch evaluate --train --test`` on a split made by Python's csv and random modules only."""

import csv
import json
import random
import re
from zlib import crc32

import pytest

from streams.demo.demo_data import wheel_data
from tests.streams.cli.running import dch

__all__ = ["dch"]

SHARES = {"users": 0.1, "items": 0.1, "tested": 0.2}
"""As in our own hold-out: shares of users and items held out, and of the other ratings that are tested."""

NOISE = 0.03
"""Allowed difference in NDCG@20; two random splits and fits differed by .002 to .012."""


def split_externally(folder, out, seed):
    """Write train.csv and test.csv; return their numbers of ratings."""
    rng = random.Random(seed)
    with (folder / "ml-100k.inter").open(newline="") as file:
        _, *rows = csv.reader(file, delimiter="\t")
    left_out = []
    for column, side in enumerate(("users", "items")):
        ids = sorted({row[column] for row in rows})
        left_out.append(set(rng.sample(ids, round(SHARES[side] * len(ids)))))
    rows = [row for row in rows if row[0] not in left_out[0] and row[1] not in left_out[1]]
    tested = [rng.random() < SHARES["tested"] for _ in rows]
    for name, wanted in (("train", False), ("test", True)):
        with (out / f"{name}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["user", "item", "rating", "timestamp"])
            writer.writerows(row for row, is_tested in zip(rows, tested, strict=True) if is_tested == wanted)
    return len(rows) - sum(tested), sum(tested)


def ndcg(report):
    """Return the NDCG@20 of known users for each strategy."""
    return {
        result["strategy"]: result["mean"]
        for result in report["results"]
        if (result["case"], result["metric"]) == ("EUEI", "ndcg@20")
    }


@pytest.mark.prove
def test_an_external_split_gives_the_same_quality_as_our_own_hold_out(dch, tmp_path):
    folder = wheel_data("skip this test")
    n_train, n_test = split_externally(folder, tmp_path, seed=1)
    found = {}
    for name, data in (
        ("given", ["--train", tmp_path / "train.csv", "--test", tmp_path / "test.csv"]),
        ("holdout", [folder]),
    ):
        ran = dch("evaluate", *data, "--seeds", "0", "--json", tmp_path / f"{name}.json")
        assert ran.code == 0, ran.err
        found[name] = json.loads((tmp_path / f"{name}.json").read_text())
        assert re.search("^EUEI +codes\\+rerank ", ran.out, re.MULTILINE)  # no cell of the table is broken
    protocol = found["given"]["protocol"]
    assert (protocol["ratings"], protocol["test_ratings"]) == (n_train, n_test)
    given, own = ndcg(found["given"]), ndcg(found["holdout"])
    assert given == pytest.approx(own, abs=NOISE)
    assert given["codes"] > given["popular"] + 2 * NOISE  # otherwise the two would be close for any model


def test_an_error_says_that_there_is_nothing_to_measure(dch, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,rating\na,x,3\na,y,5\nb,x,4\n")
    ran = dch("evaluate", "--train", path, "--test", path, "--seeds", "0", "--json", tmp_path / "out.json")
    assert ran.code == 1
    assert "nothing to measure: no user has a relevant test rating" in ran.err


@pytest.mark.slow
def test_a_public_split_of_item_lists_is_measured_from_the_command_line(dch, tmp_path):
    """The form of Gowalla beside LightGCN, with an item twice in a line and a user in the test file only."""
    liked = {f"u{user}": [f"i{(user + step) % 30}" for step in (0, 2, 4, 6)] for user in range(30)}
    lines = [f"{user} {' '.join(items)}" for user, items in liked.items()]
    lines[0] += " i0"
    (tmp_path / "train.txt").write_text("\n".join(lines) + "\n")
    (tmp_path / "test.txt").write_text("u0 i8 i8 i0 nowhere\nu1 i9\nstranger i3\nu2\n")
    files = ("--train", tmp_path / "train.txt", "--test", tmp_path / "test.txt")
    ran = dch("evaluate", *files, "--seeds", "0", "--json", tmp_path / "out.json")
    assert ran.code == 0, ran.err
    report = json.loads((tmp_path / "out.json").read_text())
    protocol = report["protocol"]
    assert (protocol["ratings"], protocol["test_ratings"]) == (120, 5)
    assert protocol["test_ratings_of_users_not_in_training"] == 1
    assert protocol["test_ratings_of_items_not_in_training"] == 1
    assert protocol["test_ratings_left_out_because_in_training_too"] == 1
    recalls = {
        result["strategy"]: (result["users"], result["mean"])
        for result in report["results"]
        if result["metric"] == "recall@20"
    }
    # popular lists have the 20 of 26 items that a checksum puts first, as all are rated alike
    order = sorted((f"i{item}" for item in range(30)), key=lambda item: crc32(item.encode()))
    found = {user: [item for item in order if item not in liked[user]][:20] for user in ("u0", "u1")}
    of_u0 = len({"i8"} & set(found["u0"])) / 2  # the other one is nowhere
    assert recalls["popular"] == (2, pytest.approx((of_u0 + ("i9" in found["u1"])) / 2))
    assert {users for users, _ in recalls.values()} == {2}
    assert {"codes", "codes-weighted", "codes+rerank"} < set(recalls)
