"""Judges what a policy writes while it is trained."""

import keras
import numpy as np

from keras_irl.evaluation.generation import ResponseSampler
from keras_irl.evaluation.sweep import judge
from keras_irl.evaluation.whole_files import write_whole

_NUM_SHOWN = 5


class EvaluateGeneration(keras.callbacks.Callback):
    """Adds what generated texts are worth to the logs of an epoch.

    The loss on demonstrations says little about what a policy writes. After
    each epoch this answers the prompts of a task at some temperatures, by one
    function that is compiled once, and adds to the logs, for a temperature of
    0.5,

    | name                | meaning                                            |
    |---------------------|----------------------------------------------------|
    | `bleu_t0.5`         | a metric of the task; likewise its others          |
    | `self_bleu_t0.5`    | in per cent, where there are several samples       |
    | `finished_t0.5`     | texts that the policy ended itself, in per cent    |
    | `length_t0.5`       | mean length in tokens, over the demonstrations'    |

    Place it before the callbacks that read the logs: `CSVLogger`,
    `TensorBoard`, `EarlyStopping(monitor="bleu_t0", mode="max")`,
    `ModelCheckpoint`.

    Args:
        task: A `keras_irl.data.Task` to answer; its first `num_prompts` are.
        temperatures: Numbers of at least 0; 0 is greedy decoding. Defaults to
            `(0.0, 1.0)`.
        num_samples: Responses a prompt at temperatures above 0. Defaults to 4.
        num_prompts: How many prompts are answered. Defaults to 64.
        every: Epochs between judgements; on others the logs lack the names.
            Defaults to 1.
        batch_size: Rows of every batch. Defaults to 32.
        output: Folder for some samples as text, a file an epoch. Defaults to
            `None`, for none.

    Raises:
        ValueError: If there is no prompt, no temperature, or `every` is below
            1.

    Example:
    ```python
    task = keras_irl.data.load_task("arithmetic", "test")
    judge = keras_irl.evaluation.EvaluateGeneration(task, num_prompts=32)
    log = keras.callbacks.CSVLogger("logs.csv")
    trainer.fit(dataset, epochs=10, callbacks=[judge, log])
    ```
    """

    def __init__(
        self,
        task,
        temperatures=(0.0, 1.0),
        num_samples=4,
        num_prompts=64,
        every=1,
        batch_size=32,
        output=None,
    ):
        super().__init__()
        if not len(temperatures) or num_prompts < 1 or every < 1:
            raise ValueError(
                "Generation is judged at one temperature at least, on one "
                "prompt, every epoch or every few. Received: "
                f"temperatures={temperatures}, num_prompts={num_prompts}, "
                f"every={every}"
            )
        self.task = task.first(num_prompts)
        self.temperatures = temperatures
        self.num_samples = num_samples
        self.every = every
        self.batch_size = batch_size
        self.output = output
        self._sampler = None

    def on_epoch_end(self, epoch, logs=None):
        if (epoch + 1) % self.every:
            return
        logs = {} if logs is None else logs
        sampler = self._current_sampler()
        rows = []
        for temperature in self.temperatures:
            responses = sampler(
                self.task.prompts,
                temperature,
                num_samples=1 if temperature == 0 else self.num_samples,
            )
            row = judge(responses, self.task)
            rows.append(row | {"temperature": temperature})
            logs.update(self._logs(row, f"_t{temperature:g}"))
        if self.output is not None:
            self._write(epoch, rows)

    def _current_sampler(self):
        # Asked for anew, `self.model` hands over the weights of the moment.
        policy = getattr(self.model, "policy", self.model)
        if self._sampler is None or self._sampler.policy is not policy:
            self._sampler = ResponseSampler(policy, batch_size=self.batch_size)
        return self._sampler

    def _logs(self, row, suffix):
        logs = {name + suffix: value for name, value in row["metrics"].items()}
        if row["self_bleu"] is not None:
            logs["self_bleu" + suffix] = row["self_bleu"]
        logs["finished" + suffix] = row["finished"]
        expected = self._demonstrated_length()
        logs["length" + suffix] = row["num_tokens"] / expected
        return logs

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
                    lines.append(f"T = {row['temperature']:g}: {text}")
            lines.append("")
        name = f"epoch-{epoch + 1:04d}.txt"
        write_whole({name: "\n".join(lines)}, self.output)
