"""A callback that evaluates generated text during training."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Protocol

import keras
import numpy as np

from keras_irl.arguments import check_integer
from keras_irl.error_texts import shortened
from keras_irl.evaluation.judging import JudgedTask
from keras_irl.evaluation.judging import check_task
from keras_irl.evaluation.judging import judge
from keras_irl.evaluation.judging import require_task
from keras_irl.files.atomic import atomic_write
from keras_irl.files.paths import check_folder
from keras_irl.generation import encode_prompts
from keras_irl.generation.decoders import decoders_of
from keras_irl.generation.responses import ResponseSampler
from keras_irl.models.policy_model import PolicyModel
from keras_irl.types import Logs
from keras_irl.types import Path

if TYPE_CHECKING:
    from keras_irl.generation.decoders import Decoder

_NUM_SHOWN = 5


class _ShortenedTask(JudgedTask, Protocol):
    """A task of which the first prompts alone may be answered."""

    def first(self, num_prompts: int) -> JudgedTask: ...


class EvaluateGeneration(keras.callbacks.Callback):
    """Adds metrics of generated texts to the logs of an epoch.

    The loss on demonstrations says little about what a policy writes. After
    each epoch this answers the prompts of a task at some temperatures, or by
    other decoders, with functions that are compiled once, and adds to the
    logs, for a temperature of 0.5,

    | name                | meaning                                            |
    |---------------------|----------------------------------------------------|
    | `bleu_t0.5`         | a metric of the task; likewise its others          |
    | `self_bleu_t0.5`    | in percent, where there are several samples       |
    | `distinct_1_t0.5`   | likewise, different words; and of n-grams to 3     |
    | `entropy_t0.5`      | of the policy at its samples, in nats a token      |
    | `finished_t0.5`     | texts that the policy ended itself, in percent    |
    | `length_t0.5`       | mean length in tokens, over the demonstrations'    |

    The diversity is that of `num_samples` responses a prompt; it and the
    entropy are defined as in `keras_irl.evaluation.sweep`.

    With `Sampling(top_p=0.9)` they end in `_t1_top_p_0.9`, and with
    `BeamSearch()` in `_beam_4_penalty_0.6`.

    Place it before the callbacks that read the logs: `CSVLogger`,
    `TensorBoard`, `EarlyStopping(monitor="bleu_t0", mode="max")`,
    `ModelCheckpoint`. All epochs have the same names. Where nothing is judged
    they are NaN: to these callbacks, an epoch without an improvement. The
    first epoch is judged always, as they would take NaN for the best.

    Args:
        task: A `keras_irl.data.Task` to answer; its first `num_prompts` are.
        temperatures: Numbers of at least 0, of which 0 is greedy decoding.
            Defaults to `(0.0, 1.0)`, and to none where there are `decoders`.
        num_samples: Responses a prompt where they are random. Defaults to 4.
        num_prompts: How many prompts are answered. Defaults to 64.
        decoders: Further decoders, `keras_irl.generation.Sampling` or
            `BeamSearch`. Defaults to none.
        every: Judges the first epoch of a training and every epoch whose
            number is a multiple of this. Defaults to 1.
        batch_size: Rows of every batch. Defaults to 32.
        output: Folder for some samples as text, a file an epoch. Defaults to
            `None`, for none.

    Raises:
        ValueError: If there is no prompt, no temperature or one below 0, if a
            count is below 1, or if the task can't be judged: a prompt has no
            reference, or a metric fails on the references. Before the first
            step, also if the policy can't answer the prompts.

    Example:
    ```python
    task = keras_irl.data.load_task("arithmetic", "test")
    judge = keras_irl.callbacks.EvaluateGeneration(task, num_prompts=32)
    log = keras.callbacks.CSVLogger("logs.csv")
    trainer.fit(dataset, epochs=10, callbacks=[judge, log])
    ```
    """

    def __init__(
        self,
        task: _ShortenedTask,
        temperatures: Sequence[float] | None = None,
        num_samples: int = 4,
        num_prompts: int = 64,
        *,
        decoders: "Sequence[Decoder]" = (),
        every: int = 1,
        batch_size: int = 32,
        output: Path | None = None,
    ) -> None:
        super().__init__()
        self.decoders = decoders_of(temperatures, decoders, (0.0, 1.0))
        num_prompts = check_integer("num_prompts", num_prompts, least=1)
        self.num_samples = check_integer("num_samples", num_samples, least=1)
        self.every = check_integer("every", every, least=1)
        self.batch_size = check_integer("batch_size", batch_size, least=1)
        require_task(task)
        if not self.decoders or not len(task.prompts):
            raise ValueError(
                "Generation is judged at one temperature at least, on one "
                "prompt at least. Received: "
                f"temperatures={shortened(temperatures)}, "
                f"decoders={shortened(decoders)}, "
                f"len(task.prompts)={len(task.prompts)}"
            )
        self.task = task.first(num_prompts)
        check_task(self.task)
        if output is not None:
            check_folder(output, ())
        self.output = output
        self._sampler = None
        self._names: list[str] | None = None

    def on_train_begin(self, logs: Logs = None) -> None:
        self._names = None
        # What would otherwise be found out after an epoch.
        sampler = self._current_sampler()
        prompts = list(self.task.prompts)
        encode_prompts(sampler.policy, prompts, sampler.max_length)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        logs = {} if logs is None else logs
        if self._names is not None and (epoch + 1) % self.every:
            logs.update(dict.fromkeys(self._names, math.nan))
            return
        found, rows = self._judge()
        self._names = list(found)
        logs.update(found)
        if self.output is not None:
            self._write(epoch, rows)

    def _judge(self):
        """The logs, and what each decoder wrote."""
        sampler, prompts = self._current_sampler(), list(self.task.prompts)
        found, rows = {}, []
        for decoder in self.decoders:
            responses = sampler(
                prompts,
                num_samples=self.num_samples if decoder.is_random else 1,
                decoder=decoder,
            )
            entropies = sampler.entropies(prompts, responses)
            row = judge(responses, self.task, entropies)
            rows.append(row | {"decoder": decoder.name})
            found |= self._logs(row, _suffix(decoder))
        return found, rows

    def _current_sampler(self):
        # Asked for anew, `self.model` hands over the weights of the moment.
        policy = self.model
        if isinstance(policy, PolicyModel):
            policy = policy.policy
        if self._sampler is None or self._sampler.policy is not policy:
            self._sampler = ResponseSampler(policy, batch_size=self.batch_size)
        return self._sampler

    def _logs(self, row, suffix):
        found = row["metrics"] | {
            "finished": row["finished"],
            "length": row["num_tokens"] / self._demonstrated_length(),
        }
        if row["num_samples"] > 1:
            names = ("self_bleu", "distinct_1", "distinct_2", "distinct_3")
            found |= {name: row[name] for name in names}
        if row["entropy"] is not None:
            found["entropy"] = row["entropy"]
        return {name + suffix: value for name, value in found.items()}

    def _demonstrated_length(self):
        tokens = self._sampler.tokenizer(list(self.task.responses))
        # The end token is one of them.
        return 1.0 + float(np.mean([len(row) for row in tokens]))

    def _write(self, epoch, rows):
        lines = []
        for i, prompt in enumerate(self.task.prompts[:_NUM_SHOWN]):
            lines.append(f"prompt: {prompt}")
            for row in rows:
                for text in row["responses"][i]:
                    lines.append(f"{row['decoder']}: {text}")
            lines.append("")
        name = f"epoch-{epoch + 1:04d}.txt"
        atomic_write({name: "\n".join(lines)}, self.output)


def _suffix(decoder):
    """Suffix of names in the logs, of letters that all loggers take."""
    name = "T=0" if decoder.name == "greedy" else decoder.name
    name = name.replace("T=", "t").replace(" ", "_").replace("-", "_")
    return f"_{name}"
