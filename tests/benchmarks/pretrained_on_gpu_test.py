"""What the study on a GPU does besides training."""

import shlex
import sys
import threading
import time
import types

import pretrained_on_gpu as study
import pytest
from studies import FILES
from studies import Comparison

from keras_irl.cli.parser import parse_arguments


def options(**others):
    given = {"preset": "preset", "seeds": 3, "rehearse": False, "at_once": 2}
    return types.SimpleNamespace(**(given | others))


@pytest.mark.parametrize("rehearse", [False, True])
def test_all_comparisons_are_commands(tmp_path, rehearse):
    found = list(study.comparisons(options(rehearse=rehearse), tmp_path))
    assert len({comparison.name for comparison in found}) == len(study.PLAN)
    for comparison in found:
        parsed = parse_arguments(["compare", *comparison.flags])
        assert parsed.seeds == 3
        assert parsed.steps == (2 if rehearse else 300)
        assert parsed.learning_rate == 1e-4


def scripts(monkeypatch, codes):
    """Comparisons that run a line of Python in place of a training."""

    def start(comparison, folder, environment):
        command = [sys.executable, "-c", codes[comparison.name]]
        return study.subprocess.Popen(command, start_new_session=True)

    monkeypatch.setattr(study, "start", start)
    return [Comparison(name, []) for name in codes]


def test_what_has_not_ended_in_time_is_stopped(monkeypatch, tmp_path, capsys):
    codes = {"fails": "exit(3)", "lasts": "import time; time.sleep(60)"}
    todo = scripts(monkeypatch, codes)
    start = time.monotonic()
    study.run_side_by_side(todo, options(), (tmp_path, None), start + 2)
    assert time.monotonic() - start < 10
    told = capsys.readouterr().out
    assert "fails: ended with 3" in told
    assert "lasts: out of time" in told


def test_no_more_run_at_once_than_may(monkeypatch, tmp_path, capsys):
    code = (
        f"import pathlib, time; p = pathlib.Path({str(tmp_path / 'x')!r})\n"
        "if p.exists(): exit(1)\n"
        "p.touch(); time.sleep(0.3); p.unlink()"
    )
    todo = scripts(monkeypatch, dict.fromkeys("abc", code))
    end = time.monotonic() + 60
    study.run_side_by_side(todo, options(at_once=1), (tmp_path, None), end)
    told = capsys.readouterr().out
    assert [f"{name}: ended with 0" in told for name in "abc"] == [True] * 3


def test_weights_of_finished_runs_are_deleted_and_results_kept(tmp_path):
    place = tmp_path / "runs" / "e2e" / "mle"
    for name in ("runs/mle-0.json", "policies/mle-0.keras"):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    # Its run is not finished.
    (place / "policies/mle-1.keras").write_text("x")
    (place.parent / "mle.log").write_text("said")
    stop = threading.Event()
    arguments = (tmp_path, tmp_path / "output", stop)
    watcher = threading.Thread(target=study.keep_small, args=arguments)
    watcher.start()
    end = time.monotonic() + 30
    while (place / "policies/mle-0.keras").exists() and time.monotonic() < end:
        time.sleep(0.05)
    stop.set()
    watcher.join()
    study.collect(tmp_path, tmp_path / "output")
    assert not (place / "policies/mle-0.keras").exists()
    assert (place / "policies/mle-1.keras").exists()
    kept = sorted(path.name for path in (tmp_path / "output").iterdir())
    assert kept == ["e2e-mle-mle-0.json", "e2e-mle.log"]


@pytest.mark.parametrize("flags", ["", "--weights x", "--writer x"])
def test_a_checkpoint_is_needed(monkeypatch, capsys, flags):
    monkeypatch.setattr(sys, "argv", ["script", *shlex.split(flags)])
    with pytest.raises(SystemExit):
        study.parse()
    assert "--preset is needed" in capsys.readouterr().err


def test_data_are_of_all_tasks():
    # What is carried along is a folder of each, in an order that is drawn.
    tasks = {name.partition("-")[0] for name in study.TASKS}
    assert tasks <= set(FILES)
    assert {task for task, _ in study.PLAN} == set(study.TASKS)
