"""When a fit is due."""

from streams.trainer.schedule import FIRST_RATINGS, PATIENCE_S, QUIET_S, Schedule


def schedule(**changes):
    clock = [0.0]
    return Schedule(**({"every_ratings": 100, "every_s": 60.0} | changes), now=lambda: clock[0]), clock


def test_a_refit_is_due_after_enough_new_ratings():
    found, _ = schedule(every_s=0.0)
    assert not found.is_due(n_new=99, has_model=True)
    assert found.is_due(n_new=100, has_model=True)


def test_a_refit_is_due_after_enough_time_if_a_rating_is_new():
    found, clock = schedule(every_ratings=0)
    clock[0] = 60.0
    assert not found.is_due(n_new=0, has_model=True)
    assert found.is_due(n_new=1, has_model=True)
    found.started()
    assert not found.is_due(n_new=1, has_model=True)
    clock[0] = 120.0
    assert found.is_due(n_new=1, has_model=True)


def test_the_first_fit_waits_for_a_quiet_period():
    found, clock = schedule(every_ratings=0, every_s=0.0)
    assert not found.is_due(n_new=FIRST_RATINGS - 1, has_model=False)
    clock[0] = QUIET_S
    assert not found.is_due(n_new=FIRST_RATINGS, has_model=False)
    clock[0] = 2 * QUIET_S
    assert found.is_due(n_new=FIRST_RATINGS, has_model=False)
    assert not found.is_due(n_new=FIRST_RATINGS, has_model=True)


def test_the_first_fit_waits_for_a_limited_time_only():
    found, clock = schedule(every_ratings=0, every_s=0.0)
    for second in range(int(PATIENCE_S)):
        clock[0] = second
        assert not found.is_due(n_new=FIRST_RATINGS + second, has_model=False)
    clock[0] = PATIENCE_S
    assert found.is_due(n_new=FIRST_RATINGS + int(PATIENCE_S), has_model=False)


def test_no_refit_is_due_with_both_rules_off():
    found, clock = schedule(every_ratings=0, every_s=0.0)
    clock[0] = 1e9
    assert not found.is_due(n_new=10**9, has_model=True)
