from keras_irl.cli.parser import parse_arguments


def test_the_flags_are_those_of_compare():
    train = vars(parse_arguments(["train", "--task=jsonl"]))
    compare = vars(parse_arguments(["compare", "--task=jsonl"]))
    assert train.keys() ^ compare.keys() == {"objective", "objectives", "judge"}
    differ = {
        n for n in train.keys() & compare.keys() if train[n] != compare[n]
    }
    assert differ == {"job", "output", "arguments"}
    # A file of one's own needs no name of a task.
    assert parse_arguments(["train"]).task == "jsonl"
