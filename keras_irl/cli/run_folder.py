"""The run folder of a command: settings, finished runs, checkpoints."""

import contextlib
import errno
import hashlib
import json
import math
import os
import pathlib
import re
import sys

import keras

from keras_irl.cli.kept_files import Mark
from keras_irl.cli.kept_files import damaged
from keras_irl.cli.kept_files import read_object
from keras_irl.cli.objective_arguments import OBJECTIVES
from keras_irl.cli.output_folder import FILES
from keras_irl.cli.output_folder import MARKS
from keras_irl.cli.output_folder import foreign_mark
from keras_irl.cli.too_small import raise_if_too_small
from keras_irl.reporting.atomic_files import atomic_write
from keras_irl.reporting.atomic_files import check_folder

_SAFE = re.compile(r"[^A-Za-z0-9._-]")
# What an objective is called, and what was trained before it.
_NAMES = re.compile(f"(named-)?({'|'.join(OBJECTIVES)})[^/]*-[0-9]+")
# What HDF5 writes besides the numbers, and for each variable, in bytes.
_HEADER, _ENTRY = 2**14, 1536
_DAMAGED_RUN = "Delete it, and the same command makes it anew."


class ResultFolder:
    """Keeps the results of a command so far, to go on with the rest.

    A subclass names the job, and the folder of the results, a file
    `NAME-SEED.json` each. The file of the settings also lists what was written:
    nothing else is ever replaced or deleted.

    Args:
        folder: Path of the folder, made if it does not exist.
        settings: Dictionary of plain values.
        overwrite: Whether to replace what has other settings.

    Raises:
        ValueError: If the folder holds results with other settings, a damaged
            file, or what somebody else wrote.
    """

    job = None
    results_name = None
    other_names = ()

    def __init__(self, folder, settings, overwrite=False):
        self.folder = pathlib.Path(folder)
        names = (self.results_name, *self.other_names)
        check_folder(folder)
        self.mark = Mark(self.folder, *MARKS[self.job])
        before = self.mark.content
        if before is not None and not self.mark.is_listed:
            self._adopt_older(before, settings)
        for name in names:
            check_folder(self.folder / name)
        if overwrite:
            self.mark.delete(*names)
        elif before is not None and self._is_begun():
            self._check_same(before, settings)
        for name in names:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.mark.replace(settings)

    def finished_run(self, name, seed, check=None):
        """Reads a run that was finished before.

        Args:
            name: Name of the run.
            seed: Its seed, or other number.
            check: Function that raises a `ValueError` if the run is not whole.
                Defaults to `None`.

        Returns:
            Dictionary, or `None`.

        Raises:
            ValueError: If its file is damaged, or not ours.
        """
        path = self.run_path(name, seed)
        self.mark.refuse_foreign(*self._paths(name, seed))
        if not path.exists():
            return None
        run = read_object(path, _DAMAGED_RUN)
        try:
            if check is not None:
                check(run)
        except (TypeError, ValueError) as error:
            raise damaged(path, f"{error}", _DAMAGED_RUN) from None
        return run

    def finish_run(self, name, seed, run):
        """Keeps a finished run."""
        path = self.run_path(name, seed)
        self.mark.add(path)
        atomic_write({path.name: _json(run)}, path.parent)

    def run_path(self, name, seed):
        """Returns the path of a finished run."""
        return (
            self.folder / self.results_name / f"{_file_name(name, seed)}.json"
        )

    def _paths(self, name, seed):
        """What is written of a run."""
        return [self.run_path(name, seed)]

    def _adopt_older(self, before, settings):
        # Settings may have come since, and none of somebody else's are known.
        if not before.keys() <= settings.keys():
            raise foreign_mark(self.mark)
        self.mark.adopt(
            path
            for path in self._older_files()
            if path.is_file() and not path.is_symlink()
        )

    def _older_files(self):
        """What was surely written before there was a list."""
        yield from (self.folder / name for name in FILES[self.job])

    def _is_begun(self):
        # Settings that were refused, or stopped early, bind nobody.
        results = self.folder.glob(f"{self.results_name}/*.json")
        return any(map(self.mark.knows, results))

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
                f"The output folder holds {self.mark.what} with other "
                "settings, or of other texts. Pass another `--output`, or "
                "`--overwrite` to replace it. "
                f"Received: output={self.folder}, {changes}"
            )


