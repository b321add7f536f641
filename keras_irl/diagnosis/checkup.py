"""`keras_irl.doctor`: a diagnosis of policy and data before training."""

import sys
import warnings
from typing import Any
from typing import NamedTuple

from keras_irl.aliases import warn_of_old_name
from keras_irl.arguments import check_integer
from keras_irl.data.batches import Counts
from keras_irl.data.batches import count
from keras_irl.data.batches import known_ends
from keras_irl.data.batches import read_batches
from keras_irl.data.batches import without_filling
from keras_irl.data.dataset import demonstrations_of
from keras_irl.diagnosis.marked_text import BRACKETS
from keras_irl.diagnosis.marked_text import COLORS
from keras_irl.diagnosis.marked_text import HTML
from keras_irl.diagnosis.marked_text import marked_texts
from keras_irl.diagnosis.memory import memory_estimate
from keras_irl.diagnosis.memory import num_weights
from keras_irl.diagnosis.policy_checks import Issue
from keras_irl.diagnosis.policy_checks import level_issues
from keras_irl.diagnosis.policy_checks import policy_issues
from keras_irl.diagnosis.text_checks import text_issues
from keras_irl.diagnosis.text_checks import unknown_issues
from keras_irl.diagnosis.text_checks import vocabulary_issues
from keras_irl.families.family import is_language_model
from keras_irl.families.heads import has_known_head
from keras_irl.families.heads import vocabulary_head
from keras_irl.keras_seams import without_mask_warnings
from keras_irl.models.policy_model import PolicyModel
from keras_irl.models.tiling import tiles_vocabulary
from keras_irl.runtime.processes import is_first_process
from keras_irl.types import Policy

_NUM_BATCHES = 16
_NUM_ROWS = 4
_NUM_TEXTS = 2048


class Diagnosis(NamedTuple):
    """The result of `keras_irl.doctor`.

    Attributes:
        issues: A list of `Issue`, errors first.
        counts: A `Counts` of the batches that were read.
        memory: A dictionary from parts to estimated bytes.
        report: What was printed.
        marked: The rows of the first batch that the report shows, as HTML.
            Notebooks show these and the issues of a diagnosis.
    """

    issues: list[Issue]
    counts: Counts
    memory: dict[str, int]
    report: str
    marked: tuple[str, ...] = ()

    @property
    def is_healthy(self) -> bool:
        """Whether there is no error among the issues."""
        return not any(issue.is_error for issue in self.issues)

    def _repr_html_(self) -> str:
        # Trainers diagnose their data as well, and draw no page.
        import markupsafe

        from keras_irl.escaping import render

        mark = f"{HTML.before}trained tokens{HTML.after}"
        return render(
            "diagnosis.html",
            mark=markupsafe.Markup(mark),
            rows=[markupsafe.Markup(row) for row in self.marked],
            lines=_describe_issues(self.issues),
        )

    @property
    def findings(self) -> list[Issue]:
        """The issues, by their name until version 0.3."""
        warn_of_old_name("Diagnosis.findings", "Diagnosis.issues", "0.3")
        return self.issues


@without_mask_warnings()
def doctor(
    policy: Policy, dataset: Any, num_batches: int = _NUM_BATCHES
) -> Diagnosis:
    """Diagnoses a policy and its data before training.

    Reads the first batches, decodes one with its trained tokens marked, and
    prints what they hold, what of the policy is trained, how much memory a
    step takes, roughly, and every issue with its fix. Nothing is trained.

    Args:
        policy: A `keras_hub.models.CausalLM` or `Seq2SeqLM`, or a
            `keras_irl.Trainer` around one. If it is compiled, its optimizer is
            looked at; otherwise Adam is assumed.
        dataset: Batches of `(inputs, actions, mask)`: a `Demonstrations`, its
            `epochs(...)`, anything else that iterates over batches, or one of
            them. A generator loses those that are read.
        num_batches: The number of batches to read at most. Defaults to 16.

    Returns:
        A `Diagnosis`. Its `issues` are named tuples of `name`, `is_error`,
        `problem` and `fix`; `is_healthy` tells that no issue is an error,
        that is that training would neither be wrong nor do nothing.

    Raises:
        ValueError: If the policy is no language model of keras-hub, or there
            are no batches, or they are empty or something else.

    Example:
    ```python
    dataset = keras_irl.data.demonstrations(policy, prompts, responses, 32)
    assert keras_irl.doctor(policy, dataset).is_healthy
    ```
    """
    num_batches = check_integer("num_batches", num_batches, least=1)
    trainer = policy if isinstance(policy, PolicyModel) else None
    policy = trainer.policy if trainer else policy
    _check_policy(policy)
    trained = trainer or policy
    # Keras has none before `compile`.
    optimizer = trained.optimizer if trained.compiled else None
    batches = read_batches(policy, dataset, num_batches)
    first = batches[0]
    known = demonstrations_of(dataset)
    is_made_here = known is not None
    batches = [without_filling(batch, is_made_here) for batch in batches]
    tokenizer = policy.preprocessor and policy.preprocessor.tokenizer
    counts = count(batches, known_ends(policy, known))
    issues = [
        *policy_issues(policy, optimizer),
        *text_issues(policy, batches, counts, is_made_here),
        *vocabulary_issues(batches, policy),
        *unknown_issues(policy, batches, known, _NUM_TEXTS),
    ]
    if not any(issue.is_error for issue in issues):
        issues += _level_issues(policy, trainer, batches[0])
    issues.sort(key=lambda issue: not issue.is_error)
    memory = _memory(policy, trainer, optimizer, first)
    report = "\n".join(
        [
            *_describe_batch(batches[0], tokenizer),
            *_describe_texts(counts, known),
            *_describe_policy(policy),
            _describe_memory(memory, first.actions.shape),
            *_describe_issues(issues),
        ]
    )
    _show(report)
    marked = marked_texts(batches[0], tokenizer, _NUM_ROWS, HTML)
    return Diagnosis(issues, counts, memory, report, tuple(marked))


