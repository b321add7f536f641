"""The folder of a command: its settings, finished runs and checkpoints."""

import hashlib
import json
import os
import pathlib
import re
import shutil

import keras

_SAFE = re.compile(r"[^A-Za-z0-9._-]")


class ResultFolder:
    """Keeps the results of a command so far, to go on with the rest.

    A subclass names the file of the settings, which they have in common, and
    the folder of the results, a file `NAME-SEED.json` each.

    Args:
        folder: Path of the folder, made if it does not exist.
        settings: Dictionary of plain values.
        overwrite: Whether to replace what has other settings.

    Raises:
        ValueError: If the folder holds results with other settings.
    """

    settings_name = None
    results_name = None
    other_names = ()
    what = "results"

    def __init__(self, folder, settings, overwrite=False):
        self.folder = pathlib.Path(folder)
        names = (self.results_name, *self.other_names)
        path = self.folder / self.settings_name
        if overwrite:
            for name in names:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        elif path.exists() and self._is_begun():
            self._check_same(json.loads(path.read_text()), settings)
        for name in names:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _write_whole(path, json.dumps(settings, indent=1))

    def finished_run(self, name, seed):
        """Returns a run that was finished before, or `None`."""
        path = self._run_path(name, seed)
        return json.loads(path.read_text()) if path.exists() else None

    def finish_run(self, name, seed, run):
        """Keeps a finished run."""
        _write_whole(self._run_path(name, seed), _json(run))

    def _run_path(self, name, seed):
        return (
            self.folder / self.results_name / f"{_file_name(name, seed)}.json"
        )

    def _is_begun(self):
        # Settings that were refused, or stopped early, bind nobody.
        return any(self.folder.glob(f"{self.results_name}/*.json"))

    def _check_same(self, before, settings):
        now = json.loads(json.dumps(settings))
        names = sorted(
            name
            for name in before.keys() | now.keys()
            if before.get(name) != now.get(name)
        )
        if names:
            changes = "; ".join(
                f"{name}={now.get(name)} (there {before.get(name)})"
                for name in names
            )
            raise ValueError(
                f"The output folder holds {self.what} with other settings, or "
                "of other texts. Pass another `--output`, or `--overwrite` to "
                f"replace it. Received: output={self.folder}, {changes}"
            )


class EvaluationFolder(ResultFolder):
    """Keeps what an evaluation has got so far.

    | file                         | content                                   |
    |------------------------------|-------------------------------------------|
    | `evaluation.json`            | what the policies have in common          |
    | `evaluations/NAME-RUN.json`  | what a policy wrote, with its numbers     |

    See `ResultFolder`.
    """

    settings_name = "evaluation.json"
    results_name = "evaluations"
    what = "an evaluation"


class RunFolder(ResultFolder):
    """Keeps what a comparison has got so far.

    | file                       | content                                     |
    |----------------------------|---------------------------------------------|
    | `settings.json`            | what the runs have in common                |
    | `runs/NAME-SEED.json`      | a finished run                              |
    | `checkpoints/NAME-SEED/`   | where an unfinished run stands              |
    | `policies/NAME-SEED.keras` | the trainer, with its policy, as trained    |

    See `ResultFolder`.
    """

    settings_name = "settings.json"
    results_name = "runs"
    other_names = ("checkpoints", "policies")
    what = "a comparison"

    def finish_run(self, name, seed, run):
        """Keeps a finished run, and drops the checkpoints of its stages."""
        super().finish_run(name, seed, run)
        for stage in (name, first_stage(name)):
            folder = self.checkpoint(stage, seed).folder
            shutil.rmtree(folder, ignore_errors=True)

    def run_path(self, name, seed):
        """Returns the path of a finished run."""
        return self._run_path(name, seed)

    def policy_path(self, name, seed):
        """Returns the path of the policy of a run."""
        return self.folder / "policies" / f"{_file_name(name, seed)}.keras"

    def save_policy(self, name, seed, trainer):
        """Keeps a trained policy; `keras.saving.load_model` reads it."""
        path = self.policy_path(name, seed)
        partial = path.with_name(f"partial-{path.name}")
        trainer.save(partial)
        os.replace(partial, path)

    def saved_policy(self, name, seed):
        """Returns a policy that was kept, or `None`."""
        path = self.policy_path(name, seed)
        if not path.exists():
            return None
        return keras.saving.load_model(path, compile=False).policy

    def checkpoint(self, name, seed):
        """Returns the place for the checkpoints of a run."""
        return Checkpoint(
            f"{name}, seed {seed}",
            self.folder / "checkpoints" / _file_name(name, seed),
            seed,
        )

    def _is_begun(self):
        unfinished = self.folder.glob("checkpoints/*/progress.json")
        return super()._is_begun() or any(unfinished)


class Checkpoint:
    """The last state of an unfinished run.

    Args:
        name: What to call the run.
        folder: Path of the checkpoint's folder.
        seed: Seed of the run.
    """

    def __init__(self, name, folder, seed):
        self.name = name
        self.folder = folder
        self.seed = seed

    def exists(self):
        """Tells whether there is a state to go on from."""
        return (self.folder / "progress.json").exists()

    def save(self, trainer, progress):
        """Keeps weights, optimizer and progress, all or nothing.

        Args:
            trainer: A `keras_irl.Trainer`.
            progress: Dictionary of plain values. The weights of its
                `best_step`, kept at that step, stay beside the last.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = _weights_of(progress["step"])
        trainer.save_weights(self.folder / weights)
        # From here on this checkpoint counts.
        _write_whole(
            self.folder / "progress.json",
            _json(progress | {"weights": weights}),
        )
        kept = {weights, _weights_of(progress.get("best_step"))}
        for old in self.folder.glob("*.weights.h5"):
            if old.name not in kept:
                old.unlink()

    def restore(self, trainer):
        """Restores a trainer, and returns the progress it had made."""
        path = self.folder / "progress.json"
        if not self.exists():
            curves = ("step", "negative_log_likelihood", "entropy")
            history = {name: [] for name in (*curves, "token_accuracy")}
            return {"step": 0, "step_times": [], "history": history}
        progress = json.loads(path.read_text())
        # Keras loads no weights before these are built. Not by `build`: a file
        # would tell of no shape then, and could not be loaded.
        trainer.built = True
        trainer.optimizer.build(trainer.trainable_variables)
        trainer.load_weights(self.folder / progress.pop("weights"))
        return progress

    def load_weights(self, trainer, step):
        """Loads what was kept at a step, the last or the best."""
        trainer.load_weights(self.folder / _weights_of(step))


def _weights_of(step):
    return f"step-{step}.weights.h5"


def first_stage(name):
    """Names what comes before an objective that starts from likelihood."""
    return f"mle for {name}"


def _file_name(name, seed):
    plain = name.replace(" ", "-")
    safe = _SAFE.sub("-", plain)[:80]
    if safe != plain or safe.startswith("."):
        # Names that look alike now are still told apart.
        digest = hashlib.sha256(name.encode("utf-8", "replace")).hexdigest()
        safe = f"named-{safe}-{digest[:12]}"
    return f"{safe}-{seed}"


def _json(value):
    # JSON does not know the numbers of NumPy.
    return json.dumps(value, default=lambda number: number.item())


def _write_whole(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
