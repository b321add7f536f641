"""A comparison: one policy per objective, trained, evaluated and reported."""

import argparse
from typing import Any

import keras

from keras_irl.cli import provenance
from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import config_text
from keras_irl.cli.config import plain_options
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.fine_tuning import savable
from keras_irl.cli.fine_tuning import start_from
from keras_irl.cli.objectives import check_objectives
from keras_irl.cli.objectives import find_objectives
from keras_irl.cli.optimizer import optimizer_in_words
from keras_irl.cli.output_folder import check_output
from keras_irl.cli.output_folder import write_output
from keras_irl.cli.reward_picture import reward_pictures
from keras_irl.cli.run_folder import RunFolder
from keras_irl.cli.run_folder import check_comparison_run
from keras_irl.cli.run_folder import first_stage
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.cli.splits import FEWEST_PROMPTS
from keras_irl.cli.splits import first_pairs
from keras_irl.cli.splits import hold_out
from keras_irl.cli.splits import spread_pairs
from keras_irl.cli.splits import warn_of_shared_pairs
from keras_irl.cli.training import DivergedError
from keras_irl.cli.training import evaluation_interval
from keras_irl.cli.training import summarize
from keras_irl.cli.training import train
from keras_irl.data import demonstrations
from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation import pick_samples
from keras_irl.evaluation import sweep
from keras_irl.evaluation.judging import check_task
from keras_irl.evaluation.results import check_run
from keras_irl.generation import encode_prompts
from keras_irl.generation.drawing import NotFiniteError
from keras_irl.reporting import format_table
from keras_irl.reporting.report import report_files
from keras_irl.tasks import load_task
from keras_irl.trainers import MLE

# What the results are told apart by, and not how they are stored or shown.
_NOT_SETTINGS = (
    *("job", "output", "overwrite", "seeds", "objectives", "arguments"),
    "heat_map",
    # Devices compute the same, however many, and from wherever compiled.
    *("mesh", "strategy", "compilation_cache"),
)


def compare(options: argparse.Namespace) -> Any:
    """Runs `keras-irl compare`.

    Every policy starts from the same weights and sees the same batches.
    Finished runs, and the state of an unfinished one, are kept in the output
    folder: the same command continues where it was stopped. A policy that
    diverges does not keep the others from being judged.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, as `keras_irl.reporting.write_report` takes them.

    Raises:
        ValueError: If a task, path, preset or objective is wrong, or the
            output folder holds another comparison; and, when all is written,
            if a policy diverged.
    """
    objectives = find_objectives(options)
    check_output("compare", options.output)
    comparison = Comparison(options, objectives)
    config = config_text(options, keras.config.backend())
    return comparison.report(comparison.all_runs(config), config)


