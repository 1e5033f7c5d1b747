"""Each alert fires where it is meant to, and stays quiet otherwise; rules are named and linked as agreed."""

import re

import pytest
import yaml

from tests.deploy.prometheus_tools import ROOT, RULES, run
from tests.test_readmes import anchors

ALERTS = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"][0]["rules"]
RECORDING = [
    rule
    for group in yaml.safe_load((RULES / "recording.yml").read_text())["groups"]
    for rule in group["rules"]
]

W = 'prefix="shop",job="worker",instance="w1"'
TRAINER = 'prefix="shop",job="trainer",instance="t1"'
NEW = 'cohort="new_user_existing_item"'


def latency(metric, per_minute_below, per_minute_above, bound, labels=W):
    """Series of a histogram with two buckets: so many a minute up to ``bound`` seconds, and above it."""
    total = per_minute_below + per_minute_above
    return {
        f'{metric}_bucket{{{labels},le="{bound}"}}': f"0+{per_minute_below}x120",
        f'{metric}_bucket{{{labels},le="60"}}': f"0+{total}x120",
        f'{metric}_bucket{{{labels},le="+Inf"}}': f"0+{total}x120",
        f"{metric}_count{{{labels}}}": f"0+{total}x120",
    }


def requests(ok, **n_of_others):
    """Series of so many requests a minute by outcome."""
    of_outcome = {
        f'dch_request_duration_seconds_count{{{W},outcome="{outcome}"}}': f"0+{n}x120"
        for outcome, n in {"ok": ok, **n_of_others}.items()
    }
    return of_outcome | {f"dch_requests_expired_total{{{W}}}": "0x120"}


def latencies(n_fast, n_slow, n_fast_forwarded, n_slow_forwarded):
    """Series of so many requests a minute that were answered here, and of those that were sent on."""
    return latency(REQUEST, n_fast, n_slow, 0.25, f'{W},outcome="ok"') | latency(
        REQUEST, n_fast_forwarded, n_slow_forwarded, 0.25, f'{W},outcome="forwarded"'
    )


def hits(n_hits, n_popular, n_trials):
    return {
        f"dch_prequential_hits_total{{{W},{NEW}}}": f"0+{n_hits}x180",
        f"dch_prequential_popular_hits_total{{{W},{NEW}}}": f"0+{n_popular}x180",
        f"dch_prequential_trials_total{{{W},{NEW}}}": f"0+{n_trials}x180",
    }


def lag(seconds, records):
    labels = f'{W},topic="ratings",partition="0"'
    return {
        f"dch_consumer_lag_seconds{{{labels}}}": seconds,
        f"dch_consumer_lag_records{{{labels}}}": records,
    }


def dead_letters(values):
    return {f'dch_dead_letters_total{{{W},topic="items",reason="json"}}': values}


def refits(published, rejected):
    return {
        f'dch_refits_total{{{TRAINER},outcome="published"}}': published,
        f'dch_refits_total{{{TRAINER},outcome="rejected"}}': rejected,
    }


def generations(first, second):
    return {
        f'dch_model_info{{{W[:-3]}{name}",generation="{generation}",generation_hash="{hash_}"}}': "1x60"
        for name, (generation, hash_) in (("w1", first), ("w2", second))
    }


def ready(caught_up, up="1x60"):
    return {
        f'dch_ready{{{W},check="model loaded"}}': "1x60",
        f'dch_ready{{{W},check="caught up"}}': caught_up,
        f"up{{{W}}}": up,
    }


def up_of(*workers):
    return {f'up{{prefix="shop",job="worker",instance="w{at}"}}': values for at, values in enumerate(workers)}


def memory(used):
    return {f"dch_memory_bytes{{{W}}}": used, f"dch_memory_limit_bytes{{{W}}}": "1000x60"}


def broker_errors(values):
    return {f'dch_broker_errors_total{{{W},kind="unreachable"}}': values}


def applied(values):
    return {f'dch_events_total{{{W},topic="ratings",outcome="applied"}}': values}


VISIBLE, REQUEST = "dch_event_to_visible_seconds", "dch_request_duration_seconds"
LONG = 1000

