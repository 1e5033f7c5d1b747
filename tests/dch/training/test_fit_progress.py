from dch.training.fit_progress import report_progress


def test_a_function_is_called_after_each_step():
    calls = []
    with report_progress(lambda *step: calls.append(step)) as report:
        report(1, 2, 0.5)
    assert calls == [(1, 2, 0.5)]


def test_no_progress_shows_nothing(capsys):
    for progress in (None, False):
        with report_progress(progress) as report:
            report(1, 2, 0.5)
    assert capsys.readouterr().out == ""


def test_a_bar_shows_steps_and_loss(capsys):
    with report_progress(True) as report:
        report(1, 2, 0.5)
        report(2, 2, 0.5)
    shown = capsys.readouterr().out
    assert "2/2" in shown
    assert "loss 0.500" in shown
