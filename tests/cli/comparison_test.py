import pytest
from testing import write_json_lines

from keras_irl.cli import comparison
from keras_irl.cli.comparison import Comparison
from keras_irl.cli.comparison import compare
from keras_irl.cli.parser import parse_arguments


def refuse(*args, **kwargs):
    raise AssertionError("Something heavy has begun.")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("def size(responses, references):\n    return None", "nor one for"),
        ("def size(responses):\n    return 1.0", "failed: TypeError"),
        ("", "There is no 'size'"),
    ],
)
def test_a_metric_that_judges_nothing_is_refused_before_the_policy_is_made(
    tmp_path, monkeypatch, code, message
):
    rows = [{"prompt": text, "response": text} for text in "abc"]
    write_json_lines(tmp_path, *rows, name="my.jsonl")
    (tmp_path / "mine.py").write_text(code)
    monkeypatch.setattr(comparison, "SequenceLengths", refuse)
    options = parse_arguments(
        [
            *("compare", "--task=jsonl", f"--path={tmp_path / 'my.jsonl'}"),
            *("--metrics", f"bleu,{tmp_path / 'mine.py'}:size"),
            f"--output={tmp_path / 'out'}",
        ]
    )
    with pytest.raises(ValueError, match=f"{message}.*Received: metrics="):
        compare(options)
    assert not (tmp_path / "out").exists()


def test_a_run_that_was_not_judged_is_not_whole():
    unjudged = {
        **{"seed": 0, "rows": [], "samples": [], "best_step": 1},
        **{"negative_log_likelihood": 1.0, "kept_step": 1},
        "best_negative_log_likelihood": 1.0,
        "history": {"step": [1], "negative_log_likelihood": [1.0]},
    }
    whole = object.__new__(Comparison)
    with pytest.raises(ValueError, match=r"at least one row.*rows=\[\]"):
        whole.check_whole(unjudged)
    failed = {
        **dict.fromkeys(("problem", "policy"), ""),
        **dict.fromkeys(("step", "kept_step", "learning_rate"), 1),
        "settings": {},
    }
    whole.check_whole({"seed": 0, "rows": [], "samples": [], "failed": failed})
