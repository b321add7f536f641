"""The flags of `keras-irl rewards`, read without importing Keras."""


def add_rewards(commands):
    """Adds the command to those there are.

    Args:
        commands: What `add_subparsers` of `argparse` returned.
    """
    parser = commands.add_parser(
        "rewards",
        help="read the rewards of texts in a trained policy",
        description=(
            "Reads the reward of every token of some texts in a trained "
            "policy. Writes rewards.json, a heat map as heat_map.html and "
            "heat_map.png, and, where the texts have a metric, report.md: the "
            "correlation of reward and metric, and what it buys to keep the "
            "sample of highest reward."
        ),
    )
    parser.set_defaults(job="rewards")
    _add_texts(parser.add_argument_group("the texts"))
    _add_policies(parser.add_argument_group("the policies"))
    _add_numbers(parser.add_argument_group("the rewards"))
    _add_reading(parser.add_argument_group("the reading"))
    _add_output(parser.add_argument_group("the output"))


def _add_texts(group):
    add = group.add_argument
    add(
        "--path",
        required=True,
        metavar="FILE",
        help=(
            'a line for each text: {"prompt": ..., "response": ...}; samples '
            'of one prompt repeat it, and "finished": false marks a text that '
            "was cut"
        ),
    )
    add(
        "--metric",
        action="append",
        default=[],
        metavar="COLUMN",
        help=(
            "a column of that file with a number, higher for better texts; "
            "may be given several times"
        ),
    )


def _add_policies(group):
    add = group.add_argument
    add(
        "--policy",
        required=True,
        metavar="PATH",
        help=(
            "a .keras file of a trainer or of a policy, or the folder of a "
            "keras-hub preset"
        ),
    )
    add(
        "--control",
        metavar="PATH",
        help=(
            "another, as a rule trained by likelihood: its log-likelihoods "
            "stand beside the rewards"
        ),
    )


def _add_numbers(group):
    add = group.add_argument
    add(
        "--discount",
        type=float,
        metavar="NUMBER",
        help="discount of the rewards (default: the trainer's, or 0.99)",
    )
    add(
        "--value-offset",
        type=float,
        metavar="NATS",
        help="what is added to all values (default: the trainer's, or 0)",
    )


def _add_reading(group):
    add = group.add_argument
    add(
        "--max-prompt-length",
        type=int,
        metavar="N",
        help="longest prompt of an encoder in tokens (default: the policy's)",
    )
    add(
        "--max-length",
        type=int,
        metavar="N",
        help=(
            "longest response in tokens, of a decoder prompt and response "
            "(default: the policy's)"
        ),
    )
    add(
        "--batch-size",
        type=int,
        default=32,
        metavar="N",
        help="texts read at once (default: 32)",
    )
    add(
        "--backend",
        metavar="NAME",
        help="backend of Keras (default: KERAS_BACKEND, or Keras's own)",
    )


def _add_output(group):
    add = group.add_argument
    add(
        "--output",
        default="runs/rewards",
        metavar="FOLDER",
        help="where the files go (default: runs/rewards)",
    )
    add(
        "--max-texts",
        type=int,
        default=50,
        metavar="N",
        help="texts on the heat map's page (default: 50)",
    )
    add(
        "--num-resamples",
        type=int,
        default=1000,
        metavar="N",
        help="resamples of the bootstrap intervals (default: 1000)",
    )
    add(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="seed of the bootstrap (default: 0)",
    )