def _memory(policy, trainer, optimizer, batch):
    """The memory of a step, as far as it can be told from a batch."""
    prompts = batch.prompt_ids
    return memory_estimate(
        policy,
        optimizer,
        batch.actions.shape,
        _tiles(policy, trainer),
        prompt_shape=None if prompts is None else prompts.shape,
    )


def _show(report):
    if is_first_process():
        print(report)


def _level_issues(policy, trainer, batch):
    """Issues of the logits, where a policy and a batch can be read."""
    if trainer is None:
        return level_issues(policy, batch)
    if trainer.finds_value_offset or not trainer.penalizes_rewards:
        return ()
    numbers = trainer.discount, trainer.value_offset
    return level_issues(policy, batch, *numbers)


def _check_policy(policy):
    if not is_language_model(policy):
        raise ValueError(
            "`policy` must be a language model of keras-hub, or a trainer "
            f"around one. Received: policy of type {type(policy).__name__}"
        )


def _tiles(policy, trainer):
    if trainer is not None and trainer.compiled:
        return trainer.tiles_vocabulary
    with warnings.catch_warnings():
        # That the head is not known is an issue.
        warnings.simplefilter("ignore")
        return tiles_vocabulary(policy, "auto", {})


def _describe_batch(batch, tokenizer):
    in_color = sys.stdout.isatty()
    where = "color" if in_color else "brackets"
    yield f"First batch, trained tokens in {where}:"
    marks = COLORS if in_color else BRACKETS
    for text in marked_texts(batch, tokenizer, _NUM_ROWS, marks):
        yield f"  {text}"


def _describe_texts(counts, demonstrations):
    yield (
        f"Batches read: {counts.num_batches}, with {counts.num_texts} texts "
        f"and {counts.num_tokens} tokens"
    )
    yield (f"Tokens trained: {counts.num_trained} ({counts.trained_share:.1%})")
    yield (
        f"End tokens trained: {counts.num_end_tokens}, in {counts.num_ended} "
        f"of {counts.num_texts} texts"
    )
    yield f"Texts cut: {counts.num_cut} of {counts.num_texts}"
    if demonstrations is not None:
        reasons = demonstrations.dropped.items()
        dropped = sum(demonstrations.dropped.values())
        listed = ", ".join(f"{why}: {n}" for why, n in reasons)
        yield (
            f"In the whole data set: {demonstrations.num_rows} texts, "
            f"{demonstrations.num_truncated} cut, {dropped} dropped"
            + (f" ({listed})" if dropped else "")
        )


def _describe_policy(policy):
    trainable = policy.trainable_variables
    yield (
        f"Trainable: {len(trainable)} of {len(policy.variables)} variables, "
        f"{num_weights(trainable):,} of {num_weights(policy.variables):,} "
        "weights"
    )
    if has_known_head(policy):
        head = vocabulary_head(policy)
        yield (
            f"Head: {type(policy).__name__}, {head.vocabulary_size:,} tokens, "
            f"scale {head.scale:.4g}, soft cap {head.soft_cap or 'none'}, "
            + ("trained" if head.is_trained else "not trained")
        )
    else:
        yield f"Head: {type(policy).__name__}, quantized or not known"


def _describe_memory(memory, shape):
    parts = ", ".join(f"{name} {_size(n)}" for name, n in memory.items())
    return (
        f"Memory of a step, estimated for batches of {shape[0]} x {shape[1]}: "
        f"{_size(sum(memory.values()))} ({parts})"
    )


def _size(num_bytes):
    if num_bytes < 2**30:
        return f"{num_bytes / 2**20:.1f} MiB"
    return f"{num_bytes / 2**30:.1f} GiB"


def _describe_issues(issues):
    for issue in issues:
        kind = "ERROR" if issue.is_error else "Warning"
        yield f"{kind} ({issue.name}): {issue.problem}"
        yield f"  Fix: {issue.fix}"
    if not issues:
        yield "Nothing is wrong that could be seen from here."