class EvaluationFolder(ResultFolder):
    """Keeps what an evaluation has got so far.

    | file                         | content                                   |
    |------------------------------|-------------------------------------------|
    | `evaluation.json`            | what the policies have in common          |
    | `evaluations/NAME-RUN.json`  | what a policy wrote, with its numbers     |

    See `ResultFolder`.
    """

    job = "evaluate"
    results_name = "evaluations"

    def _older_files(self):
        yield from super()._older_files()
        for path in self.folder.glob(f"{self.results_name}/*-*.json"):
            with contextlib.suppress(ValueError):
                if read_object(path, "").keys() >= {"digest", "rows"}:
                    yield path


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

    job = "compare"
    results_name = "runs"
    other_names = ("checkpoints", "policies")

    def finish_run(self, name, seed, run):
        """Keeps a finished run, and drops the checkpoints of its stages."""
        super().finish_run(name, seed, run)
        for stage in (name, first_stage(name)):
            self.checkpoint(stage, seed).delete()

    def save_policy(self, name, seed, trainer):
        """Keeps a trained policy; `keras.saving.load_model` reads it."""
        path = self.policy_path(name, seed)
        partial = path.with_name(f"partial-{path.name}")
        self.mark.add(path, partial)
        with _removed_on_failure(partial):
            _reserve(partial, trainer)
            trainer.save(partial)
            os.replace(partial, path)

    def saved_policy(self, name, seed):
        """Returns a policy that was kept, or `None`.

        Raises:
            ValueError: If its file is damaged.
        """
        path = self.policy_path(name, seed)
        if not path.exists():
            return None
        try:
            return keras.saving.load_model(path, compile=False).policy
        # A damaged file fails in many ways.
        except Exception as error:
            raise_if_too_small(error)
            run = self.run_path(name, seed).name
            remedy = f"Delete it and `runs/{run}`, to train it anew."
            raise damaged(path, _first_line(error), remedy) from error

    def checkpoint(self, name, seed):
        """Returns the place for the checkpoints of a run."""
        return Checkpoint(
            f"{name}, seed {seed}",
            self.folder / "checkpoints" / _file_name(name, seed),
            seed,
            self.mark,
        )

    def policy_path(self, name, seed):
        """Returns the path of the policy of a run."""
        return self.folder / "policies" / f"{_file_name(name, seed)}.keras"

    def _paths(self, name, seed):
        yield from super()._paths(name, seed)
        yield self.policy_path(name, seed)
        for stage in (name, first_stage(name)):
            yield self.checkpoint(stage, seed).path

    def _older_files(self):
        yield from super()._older_files()
        for path in (
            *self.folder.glob("runs/*.json"),
            *self.folder.glob("policies/*.keras"),
        ):
            name = path.stem.removeprefix("partial-")
            if _NAMES.fullmatch(name):
                yield path
        for folder in self.folder.glob("checkpoints/*"):
            if _NAMES.fullmatch(folder.name):
                yield folder / "progress.json"
                yield from folder.glob("step-*.weights.h5")

    def _is_begun(self):
        unfinished = self.folder.glob("checkpoints/*/progress.json")
        return super()._is_begun() or any(map(self.mark.knows, unfinished))


