import argparse

from keras_irl.cli import flags


def test_help_shows_the_defaults_that_are_values():
    parser = argparse.ArgumentParser()
    job = flags.add_command(
        parser.add_subparsers(), "job", "does it", "Does it."
    )
    flags.add_machine(job)
    flags.add_output(job, "runs/job", "results", "an older folder")
    job.add_argument("--zero", default=0, help="nothing")
    shown = " ".join(job.format_help().split())
    assert "texts (default: 32)" in shown
    assert "where results go (default: runs/job)" in shown
    assert "nothing (default: 0)" in shown
    # Neither None nor False is told of.
    assert "Keras's own)" in shown and "(default: None)" not in shown
    assert "replace an older folder" in shown and "False" not in shown
    options = parser.parse_args(["job", "--batch-size", "8", "--overwrite"])
    assert (options.job, options.batch_size) == ("job", 8)
    assert options.overwrite and options.backend is None


def test_a_task_of_an_old_name_is_the_new_one():
    parser = argparse.ArgumentParser()
    flags.add_data(parser)
    for name in ("e2e-delexicalised", "e2e-delexicalized"):
        assert parser.parse_args(["--task", name]).task == "e2e-delexicalized"
