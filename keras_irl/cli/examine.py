"""`keras-irl doctor`: a diagnosis of policy and data, without training."""

from keras_irl.cli.window import Window
from keras_irl.cli.window import first_rows
from keras_irl.data import demonstrations
from keras_irl.data import load_task
from keras_irl.diagnosis import doctor


def examine(options):
    """Runs `keras-irl doctor`.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        A `keras_irl.diagnosis.Diagnosis`.

    Raises:
        ValueError: If a task, path or preset is wrong, or a row can't be
            imitated.
    """
    task = load_task(options.task, "train", options.path)
    pairs = first_rows(task.pairs, options.num_train)
    policy = Window(options, pairs).load_policy(seed=0)
    dataset = demonstrations(
        policy, *pairs, options.batch_size, on_invalid=options.on_invalid
    )
    return doctor(policy, dataset)