class Checkpoint:
    """The last state of an unfinished run.

    Args:
        name: What to call the run.
        folder: Path of the checkpoint's folder.
        seed: Seed of the run.
        mark: The `Mark` of the output folder.
    """

    def __init__(self, name, folder, seed, mark):
        self.name = name
        self.folder = folder
        self.seed = seed
        self.path = folder / "progress.json"
        self.mark = mark
        self._remedy = (
            f"Delete the folder {str(folder)!r}, and the same command trains "
            "this run anew."
        )

    def exists(self):
        """Tells whether there is a state to go on from."""
        self.mark.refuse_foreign(self.path)
        return self.path.exists()

    def save(self, trainer, progress):
        """Keeps weights, optimizer and progress, all or nothing.

        Args:
            trainer: A `keras_irl.Trainer`.
            progress: Dictionary of plain values. The weights of its
                `best_step`, kept at that step, stay beside the last.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        weights = self._weights_of(progress["step"])
        self.mark.refuse_foreign(weights)
        self.mark.add(self.path, weights)
        with _removed_on_failure(weights):
            _reserve(weights, trainer)
            trainer.save_weights(weights)
        # Once this is written, the new checkpoint counts.
        content = _json(progress | {"weights": weights.name})
        atomic_write({self.path.name: content}, self.folder)
        kept = {weights, self._weights_of(progress.get("best_step"))}
        self.mark.forget(*set(self.folder.glob("*.weights.h5")) - kept)

    def delete(self):
        """Drops what is kept, and nothing else that lies there."""
        if self.folder.is_symlink() or not self.folder.is_dir():
            return
        weights = self.folder.glob("*.weights.h5")
        # The progress first: without weights it would be damaged.
        self.mark.forget(self.path)
        self.mark.forget(*weights)
        with contextlib.suppress(OSError):
            self.folder.rmdir()

    def restore(self, trainer):
        """Restores a trainer, and returns the progress it had made.

        Raises:
            ValueError: If a file of the checkpoint is damaged.
        """
        if not self.exists():
            curves = ("step", "negative_log_likelihood", "entropy")
            history = {name: [] for name in (*curves, "token_accuracy")}
            return {"step": 0, "step_times": [], "history": history}
        progress = read_object(self.path, self._remedy)
        _check_progress(progress, self.path, self._remedy)
        # Keras loads no weights before these are built. Not by `build`: a file
        # would tell of no shape then, and could not be loaded.
        trainer.built = True
        trainer.optimizer.build(trainer.trainable_variables)
        self._load(trainer, self.folder / progress.pop("weights"))
        return progress

    def load_weights(self, trainer, step):
        """Loads what was kept at a step, the last or the best.

        Raises:
            ValueError: If the file is damaged.
        """
        self._load(trainer, self._weights_of(step))

    def _load(self, trainer, path):
        try:
            trainer.load_weights(path)
        # A damaged file fails in many ways.
        except Exception as error:
            raise_if_too_small(error)
            raise damaged(path, _first_line(error), self._remedy) from error

    def _weights_of(self, step):
        return self.folder / f"step-{step}.weights.h5"


def _check_progress(progress, path, remedy):
    history = progress.get("history")
    is_whole = (
        isinstance(progress.get("step"), int)
        and isinstance(progress.get("step_times"), list)
        and isinstance(history, dict)
        and {"step", "negative_log_likelihood"} <= history.keys()
        and all(isinstance(curve, list) for curve in history.values())
        and isinstance(progress.get("weights"), str)
        and pathlib.PurePath(progress["weights"]).name == progress["weights"]
    )
    if not is_whole:
        raise damaged(path, "it is not the progress of a run", remedy)


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
    text = json.dumps(
        value, ensure_ascii=False, default=lambda number: number.item()
    )
    # Half a surrogate pair would be no UTF-8 when it is read.
    return text.encode("utf-8", "replace").decode("utf-8")


def _first_line(error):
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0][:200]


@contextlib.contextmanager
def _removed_on_failure(path):
    """Leaves no half of a file, and says which one could not be written."""
    try:
        yield
    except OSError as error:
        path.unlink(missing_ok=True)
        if error.errno is None:
            raise
        raise OSError(error.errno, os.strerror(error.errno), str(path)) from (
            error
        )
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _reserve(path, trainer):
    """Makes sure that there is room for weights.

    HDF5 takes the whole process down when a disk is full, so that the disk is
    asked before.
    """
    if sys.platform != "linux":
        return
    variables = list(trainer.variables)
    if trainer.optimizer is not None:
        variables += trainer.optimizer.variables
    size = _HEADER + sum(map(_size_in_file, variables))
    with path.open("wb") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            # Some file systems can't tell, which does not mean that it is full.
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
    path.unlink()


def _size_in_file(variable):
    bits = re.search("[0-9]+$", keras.backend.standardize_dtype(variable.dtype))
    return math.prod(variable.shape) * int(bits[0] if bits else 8) // 8 + _ENTRY
