"""The training runs of a command: a policy per objective and seed.

Each is trained, judged and kept. Every policy starts from the same weights and
sees the same batches. What is finished, and the state of what is not, are in
the output folder: the same command goes on where it was stopped.
"""

import argparse

import keras

from keras_irl.cli import provenance
from keras_irl.cli.chosen_metrics import metric_sources
from keras_irl.cli.chosen_metrics import with_chosen_metrics
from keras_irl.cli.config import plain_options
from keras_irl.cli.decoders import make_decoders
from keras_irl.cli.kept_runs import ExpectedRows
from keras_irl.cli.kept_runs import check_comparison_run
from keras_irl.cli.objectives import Objective
from keras_irl.cli.objectives import check_objectives
from keras_irl.cli.run_folder import RunFolder
from keras_irl.cli.run_folder import first_stage
from keras_irl.cli.sequence_lengths import SequenceLengths
from keras_irl.cli.training import DivergedError
from keras_irl.cli.training import summarize
from keras_irl.cli.training import train
from keras_irl.data import demonstrations
from keras_irl.evaluation import pick_samples
from keras_irl.evaluation import sweep
from keras_irl.evaluation.judging import check_task
from keras_irl.generation import encode_prompts
from keras_irl.generation.drawing import NotFiniteError
from keras_irl.models.lora import has_lora
from keras_irl.models.lora import low_rank_variables
from keras_irl.tasks import load_task
from keras_irl.tasks.splits import FEWEST_PROMPTS
from keras_irl.tasks.splits import first_pairs
from keras_irl.tasks.splits import hold_out
from keras_irl.tasks.splits import spread_pairs
from keras_irl.tasks.splits import warn_of_shared_pairs
from keras_irl.trainers import GAIL
from keras_irl.trainers import MLE
from keras_irl.trainers import Trainer
from keras_irl.types import Policy
from keras_irl.types import Run

# How results are stored or shown, by which no training differs.
_NOT_SETTINGS = (
    *("job", "output", "overwrite", "seeds", "objectives", "arguments"),
    "heat_map",
    # Devices compute the same, however many, and from wherever compiled.
    *("mesh", "strategy", "compilation_cache"),
)
# How a policy is judged, which makes no other policy.
_JUDGING = (
    *("temperatures", "decoders", "num_samples", "tokenize"),
    "metrics",
)


class TrainingRuns:
    """Data and settings that all runs of a command share.

    Args:
        options: What `parse_arguments` returns.
        objectives: What `find_objectives` returns.

    Attributes:
        train_pairs: What is trained on, tuple of prompts and responses.
        held_out: What the losses on the way are of.
        test_pairs: What the final loss is of.
        test_task: The `Task` by which policies are judged.
        num_validation: The number of training prompts that are held out.
        keeps_best: Whether the weights of the least loss are judged.
        digest: What tells these texts from others.
        lengths: The `SequenceLengths` of all policies.
        folder: The `RunFolder` of what is kept.

    Raises:
        ValueError: If the texts do not fit, an objective can't train the
            policy, or the output folder holds something else.
    """

    def __init__(
        self, options: argparse.Namespace, objectives: dict[str, Objective]
    ) -> None:
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
        self.digest = self._digest()
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
            options.output, self._settings_key(), options.overwrite
        )

    def _digest(self):
        return provenance.digest_of_texts(
            *self.train_pairs,
            *self.held_out,
            *self.test_pairs,
            self.test_task.prompts,
            self.test_task.references,
        )

    def all_runs(self, config: str) -> dict[str, list[Run]]:
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

    def check_kept(self) -> None:
        """Checks the files that were kept, before hours of training.

        Raises:
            ValueError: If a file in the output folder is.
        """
        if any(one.is_second_stage for one in self.objectives.values()):
            for seed in range(self.options.seeds):
                self._finished("mle", seed)
        for name in self.objectives:
            for seed in range(self.options.seeds):
                self._finished(name, seed)
                self.folder.check_policy(name, seed)
                self.folder.check_checkpoints(name, seed)

    def run(self, name: str, objective: Objective, seed: int) -> Run:
        """Trains and judges one policy, or finds that this was done.

        Args:
            name: Name of the objective.
            objective: An `Objective`.
            seed: Seed of the initial weights and of the batches.

        Returns:
            A run, see `keras_irl/evaluation/results.py`; one that diverged
            has an entry `failed` and no rows.
        """
        run = self._finished(name, seed)
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
            self.folder.save_policy(name, seed, _savable(trainer))
            run |= self._judged(name, policy, seed)
        except (DivergedError, NotFiniteError) as error:
            if trainer is None:
                trainer = MLE(policy)
                trainer.compile()
            self.folder.save_policy(name, seed, _savable(trainer))
            run = self._failed(name, objective, seed, error, run=run)
            print(f"{name}: {provenance.divergence_note(run)}")
        run |= provenance.made_now()
        self.folder.finish_run(name, seed, run)
        return run

    def check_whole(self, run: Run, name: str, seed: int) -> None:
        """Checks that a run that was read from a file is one of these.

        Args:
            run: What was read.
            name: Name of its objective.
            seed: Its seed.

        Raises:
            ValueError: If something is missing, or of another kind.
        """
        check_comparison_run(run, self._expected_rows(name, seed))

    def _finished(self, name, seed):
        """A run that was finished before, whole, or `None`."""
        return self.folder.finished_run(
            name, seed, lambda run: self.check_whole(run, name, seed)
        )

    def _expected_rows(self, name, seed):
        return ExpectedRows(
            name,
            self.test_task,
            self.decoders,
            self.options.num_samples,
            (seed,),
        )

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

    def _settings_key(self):
        names = vars(self.options).keys() - set(_NOT_SETTINGS)
        key = plain_options(self.options, sorted(names))
        key |= metric_sources(self.options.metrics)
        backend = keras.config.backend()
        return key | {"backend": backend, "texts": self.digest}

    def _check_policy(self):
        """Refuses what would otherwise stop the work when it has begun."""
        policy = self.lengths.load_policy(0)
        prompts = list(self.test_task.prompts)
        encode_prompts(policy, prompts, self.lengths.max_length)
        check_objectives(self.objectives, policy)
        self.dtype = policy.backbone.dtype_policy.name

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

    def _failed(self, name, objective, seed, error, *, run):
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
        run = self._finished("mle", seed)
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

    def _demonstrations(self, policy, pairs, seed):
        return demonstrations(
            policy,
            *pairs,
            self.options.batch_size,
            seed=seed,
            on_invalid=self.options.on_invalid,
        )


