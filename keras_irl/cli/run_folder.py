"""The run folder of a command: finished runs and trained policies."""

import contextlib
import hashlib
import json
import pathlib
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any
from typing import ClassVar

import keras

from keras_irl.cli.checkpoints import OLDER
from keras_irl.cli.checkpoints import STEPS
from keras_irl.cli.checkpoints import RunCheckpoint
from keras_irl.cli.checkpoints import json_text
from keras_irl.cli.checkpoints import save_where_room
from keras_irl.cli.config import CONFIG
from keras_irl.cli.config import found_from_anywhere
from keras_irl.cli.error_messages import raise_if_too_small
from keras_irl.cli.objectives import OBJECTIVES
from keras_irl.cli.output_folder import FILES
from keras_irl.cli.output_folder import MANIFESTS
from keras_irl.cli.output_folder import Manifest
from keras_irl.cli.output_folder import damaged
from keras_irl.cli.output_folder import foreign_manifest
from keras_irl.cli.output_folder import read_object
from keras_irl.error_texts import first_line
from keras_irl.files.atomic import atomic_save
from keras_irl.files.atomic import atomic_write
from keras_irl.files.atomic import part_beside
from keras_irl.files.paths import check_folder
from keras_irl.trainers import Trainer
from keras_irl.types import Path
from keras_irl.types import Policy
from keras_irl.types import Run

_SAFE = re.compile(r"[^A-Za-z0-9._-]")
# What an objective is called, and what was trained before it.
_NAMES = re.compile(f"(named-)?({'|'.join(OBJECTIVES)})[^/]*-[0-9]+")
# What Keras writes into the file of a model.
_PARTS = {"config.json", "metadata.json", "model.weights.h5"}
_DAMAGED_RUN = "Delete it, and the same command makes it anew."


class _ResultFolder:
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

    job: str
    results_name: str
    other_names: tuple[str, ...] = ()
    # What results are with that are older than a setting.
    added_settings: ClassVar[dict[str, Any]] = {}

    def __init__(
        self, folder: Path, settings: dict[str, Any], overwrite: bool = False
    ) -> None:
        self.folder = pathlib.Path(folder)
        names = (self.results_name, *self.other_names)
        check_folder(folder)
        self.manifest = Manifest(self.folder, *MANIFESTS[self.job])
        before = self.manifest.content
        if before is not None and not self.manifest.is_listed:
            self._adopt_older(before, settings)
        for name in names:
            check_folder(self.folder / name)
        if overwrite:
            self.manifest.delete(*names)
        elif before is not None and self._is_begun():
            self._check_same(before, settings)
        for name in names:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.manifest.replace(settings)

    def finished_run(
        self,
        name: str,
        seed: int,
        check: Callable[[Run], None] | None = None,
    ) -> Run | None:
        """Reads a run that was finished before.

        Args:
            name: Name of the run.
            seed: Its seed, or other number.
            check: Function that raises a `ValueError` if the run is not whole.
                Defaults to `None`.

        Returns:
            Dictionary, or `None`.

        Raises:
            ValueError: If its file is damaged, or of another origin.
        """
        path = self.run_path(name, seed)
        self.manifest.refuse_foreign(*self._paths(name, seed))
        if not path.exists():
            return None
        run = read_object(path, _DAMAGED_RUN)
        try:
            if run.get("seed", seed) != seed:
                raise ValueError(
                    f"it is of another seed. Received: seed={run['seed']!r}"
                )
            if check is not None:
                check(run)
        except (TypeError, ValueError) as error:
            raise damaged(path, f"{error}", _DAMAGED_RUN) from None
        return run

    def finish_run(self, name: str, seed: int, run: Run) -> None:
        """Keeps a finished run."""
        path = self.run_path(name, seed)
        self.manifest.add(path)
        atomic_write({path.name: json_text(run)}, path.parent)

    def keep_config(self, text: str) -> None:
        """Keeps the flags of the command, before its work begins."""
        path = self.folder / CONFIG
        self.manifest.refuse_foreign(path)
        self.manifest.add(path)
        atomic_write({path.name: text}, self.folder)

    def run_path(self, name: str, seed: int) -> pathlib.Path:
        """Returns the path of a finished run."""
        return (
            self.folder / self.results_name / f"{_file_name(name, seed)}.json"
        )

    def _paths(self, name, seed):
        """Record of a run, as it is written."""
        return [self.run_path(name, seed)]

    def _adopt_older(self, before, settings):
        # Settings may have come since, and none of somebody else's are known;
        # a file with few or none of today's says nothing.
        is_known = before.keys() <= settings.keys()
        if not is_known or 2 * len(before) < len(settings):
            raise foreign_manifest(self.manifest)
        self.manifest.adopt(
            path
            for path in self._older_files()
            if path.is_file() and not path.is_symlink()
        )

    def _older_files(self):
        """Files that were surely written before there was a list."""
        yield from (self.folder / name for name in FILES[self.job])

    def _is_begun(self):
        # Settings that were refused, or stopped early, bind nobody.
        results = self.folder.glob(f"{self.results_name}/*.json")
        return any(map(self.manifest.knows, results))

    def _check_same(self, before, settings):
        now = json.loads(json.dumps(settings))
        added = self.added_settings.items()
        before = {n: v for n, v in added if n in now} | before
        names = sorted(
            name
            for name in before.keys() | now.keys()
            if not _are_same(name, before.get(name), now.get(name))
        )
        if names:
            changes = "; ".join(
                f"{name}={now.get(name)} (there {before.get(name)})"
                for name in names
            )
            raise ValueError(
                f"The output folder holds {self.manifest.what} with other "
                "settings, or of other texts. Pass another `--output`, or "
                "`--overwrite` to replace it. "
                f"Received: output={self.folder}, {changes}"
            )


