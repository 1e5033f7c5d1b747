import torch

from dch.training.fit_progress import showing, torch_threads


def test_a_function_is_called_as_it_is():
    told = []
    with showing(lambda *step: told.append(step)) as report:
        report(1, 2, 0.5)
    assert told == [(1, 2, 0.5)]


def test_no_progress_shows_nothing(capsys):
    for nothing in (None, False):
        with showing(nothing) as report:
            report(1, 2, 0.5)
    assert capsys.readouterr().out == ""


def test_a_bar_shows_steps_and_loss(capsys):
    with showing(True) as report:
        report(1, 2, 0.5)
        report(2, 2, 0.5)
    shown = capsys.readouterr().out
    assert "2/2" in shown
    assert "loss 0.500" in shown


def test_threads_are_as_before_after_a_fit():
    before = torch.get_num_threads()
    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
    assert torch.get_num_threads() == before