class SeparatelyJudgedRuns(TrainingRuns):
    """Training runs that are judged where that is asked for, also later.

    See `TrainingRuns`.
    """

    def run(self, name: str, objective: Objective, seed: int) -> Run:
        """Trains a policy, or finds that this was done, and judges it.

        A policy that was trained before, and not judged so, is read from its
        file. See `TrainingRuns`.
        """
        run = super().run(name, objective, seed)
        is_judged = run.get("judged_by") == self._judging()
        if "failed" in run or is_judged or not self.options.judge:
            return run
        policy = self.folder.saved_policy(name, seed)
        run |= self._judged(name, policy, seed) | provenance.made_now()
        self.folder.finish_run(name, seed, run)
        return run

    def check_whole(self, run: Run, name: str, seed: int) -> None:
        """See `TrainingRuns`: a run that was not judged is whole too."""
        # Rows of another judging are of other decoders.
        judged_by = run.get("judged_by") if isinstance(run, dict) else None
        is_judged = judged_by == self._judging()
        expected = self._expected_rows(name, seed) if is_judged else None
        check_comparison_run(run, expected)

    def _settings_key(self):
        key = super()._settings_key()
        left_out = ("judge", "metric_sources", *_JUDGING)
        return {name: key[name] for name in key if name not in left_out}

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


def _test_task(options):
    """The test split, with the metrics that were asked for."""
    words = options.tokenize
    task = load_task(options.task, "test", options.path, words)
    return with_chosen_metrics(task, options.metrics, words)


def start_from(policy: Policy, trained: Policy) -> None:
    """Lets a policy go on from one that was trained and saved.

    What was saved has the low-rank updates in its weights; those of the policy
    add nothing yet.

    Args:
        policy: A `CausalLM` or `Seq2SeqLM` in its initial state.
        trained: The same, without low-rank updates of its own.
    """
    updates = {id(variable) for variable in low_rank_variables(policy)}
    weights = [v for v in policy.weights if id(v) not in updates]
    for variable, value in zip(weights, trained.get_weights(), strict=True):
        variable.assign(value)


def _savable(trainer: Trainer) -> Trainer:
    """The trainer to save, without scorers that share its policy's backbone.

    Args:
        trainer: A `keras_irl.Trainer`.

    Returns:
        The trainer; of a GAIL whose scorers borrow the backbone of its policy,
        which no file holds, one of the policy alone.
    """
    if not (isinstance(trainer, GAIL) and has_lora(trainer.policy)):
        return trainer
    alone = MLE(trainer.policy)
    # Only then Keras knows of an optimizer, even if there is none to save.
    alone.compile()
    return alone
