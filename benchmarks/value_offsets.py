"""The study of value offsets: which one needs no tuning?

    python benchmarks/value_offsets.py e2e-small --data ../shared/data
    python benchmarks/value_offsets.py e2e-pretrained --preset FOLDER

Likelihood and IQLearn with every offset, on validation data only. Results and
`table.md` go to `--output`; stopped, the same command goes on.
"""

import argparse
import itertools
import pathlib

from studies import Comparison
from studies import run_study
from studies import validation_folder
from studies import write_table

COMMON = (
    "--objectives mle,iqlearn --final-learning-rate 0.1 --num-validation 0 "
    "--keep last --num-samples 4 --temperatures 0,0.5,1"
).split()
PRETRAINED = (
    "--backend torch --lora-rank 8 --dtype mixed_bfloat16 --batch-size 8 "
    "--learning-rate 1e-3 --learning-rate-warm-up 20"
).split()
# Of each set: the folder of its data, the task and its flags.
SETS = {
    "e2e-small": (
        *("e2e", "e2e-delexicalized"),
        "--preset t5-scratch-tiny --num-train 600 --steps 400 "
        "--learning-rate 3e-3 --max-length 64 --evaluate-every 50 "
        "--num-test 150",
    ),
    "e2e": (
        *("e2e", "e2e-delexicalized"),
        "--preset t5-scratch-tiny --steps 500 --learning-rate 3e-3 "
        "--max-length 64 --evaluate-every 125 --num-test 150",
    ),
    "sums": (
        *(None, "arithmetic"),
        "--preset t5-scratch-mini --steps 1500 --num-test 100",
    ),
    "sums-small": (
        *(None, "arithmetic"),
        "--preset t5-scratch-tiny --num-train 300 --steps 600 "
        "--learning-rate 3e-3 --evaluate-every 100 --num-test 100 "
        "--temperatures 0,0.5,0.75,1",
    ),
    "e2e-pretrained": (
        *("e2e", "e2e"),
        "--num-train 600 --steps 150 --evaluate-every 50 --num-test 60",
    ),
    "scitldr": (
        *("scitldr", "scitldr"),
        "--num-train 600 --steps 150 --evaluate-every 50 --num-test 60",
    ),
}
NEEDS_A_PRESET = ("e2e-pretrained", "scitldr")


def main():
    options = parse()
    folder = pathlib.Path(options.output) / options.set
    comparisons = list(comparisons_of(options, folder))
    run_study(comparisons, folder, options.seeds)
    print(write_table(comparisons, folder))


def parse():
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add("set", choices=SETS)
    add("--data", default="../shared/data", help="folder of the data sets")
    add("--preset", help="folder of a pretrained policy")
    add("--output", default="runs/value_offsets")
    add("--seeds", type=int, default=3)
    add("--value-offset", default="0,-10,-20,auto,running,running_last")
    add("--td-weight", default="0.05,0.1,0.3,0.5")
    add("--discounts", default="0.99,1")
    add("--decays", default="0.95", help="of the offsets that are kept up")
    add("--flags", default="", help="further flags of `keras-irl compare`")
    options = parser.parse_args()
    if options.set in NEEDS_A_PRESET and not options.preset:
        parser.error(f"{options.set} needs a --preset")
    return options


def comparisons_of(options, folder):
    """One comparison for each discount and decay."""
    data, task, flags = SETS[options.set]
    flags = ["--task", task, *COMMON, *flags.split()]
    if data is not None:
        path = validation_folder(
            task, pathlib.Path(options.data) / data, folder / "validation"
        )
        flags += ["--path", str(path)]
    if options.set in NEEDS_A_PRESET:
        flags += ["--preset", options.preset, *PRETRAINED]
    flags += ["--td-weight", options.td_weight]
    flags += [f"--value-offset={options.value_offset}", *options.flags.split()]
    for discount, decay in itertools.product(
        options.discounts.split(","), options.decays.split(",")
    ):
        yield Comparison(
            f"discount-{discount}-decay-{decay}",
            [*flags, "--discount", discount, "--value-offset-decay", decay],
        )


if __name__ == "__main__":
    main()