CASES = [
    # alert, minute at which it is evaluated, series with which it fires, series with which it does not
    ("HitRateDropped", 120, hits(5, 10, 50), hits(15, 10, 50)),
    ("HitRateDropped", 120, hits(5, 10, 50), hits(0, 1, 2)),  # too few trials say nothing
    ("FreshnessSlow", 60, latency(VISIBLE, 90, 10, 5), latency(VISIBLE, 100, 0, 5)),
    ("RequestsSlow", 60, latency(REQUEST, 90, 10, 0.25), latency(REQUEST, 100, 0, 0.1)),
    # A request that was sent on counts where it is answered, and there alone.
    ("RequestsSlow", 60, latencies(90, 10, 9000, 0), latencies(100, 0, 0, 50)),
    ("RequestsFailing", 60, requests(90, error=10), requests(100, error=1)),
    ("RequestsFailing", 60, requests(90, refused=10), requests(100, refused=1)),
    ("RequestsFailing", 60, requests(94, error=3, refused=3), requests(97, error=2, refused=2)),
    ("RequestsFailing", 60, requests(90, error=10, forwarded=900), requests(100, error=1, forwarded=900)),
    ("LagGrowing", 60, lag("0x60", "0+100x60"), lag("0x60", "6000-100x60")),
    ("PartitionStuck", 60, lag("0x20 0+60x60", "5x90"), lag("0+1x60", "5x60")),
    ("DeadLettersGrowing", 30, dead_letters("0x20 1x20"), dead_letters("7x40")),
    (
        "ModelOld",
        3000,
        {f"dch_model_trained_timestamp_seconds{{{W}}}": "1x3000"},
        {f"dch_model_trained_timestamp_seconds{{{W}}}": "100000x3000"},
    ),
    ("RefitsRejected", 300, refits("1x300", "0x10 1x90 2x90 3x110"), refits("0+1x300", "0x10 1x290")),
    ("GenerationsDiffer", 30, generations((3, "ab"), (4, "cd")), generations((4, "cd"), (4, "cd"))),
    ("GenerationsDiffer", 30, generations((4, "ab"), (4, "cd")), generations((4, "ab"), (4, "ab"))),
    ("WorkerNotReady", 30, ready("1x10 0x50"), ready("1x60")),
    ("WorkerNotReady", 30, ready("1x10 _x50", up="1x10 0x50"), ready("1x20 0x3 1x40")),
    ("RoleDown", 30, up_of("1x10 0x50"), up_of("1x10 0x50", "1x60")),
    (
        "RoleDown",
        30,
        up_of("1x10 _x50"),
        up_of("1x10 _x50", "1x60"),
    ),  # found by DNS: it is no target any more
    ("BrokerErrors", 60, broker_errors("0+2x60"), broker_errors("0x30 3x30")),
    ("MemoryNearLimit", 30, memory("950x60"), memory("800x60")),
    ("NoRatings", 90, applied("0+10x40 400x60"), applied("0+10x100")),
    ("NoRatings", 90, applied("0+10x40 400x60"), applied("0x100")),  # a service that never had any
]


def rule_test(alert, minute, series, n_firing, interval="1m"):
    return {
        "interval": interval,
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                "eval_time": f"{minute}m",
                "exp_samples": [{"labels": "{}", "value": n_firing}],
            }
        ],
    }


def check(tmp_path, tests, interval="1m"):
    file = tmp_path / "tests.yml"
    files = [str(RULES / "recording.yml"), str(RULES / "alerts.yml")]
    file.write_text(yaml.safe_dump({"rule_files": files, "evaluation_interval": interval, "tests": tests}))
    run("promtool", "test", "rules", file)


def test_rules_and_configuration_load():
    run("promtool", "check", "rules", RULES / "recording.yml", RULES / "alerts.yml")
    run("promtool", "check", "config", RULES / "prometheus.yml")


@pytest.mark.parametrize("at", range(len(CASES)), ids=[case[0] for case in CASES])
def test_an_alert_fires_and_stays_quiet(tmp_path, at):
    alert, minute, firing, quiet = CASES[at]
    interval = "5m" if minute > LONG else "1m"  # two days in steps of a minute take half a minute
    tests = [rule_test(alert, minute, firing, 1, interval), rule_test(alert, minute, quiet, 0, interval)]
    check(tmp_path, tests, interval)


@pytest.mark.prove
def test_the_hit_rate_is_compared_with_its_own_week(tmp_path):
    def week(last_day):
        """A week with 20% hits, then a day; the popular list has 5%. A sample every five minutes."""
        n_hits = f"0+20x2016 {20 * 2016}+{last_day}x288"
        return dict(zip(hits(0, 0, 0), (n_hits, "0+5x2304", "0+100x2304"), strict=True))

    tests = [rule_test("HitRateDropped", 5 * 2280, week(n), fires, "5m") for n, fires in ((10, 1), (19, 0))]
    check(tmp_path, tests, "5m")


def test_every_alert_has_a_case():
    assert {alert["alert"] for alert in ALERTS} == {case[0] for case in CASES}


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_an_alert_says_what_is_wrong_and_links_to_its_heading(alert):
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert anchor == alert["alert"].lower()
    assert anchor in anchors(ROOT / page)
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert alert["annotations"]["summary"].endswith(".")
    assert "for" in alert


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_a_heading_says_what_it_means_where_to_look_and_what_to_do(alert):
    page = (ROOT / "deploy" / "README.md").read_text()
    section = page.partition(f"### {alert['alert']}\n")[2].partition("\n### ")[0]
    assert all(f"**{word}**" in section for word in ("Means", "Look", "Do")), section


@pytest.mark.parametrize("rule", RECORDING, ids=lambda rule: rule["record"])
def test_a_recording_rule_is_named_level_metric_operations(rule):
    assert re.fullmatch(r"[a-z_]+:dch_[a-z_]+:[a-z0-9_]+", rule["record"])