def _are_same(name, before, now):
    # Older versions kept paths as they were written.
    if isinstance(before, str) and name in ("path", "preset"):
        before = found_from_anywhere(name, before)
    return before == now


class EvaluationFolder(_ResultFolder):
    """Folder of the results of an evaluation, so far.

    | file                         | content                                   |
    |------------------------------|-------------------------------------------|
    | `evaluation.json`            | what the policies have in common          |
    | `evaluations/NAME-RUN.json`  | what a policy wrote, with its numbers     |

    See `_ResultFolder`.
    """

    job = "evaluate"
    results_name = "evaluations"

    def _older_files(self):
        yield from super()._older_files()
        for path in self.folder.glob(f"{self.results_name}/*-*.json"):
            with contextlib.suppress(ValueError):
                if read_object(path, "").keys() >= {"digest", "rows"}:
                    yield path


class RunFolder(_ResultFolder):
    """Folder of the runs of a comparison, so far.

    | file                       | content                                     |
    |----------------------------|---------------------------------------------|
    | `settings.json`            | what the runs have in common                |
    | `runs/NAME-SEED.json`      | a finished run                              |
    | `checkpoints/NAME-SEED/`   | the state of an unfinished run, in `steps`  |
    | `policies/NAME-SEED.keras` | the trainer, with its policy, as trained    |

    See `_ResultFolder`.
    """

    job = "compare"
    results_name = "runs"
    other_names = ("checkpoints", "policies")
    added_settings: ClassVar[dict[str, Any]] = {
        "optimizer": "adam",
        "weight_decay": None,
        "accumulation_steps": 1,
        "lora_rank": None,
        "dtype": None,
        "rematerialize": False,
        "value_offset_decay": 0.95,
    }

    def finish_run(self, name: str, seed: int, run: Run) -> None:
        """Keeps a finished run, and drops the checkpoints of its stages."""
        super().finish_run(name, seed, run)
        for stage in (name, first_stage(name)):
            self.checkpoint(stage, seed).delete()

    def save_policy(self, name: str, seed: int, trainer: Trainer) -> None:
        """Keeps a trained policy; `keras.saving.load_model` reads it."""
        path = self.policy_path(name, seed)
        # Libraries go by the end of a name.
        part = part_beside(path).with_suffix(".keras")
        self.manifest.add(path, part)

        def save(part):
            atomic_save(trainer.save, path, part)

        save_where_room(save, part, trainer)
        self.manifest.forget(part)

    def saved_policy(self, name: str, seed: int) -> Policy | None:
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
            raise damaged(path, first_line(error), remedy) from error

    def check_policy(self, name: str, seed: int) -> None:
        """Checks that the policy of a finished run is there, and whole.

        Args:
            name: Name of the run.
            seed: Its seed.

        Raises:
            ValueError: If its file is missing or damaged.
        """
        path = self.policy_path(name, seed)
        if not self.run_path(name, seed).exists():
            return
        remedy = (
            f"Put it back, or delete {str(self.run_path(name, seed))!r}, and "
            "the same command trains it anew."
        )
        # Of a run from before files were listed, nobody knows.
        if not path.exists() and self.manifest.knows(path):
            raise ValueError(
                f"The policy of a finished run, {str(path)!r}, is missing. "
                f"{remedy} Received: file={str(path)!r}"
            )
        reason = _damage_of(path) if path.exists() else None
        if reason is not None:
            raise damaged(path, reason, remedy)

    def check_checkpoints(self, name: str, seed: int) -> None:
        """Checks that an unfinished run can go on from where its stages are.

        Args:
            name: Name of the run.
            seed: Its seed.

        Raises:
            ValueError: If it can't.
        """
        if self.run_path(name, seed).exists():
            return
        for stage in (name, first_stage(name)):
            self.checkpoint(stage, seed).check()

    def checkpoint(self, name: str, seed: int) -> RunCheckpoint:
        """Returns the place for the checkpoints of a run."""
        return RunCheckpoint(
            f"{name}, seed {seed}",
            self.folder / "checkpoints" / _file_name(name, seed),
            seed,
            self.manifest,
        )

    def policy_path(self, name: str, seed: int) -> pathlib.Path:
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
                yield folder / OLDER
                yield from folder.glob("step-*.weights.h5")

    def _is_begun(self):
        unfinished = [
            path
            for name in (STEPS, OLDER)
            for path in self.folder.glob(f"checkpoints/*/{name}")
        ]
        return super()._is_begun() or any(map(self.manifest.knows, unfinished))


def first_stage(name: str) -> str:
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


def _damage_of(path):
    """Fault of a `.keras` file, or `None`; nothing is loaded."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = _PARTS - set(archive.namelist())
            if missing:
                return f"it lacks {', '.join(sorted(missing))}"
            part = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        return first_line(error)
    return None if part is None else f"{part} in it is not as it was written"
