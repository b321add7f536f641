"""A training of one policy: a comparison of one objective, judged or not."""

import argparse
from typing import Any

import keras

from keras_irl.cli import provenance
from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.comparison import Comparison
from keras_irl.cli.config import config_text
from keras_irl.cli.config import plain_options
from keras_irl.cli.objectives import find_objectives
from keras_irl.cli.output_folder import check_output
from keras_irl.cli.run_folder import check_comparison_run
from keras_irl.evaluation.results import check_run
from keras_irl.reporting.tables import Table
from keras_irl.reporting.tables import markdown_table

# How a policy is judged, which makes no other policy.
_JUDGING = (
    *("temperatures", "decoders", "num_samples", "tokenize"),
    "metrics",
)


def train_one(options: argparse.Namespace) -> Any:
    """Runs `keras-irl train`.

    The policies are kept as `compare` keeps them, and an interrupted training
    goes on likewise.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, as `keras_irl.reporting.write_report` takes them, where
        the policy was judged, or a dictionary of lists of runs.

    Raises:
        ValueError: If a task, path, preset or objective is wrong, or the
            output folder holds another training; and, when all is written, if
            the policy diverged.
    """
    config = config_text(options, keras.config.backend())
    options.objectives = [options.objective]
    objectives = find_objectives(options)
    check_output("compare", options.output)
    training = SingleTraining(options, objectives)
    runs = training.all_runs(config)
    print(training.table(runs))
    if options.judge:
        return training.report(runs, config)
    training.tell_divergence(runs)
    return runs


class SingleTraining(Comparison):
    """A training of one policy, which is judged where that is asked for.

    See `Comparison`.
    """

    def _told_apart_by(self):
        told = super()._told_apart_by()
        left_out = ("judge", "metric_sources", *_JUDGING)
        return {name: told[name] for name in told if name not in left_out}

    def check_whole(self, run: Any) -> None:
        """See `Comparison`: a run that was not judged is whole too."""
        check_comparison_run(run)
        if run["rows"]:
            check_run(run)

    def run(self, name: str, objective: Any, seed: int) -> Any:
        """Trains a policy, or finds that this was done, and judges it.

        A policy that was trained before, and not judged so, is read from its
        file. See `Comparison`.
        """
        run = super().run(name, objective, seed)
        is_judged = run.get("judged_by") == self._judging()
        if "failed" in run or is_judged or not self.options.judge:
            return run
        policy = self.folder.saved_policy(name, seed)
        run |= self._judged(name, policy, seed) | provenance.made_now()
        self.folder.finish_run(name, seed, run)
        return run

    def table(self, runs: dict[str, Any]) -> str:
        """Tells what was trained, in Markdown.

        Args:
            runs: Dictionary from names to lists of runs.

        Returns:
            String.
        """
        loss = "validation loss" if self.num_validation else "test loss"
        header = ["policy", "seed", "weights of step", f"least {loss}"]
        header += ["test loss", "token accuracy", "token entropy"]
        lines = [
            [
                name,
                str(run["seed"]),
                str(run["kept_step"]),
                *(
                    f"{run[key]:.4f}"
                    for key in (
                        *("best_negative_log_likelihood",),
                        *("negative_log_likelihood", "token_accuracy"),
                        "token_entropy",
                    )
                ),
            ]
            for name, of_one in runs.items()
            for run in of_one
            if "failed" not in run
        ]
        paths = "".join(
            f"\n  {self.folder.policy_path(name, run['seed'])}"
            for name, of_one in runs.items()
            for run in of_one
        )
        table = f"{markdown_table(Table(header, lines))}\n" if lines else ""
        return f"{table}Saved:{paths}"

    def _judged(self, name, policy, seed):
        if not self.options.judge:
            return {"rows": [], "samples": []}
        return super()._judged(name, policy, seed) | {
            "judged_by": self._judging()
        }

    def _judging(self):
        """Settings of the judging, as a file keeps them."""
        found = plain_options(self.options, _JUDGING)
        decoders = self.options.decoders or []
        found |= metric_sources(self.options.metrics)
        return found | {"decoders": [spec.text for spec in decoders]}