class Comparison:
    """Data and settings that all runs of a comparison share.

    Args:
        options: What `parse_arguments` returns.
        objectives: What `find_objectives` returns.

    Raises:
        ValueError: If the texts do not fit, an objective can't train the
            policy, or the output folder holds another comparison.
    """

    def __init__(self, options: argparse.Namespace, objectives: Any) -> None:
        self.options = options
        self.objectives = objectives
        self.decoders = make_decoders(
            options.decoders or [], options.temperatures
        )
        train_task = load_task(options.task, "train", options.path)
        test_task = _test_task(options)
        splits = hold_out(train_task.pairs, options.num_validation)
        self.num_validation = splits.num_held_out
        self.train_pairs = first_pairs(splits.training, options.num_train)
        self.keeps_best = self._keeps_best()
        self.test_task = test_task.first(options.num_test)
        check_task(self.test_task)
        self.test_pairs = spread_pairs(test_task.pairs, 4 * options.num_test)
        warn_of_shared_pairs(self.train_pairs, self.test_pairs)
        # What is looked at on the way; the tests, where there is nothing else.
        self.held_out = self.test_pairs
        if self.num_validation:
            self.held_out = spread_pairs(splits.held_out, 4 * options.num_test)
        self.digest = provenance.digest_of_texts(
            *self.train_pairs,
            *self.held_out,
            *self.test_pairs,
            self.test_task.prompts,
            self.test_task.references,
        )
        self.lengths = SequenceLengths(
            options,
            self.train_pairs,
            self.held_out,
            self.test_pairs,
            (self.test_task.prompts, self.test_task.responses),
        )
        self._check_policy()
        # Last: it may delete what is there, and what is wrong is known by now.
        self.folder = RunFolder(
            options.output, self._told_apart_by(), options.overwrite
        )

    def all_runs(self, config: str) -> dict[str, Any]:
        """Trains and judges all policies that were not before.

        Args:
            config: The flags of the command, which are kept beside them.

        Returns:
            A dictionary from the names of objectives to lists of runs.

        Raises:
            ValueError: If a kept file is damaged, or in the way.
        """
        self.check_kept()
        self.folder.keep_config(config)
        return {
            name: [
                self.run(name, objective, seed)
                for seed in range(self.options.seeds)
            ]
            for name, objective in self.objectives.items()
        }

    def report(self, runs: dict[str, Any], config: str) -> Any:
        """Writes the report of all policies that did not diverge.

        Args:
            runs: What `all_runs` returned.
            config: The flags of the command.

        Returns:
            The results, or `None` where all diverged.

        Raises:
            ValueError: When all is written, if a policy diverged.
        """
        judged = {
            name: [run for run in of_one if "failed" not in run]
            for name, of_one in runs.items()
        }
        judged = {name: of_one for name, of_one in judged.items() if of_one}
        results = None
        if judged:
            results = self.results(judged)
            files = report_files(
                results,
                settings=self.settings(judged),
                notes=self.notes(runs),
                pictures=reward_pictures(self, judged),
            )
            files[CONFIG] = config
            # Written first: a terminal may be gone, or know no such characters.
            shown = format_table(results)
            write_output("compare", files, self.options.output, shown)
        self.tell_divergence(runs)
        return results

    def _keeps_best(self):
        keep = self.options.keep
        if keep == "best" and not self.num_validation:
            raise ValueError(
                "Which weights are best is found on training prompts that are "
                f"held out, and there are none: of fewer than {FEWEST_PROMPTS} "
                "different ones, none is held out unasked. Pass "
                "`--num-validation` to hold some out, or `--keep last`. "
                f"Received: keep='best', num_validation="
                f"{self.options.num_validation}"
            )
        return self.num_validation > 0 and keep != "last"

    def _told_apart_by(self):
        names = vars(self.options).keys() - set(_NOT_SETTINGS)
        told = plain_options(self.options, sorted(names))
        told |= metric_sources(self.options.metrics)
        backend = keras.config.backend()
        return told | {"backend": backend, "texts": self.digest}

    def _check_policy(self):
        """Refuses what would otherwise stop the work when it has begun."""
        policy = self.lengths.load_policy(0)
        prompts = list(self.test_task.prompts)
        encode_prompts(policy, prompts, self.lengths.max_length)
        check_objectives(self.objectives, policy)
        self.dtype = policy.backbone.dtype_policy.name

    def check_kept(self) -> None:
        """Finds out before hours of training what is damaged or in the way.

        Raises:
            ValueError: If a file in the output folder is.
        """
        for name in self.objectives:
            for seed in range(self.options.seeds):
                self.folder.finished_run(name, seed, self.check_whole)
                self.folder.check_policy(name, seed)
                self.folder.check_checkpoints(name, seed)

    def run(self, name: str, objective: Any, seed: int) -> Any:
        """Trains and judges one policy, or finds that this was done.

        Args:
            name: Name of the objective.
            objective: An `Objective`.
            seed: Seed of the initial weights and of the batches.

        Returns:
            A run, see `keras_irl/evaluation/results.py`; one that diverged
            has an entry `failed` and no rows.
        """
        run = self.folder.finished_run(name, seed, self.check_whole)
        if run is not None:
            ended = "diverged" if "failed" in run else "finished"
            print(f"{name}, seed {seed}: {ended} before.")
            return run
        keras.utils.set_random_seed(seed)
        policy = self.lengths.load_policy(seed)
        trainer = None
        try:
            if objective.is_second_stage:
                self._train_first(policy, name, seed)
            trainer = objective.make_trainer(policy, seed)
            run = self._trained(name, objective, trainer, seed)
            self.folder.save_policy(name, seed, savable(trainer))
            run |= self._judged(name, policy, seed)
        except (DivergedError, NotFiniteError) as error:
            if trainer is None:
                trainer = MLE(policy)
                trainer.compile()
            self.folder.save_policy(name, seed, savable(trainer))
            run = self._failed(name, objective, seed, run, error)
            print(f"{name}: {provenance.divergence_note(run)}")
        run |= provenance.made_now()
        self.folder.finish_run(name, seed, run)
        return run

    def _trained(self, name, objective, trainer, seed):
        progress = self._train(
            trainer,
            objective.options,
            self.folder.checkpoint(name, seed),
            self.keeps_best and not objective.keeps_last,
        )
        test = self._demonstrations(trainer.policy, self.test_pairs, None)
        return {"seed": seed, **summarize(trainer, test, progress)}

    def _judged(self, name, policy, seed):
        rows = sweep(
            {name: policy},
            self.test_task,
            self.decoders,
            self.options.num_samples,
            batch_size=max(self.options.batch_size, 64),
            seed=seed,
        )
        return {"rows": rows, "samples": pick_samples(rows, self.test_task)}

    def _failed(self, name, objective, seed, run, error):
        if isinstance(error, NotFiniteError):
            problem = "its logits on the test prompts are not finite"
            error = DivergedError(problem, run["kept_step"], run["kept_step"])
        failed = {
            "problem": error.problem,
            "step": error.step,
            "kept_step": error.kept_step,
            "policy": str(self.folder.policy_path(name, seed)),
            "learning_rate": objective.options.learning_rate,
            "settings": objective.settings,
        }
        return {"seed": seed, "rows": [], "samples": [], "failed": failed}

    def _train(self, trainer, options, checkpoint, keeps_best):
        policy, seed = trainer.policy, checkpoint.seed
        return train(
            trainer,
            self._demonstrations(policy, self.train_pairs, seed),
            self._demonstrations(policy, self.held_out, None),
            options,
            checkpoint=checkpoint,
            keeps_best=keeps_best,
        )

    def _train_first(self, policy, name, seed):
        """Trains a policy by likelihood, or takes what was trained so."""
        if self.folder.checkpoint(name, seed).exists():
            return  # It knows the weights of the second stage.
        run = self.folder.finished_run("mle", seed)
        if run is not None and "failed" in run:
            failed = run["failed"]
            problem = f"in mle, which it goes on from, {failed['problem']}"
            raise DivergedError(problem, failed["step"], 0)
        trained = self.folder.saved_policy("mle", seed)
        if trained is not None:
            start_from(policy, trained)
            return
        checkpoint = self.folder.checkpoint(first_stage(name), seed)
        try:
            self._train(MLE(policy), self.options, checkpoint, self.keeps_best)
        except DivergedError as error:
            problem = f"in mle, which it goes on from, {error.problem}"
            raise DivergedError(problem, error.step, error.kept_step) from error

    def results(self, objectives: dict[str, Any]) -> dict[str, Any]:
        """Puts runs together.

        Args:
            objectives: Dictionary from names to lists of runs.

        Returns:
            Results, see `keras_irl/evaluation/results.py`.
        """
        options, lengths = self.options, self.lengths
        return {
            "task": options.task,
            "data": provenance.data_name(options),
            "metric": next(iter(self.test_task.metrics)),
            "curve": "validation" if self.num_validation else "test",
            "policy": options.preset,
            "backend": keras.config.backend(),
            "steps": options.steps,
            "batch_size": options.batch_size,
            "learning_rate": options.learning_rate,
            "seeds": options.seeds,
            "tokenize": options.tokenize,
            "train_pairs": len(self.train_pairs[0]),
            "validation_prompts": self.num_validation,
            "validation_pairs": (
                len(self.held_out[0]) if self.num_validation else 0
            ),
            "test_prompts": len(self.test_task.prompts),
            "test_pairs": len(self.test_pairs[0]),
            "max_prompt_length": lengths.max_prompt_length,
            "max_length": lengths.max_length,
            "objectives": objectives,
            "fronts": self._fronts(objectives),
        }

    def settings(self, objectives: dict[str, Any]) -> dict[str, Any]:
        """Lists what another comparison needs to come out alike.

        Args:
            objectives: Dictionary from names to lists of runs.

        Returns:
            A dictionary from names to texts.
        """
        options = self.options
        found = {
            "evaluate_every": evaluation_interval(options),
            "gail_steps": options.gail_steps or options.steps,
            "num_train": len(self.train_pairs[0]),
            "num_validation": self.num_validation,
            "keep": "best" if self.keeps_best else "last",
            "held out": provenance.held_out_note(
                self.num_validation, options.num_validation
            ),
            "max_prompt_length": self.lengths.max_prompt_length or "none",
            "max_length": self.lengths.max_length,
            "data digest": self.digest,
            "dtype": self.dtype,
            "optimizer": optimizer_in_words(options),
            "schedule": (
                "linear warm-up from 0, then a cosine to final_learning_rate; "
                "gail's stays where the warm-up ends"
            ),
        }
        runs = [run for of_one in objectives.values() for run in of_one]
        return provenance.settings(self.options, found, runs)

    def notes(self, objectives: dict[str, Any]) -> dict[str, Any]:
        """Tells what to know of each policy.

        Args:
            objectives: Dictionary from names to lists of runs, those that
                diverged among them.

        Returns:
            A dictionary from names to lists of sentences.
        """
        return {
            name: [
                provenance.divergence_note(run)
                if "failed" in run
                else provenance.training_note(
                    run, self.objectives[name], self.num_validation > 0
                )
                for run in runs
            ]
            for name, runs in objectives.items()
        }

    def tell_divergence(self, all_runs: dict[str, Any]) -> None:
        """Ends the command with an error if a policy diverged.

        Args:
            all_runs: Dictionary from names to lists of runs.

        Raises:
            ValueError: If there is one.
        """
        runs = [
            (name, run)
            for name, of_one in all_runs.items()
            for run in of_one
            if "failed" in run
        ]
        if not runs:
            return
        told = [
            f"{name}: {provenance.divergence_note(run)}" for name, run in runs
        ]
        paths = [self.folder.run_path(name, run["seed"]) for name, run in runs]
        received = [
            f"objective={name!r}, seed={run['seed']}, "
            f"step={run['failed']['step']}"
            + "".join(
                f", {k}={v}" for k, v in run["failed"]["settings"].items()
            )
            for name, run in runs
        ]
        raise ValueError(
            f"{' '.join(told)} All others are reported. Lower the weight or "
            "the learning rate, in another `--output`; to train it again as it "
            f"was, remove {', '.join(map(str, paths))}. "
            f"Received: {'; '.join(received)}"
        )

    def _fronts(self, objectives):
        rows = [
            row | {"replica": run["seed"]}
            for runs in objectives.values()
            for run in runs
            for row in run["rows"]
        ]
        # Runs of older versions lack what is known of each text.
        known = all("statistics" in row for row in rows)
        return compare_fronts(rows, self.test_task) if known else []

    def _demonstrations(self, policy, pairs, seed):
        return demonstrations(
            policy,
            *pairs,
            self.options.batch_size,
            seed=seed,
            on_invalid=self.options.on_invalid,
        )

    def check_whole(self, run: Any) -> None:
        """Checks that a run that was read from a file is one of these.

        Args:
            run: What was read.

        Raises:
            ValueError: If something is missing.
        """
        check_comparison_run(run)
        if "failed" not in run:
            check_run(run)


def _test_task(options):
    """The test split, with the metrics that were asked for."""
    words = options.tokenize
    task = load_task(options.task, "test", options.path, words)
    return with_chosen_metrics(task, options.metrics, words)
