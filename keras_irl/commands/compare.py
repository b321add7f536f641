"""Trains one policy per objective, judges them alike, writes the report."""

import math

import keras

from keras_irl.commands.chosen_decoders import chosen_decoders
from keras_irl.commands.digests import digest_of_texts
from keras_irl.commands.objectives import find_objectives
from keras_irl.commands.output_folder import check_output
from keras_irl.commands.output_folder import write_output
from keras_irl.commands.run_folder import RunFolder
from keras_irl.commands.run_folder import first_stage
from keras_irl.commands.training import train
from keras_irl.commands.window import Window
from keras_irl.commands.window import first_rows
from keras_irl.commands.window import spread_pairs
from keras_irl.data import demonstrations
from keras_irl.data import load_task
from keras_irl.decoding import encode_prompts
from keras_irl.evaluation import compare_fronts
from keras_irl.evaluation import format_table
from keras_irl.evaluation import pick_samples
from keras_irl.evaluation import sweep
from keras_irl.evaluation.report import report_files
from keras_irl.trainers import MLE

# What the results are told apart by, and not how they are stored or shown.
_NOT_SETTINGS = ("job", "output", "overwrite", "seeds", "objectives")


def compare(options):
    """Runs `keras-irl compare`.

    Every policy starts from the same weights and sees the same batches.
    Finished runs, and the state of an unfinished one, are kept in the output
    folder: the same command continues where it was stopped.

    Args:
        options: What `parse_arguments` returns.

    Returns:
        The results, as `keras_irl.evaluation.write_report` takes them.

    Raises:
        ValueError: If a task, path, preset or objective is wrong, or the
            output folder holds another comparison.
    """
    objectives = find_objectives(options)
    _check_numbers(options)
    check_output("compare", options.output)
    comparison = Comparison(options)
    runs = {
        name: [
            comparison.run(name, objective, seed)
            for seed in range(options.seeds)
        ]
        for name, objective in objectives.items()
    }
    results = comparison.results(runs)
    files = report_files(results)
    print(format_table(results))
    write_output("compare", files, options.output)
    return results


class Comparison:
    """What all runs of a comparison share.

    Args:
        options: What `parse_arguments` returns.
    """

    def __init__(self, options):
        self.options = options
        self.decoders = chosen_decoders(
            options.decoders or [], options.temperatures
        )
        train_task = load_task(options.task, "train", options.path)
        test_task = load_task(
            options.task, "test", options.path, options.tokenize
        )
        self.train_pairs = first_rows(train_task.pairs, options.num_train)
        self.test_task = test_task.first(options.num_test)
        self.test_pairs = spread_pairs(test_task.pairs, 4 * options.num_test)
        settings = {
            name: value
            for name, value in vars(options).items()
            if name not in _NOT_SETTINGS
        }
        settings["backend"] = keras.config.backend()
        settings["texts"] = digest_of_texts(
            *self.train_pairs,
            *self.test_pairs,
            self.test_task.prompts,
            self.test_task.references,
        )
        self.window = Window(
            options,
            self.train_pairs,
            self.test_pairs,
            (self.test_task.prompts, self.test_task.responses),
        )
        # Last: it may delete what is there, and what is wrong is known by now.
        self.folder = RunFolder(options.output, settings, options.overwrite)

    def run(self, name, objective, seed):
        """Trains and judges one policy, or finds that this was done.

        Args:
            name: Name of the objective.
            objective: An `Objective`.
            seed: Seed of the initial weights and of the batches.

        Returns:
            A run, see `keras_irl/evaluation/results.py`.
        """
        run = self.folder.finished_run(name, seed)
        if run is not None:
            print(f"{name}, seed {seed}: finished before.")
            return run
        options = self.options
        keras.utils.set_random_seed(seed)
        policy = self.window.load_policy(seed)
        # Prompts that can't be answered are better refused before the training.
        encode_prompts(
            policy, list(self.test_task.prompts), self.window.max_length
        )
        if objective.is_second_stage:
            self._train_first(policy, name, seed)
        trainer = objective.make_trainer(policy, seed)
        trained = self._train(
            trainer, objective.options, self.folder.checkpoint(name, seed)
        )
        self.folder.save_policy(name, seed, trainer)
        rows = sweep(
            {name: policy},
            self.test_task,
            self.decoders,
            options.num_samples,
            batch_size=max(options.batch_size, 64),
            seed=seed,
        )
        run = {
            "seed": seed,
            **trained,
            "rows": rows,
            "samples": pick_samples(rows, self.test_task),
        }
        self.folder.finish_run(name, seed, run)
        return run

    def _train(self, trainer, options, checkpoint):
        policy, seed = trainer.policy, checkpoint.seed
        return train(
            trainer,
            self._demonstrations(policy, self.train_pairs, seed),
            self._demonstrations(policy, self.test_pairs, None),
            options,
            checkpoint,
        )

    def _train_first(self, policy, name, seed):
        """Trains a policy by likelihood, or takes what was trained so."""
        if self.folder.checkpoint(name, seed).exists():
            return  # It knows the weights of the second stage.
        trained = self.folder.saved_policy("mle", seed)
        if trained is None:
            checkpoint = self.folder.checkpoint(first_stage(name), seed)
            self._train(MLE(policy), self.options, checkpoint)
        else:
            policy.set_weights(trained.get_weights())

    def results(self, objectives):
        """Puts runs together.

        Args:
            objectives: Dictionary from names to lists of runs.

        Returns:
            Results, see `keras_irl/evaluation/results.py`.
        """
        options, window = self.options, self.window
        return {
            "task": options.task,
            "metric": next(iter(self.test_task.metrics)),
            "policy": options.preset,
            "backend": keras.config.backend(),
            "steps": options.steps,
            "batch_size": options.batch_size,
            "learning_rate": options.learning_rate,
            "seeds": options.seeds,
            "tokenize": options.tokenize,
            "train_pairs": len(self.train_pairs[0]),
            "test_prompts": len(self.test_task.prompts),
            "test_pairs": len(self.test_pairs[0]),
            "max_prompt_length": window.max_prompt_length,
            "max_length": window.max_length,
            "objectives": objectives,
            "fronts": self._fronts(objectives),
        }

    def _fronts(self, objectives):
        groups = objectives.values()
        rows = [
            row | {"replica": run["seed"]}
            for runs in groups
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


def _check_numbers(options):
    # What would otherwise be found out late, or never.
    temperatures = options.temperatures
    if not temperatures or not all(0 <= t < math.inf for t in temperatures):
        raise ValueError(
            "`--temperatures` takes at least one number of at least 0. "
            f"Received: temperatures={','.join(map(str, temperatures))}"
        )
    if not 0 < options.learning_rate < math.inf:
        raise ValueError(
            "`--learning-rate` must be above 0. "
            f"Received: learning_rate={options.learning_rate}"
        )
    if not 0 <= options.final_learning_rate <= 1:
        raise ValueError(
            "`--final-learning-rate` is a share of the learning rate, between "
            f"0 and 1. Received: final_learning_rate="
            f"{options.final_learning_rate}"
        )
