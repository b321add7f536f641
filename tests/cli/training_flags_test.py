import pytest

from keras_irl.__main__ import main


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        ("--dtype bfloat16", "`--dtype mixed_bfloat16`"),
        ("--dtype bfloat16 --optimizer adamw", "never moves a weight"),
        ("--weight-decay 0.1", "`--optimizer adamw`"),
        ("--steps 10 --accumulation-steps 4", "steps=10, accumulation_step"),
        ("--gail-steps 6 --accumulation-steps 4", "gail_steps=6, accumula"),
    ],
)
def test_flags_that_make_no_sense_together_are_refused(
    flags, told, capsys, tmp_path
):
    output = ("--output", str(tmp_path / "output"))
    command = ["compare", "--task", "arithmetic", *flags.split(), *output]
    assert main(command) == 2
    error = capsys.readouterr().err
    assert told in error and "Received: " in error
    assert not (tmp_path / "output").exists()
