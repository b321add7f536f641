"""The folder of a comparison: its settings, finished runs and checkpoints."""

import json
import os
import pathlib
import shutil

_FOLDERS = ("runs", "checkpoints", "policies")


class RunFolder:
    """Keeps what a comparison has got so far.

    | file                       | content                                     |
    |----------------------------|---------------------------------------------|
    | `settings.json`            | what the runs have in common                |
    | `runs/NAME-SEED.json`      | a finished run                              |
    | `checkpoints/NAME-SEED/`   | where an unfinished run stands              |
    | `policies/NAME-SEED.keras` | the trainer, with its policy, as trained    |

    Args:
        folder: Path of the folder, made if it does not exist.
        settings: Dictionary of plain values.
        overwrite: Whether to replace a comparison with other settings.

    Raises:
        ValueError: If the folder holds a comparison with other settings.
    """

    def __init__(self, folder, settings, overwrite=False):
        self.folder = pathlib.Path(folder)
        path = self.folder / "settings.json"
        if overwrite:
            for name in _FOLDERS:
                shutil.rmtree(self.folder / name, ignore_errors=True)
        elif path.exists() and self._is_begun():
            _check_same(json.loads(path.read_text()), settings, folder)
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        _write_whole(path, json.dumps(settings, indent=1))

    def finished_run(self, name, seed):
        """Returns a run that was finished before, or `None`."""
        path = self._run_path(name, seed)
        return json.loads(path.read_text()) if path.exists() else None

    def finish_run(self, name, seed, run):
        """Keeps a finished run, and drops its checkpoint."""
        _write_whole(self._run_path(name, seed), _json(run))
        shutil.rmtree(self.checkpoint(name, seed).folder, ignore_errors=True)

    def save_policy(self, name, seed, trainer):
        """Keeps a trained policy; `keras.saving.load_model` reads it."""
        path = self.folder / "policies" / f"{_file_name(name, seed)}.keras"
        partial = path.with_name(f"partial-{path.name}")
        trainer.save(partial)
        os.replace(partial, path)

    def checkpoint(self, name, seed):
        """Returns the place for the checkpoints of a run."""
        return Checkpoint(
            f"{name}, seed {seed}",
            self.folder / "checkpoints" / _file_name(name, seed),
        )

    def _run_path(self, name, seed):
        return self.folder / "runs" / f"{_file_name(name, seed)}.json"

    def _is_begun(self):
        # Settings that were refused, or stopped early, bind nobody.
        files = ("runs/*.json", "checkpoints/*/progress.json")
        return any(any(self.folder.glob(pattern)) for pattern in files)


class Checkpoint:
    """The last state of an unfinished run.

    Args:
        name: What to call the run.
        folder: Path of the checkpoint's folder.
    """

    def __init__(self, name, folder):
        self.name = name
        self.folder = folder

    def save(self, trainer, progress):
        """Keeps weights, optimizer and progress, all or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = f"step-{progress['step']}.weights.h5"
        trainer.save_weights(self.folder / weights)
        # From here on this checkpoint counts.
        _write_whole(
            self.folder / "progress.json",
            _json(progress | {"weights": weights}),
        )
        for old in self.folder.glob("*.weights.h5"):
            if old.name != weights:
                old.unlink()

    def restore(self, trainer):
        """Restores a trainer, and returns the progress it had made."""
        path = self.folder / "progress.json"
        if not path.exists():
            curves = ("step", "negative_log_likelihood", "entropy")
            history = {name: [] for name in (*curves, "token_accuracy")}
            return {"step": 0, "step_times": [], "history": history}
        progress = json.loads(path.read_text())
        # Keras loads no weights before these are built.
        trainer.build(None)
        trainer.optimizer.build(trainer.trainable_variables)
        trainer.load_weights(self.folder / progress.pop("weights"))
        return progress


def _file_name(name, seed):
    return f"{name.replace(' ', '-')}-{seed}"


def _check_same(before, settings, folder):
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
            "The output folder holds a comparison with other settings. Pass "
            "another `--output`, or `--overwrite` to replace it. "
            f"Received: output={folder}, {changes}"
        )


def _json(value):
    # JSON does not know the numbers of NumPy.
    return json.dumps(value, default=lambda number: number.item())


def _write_whole(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text)
    os.replace(partial, path)
