"""How far a work is, on terminals and where it was asked for."""

import time

from keras_irl.runtime import progress as progress_module
from keras_irl.runtime.progress import progress_bar
from keras_irl.runtime.progress import progress_shown


def go_through(number=3):
    seen = []
    for item in progress_bar(range(number), "Scoring", unit="text"):
        seen.append(item)
        time.sleep(0.01)
    return seen


def test_a_file_gets_none_unasked(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "_DELAY", 0.0)
    assert go_through() == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_what_was_asked_for_tells_the_time_left(capsys, monkeypatch):
    monkeypatch.setattr(progress_module, "_DELAY", 0.0)
    monkeypatch.setattr(progress_module, "_INTERVAL", 0.0)
    with progress_shown():
        assert go_through() == [0, 1, 2]
    shown = capsys.readouterr().err
    assert "Scoring:  67%|" in shown and "| 2/3 [00:00<00:00, " in shown
    go_through()
    assert capsys.readouterr().err == ""


def test_what_takes_no_time_needs_no_line(capsys):
    with progress_shown():
        go_through()
    assert capsys.readouterr().err == ""
