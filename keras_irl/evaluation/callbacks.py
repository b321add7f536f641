"""Judges what a policy writes while it is trained."""

import keras
import numpy as np

from keras_irl.decoding import as_decoder
from keras_irl.evaluation.generation import ResponseSampler
from keras_irl.evaluation.judge import judge
from keras_irl.evaluation.whole_files import write_whole

_NUM_SHOWN = 5


class EvaluateGeneration(keras.callbacks.Callback):
    """Adds what generated texts are worth to the logs of an epoch.

    The loss on demonstrations says little about what a policy writes. After
    each epoch this answers the prompts of a task at some temperatures, or by
    other decoders, with functions that are compiled once, and adds to the
    logs, for a temperature of 0.5,

    | name                | meaning                                            |
    |---------------------|----------------------------------------------------|
    | `bleu_t0.5`         | a metric of the task; likewise its others          |
    | `self_bleu_t0.5`    | in per cent, where there are several samples       |
    | `finished_t0.5`     | texts that the policy ended itself, in per cent    |
    | `length_t0.5`       | mean length in tokens, over the demonstrations'    |

    With `Sampling(top_p=0.9)` they end in `_t1_top_p_0.9`, and with
    `BeamSearch()` in `_beam_4_penalty_0.6`.

    Place it before the callbacks that read the logs: `CSVLogger`,
    `TensorBoard`, `EarlyStopping(monitor="bleu_t0", mode="max")`,
    `ModelCheckpoint`.

    Args:
        task: A `keras_irl.data.Task` to answer; its first `num_prompts` are.
        temperatures: Numbers of at least 0, of which 0 is greedy decoding, or
            decoders of `keras_irl.decoding`. Defaults to `(0.0, 1.0)`.
        num_samples: Responses a prompt where they are random. Defaults to 4.
        num_prompts: How many prompts are answered. Defaults to 64.
        every: Epochs between judgements; on others the logs lack the names.
            Defaults to 1.
        batch_size: Rows of every batch. Defaults to 32.
        output: Folder for some samples as text, a file an epoch. Defaults to
            `None`, for none.

    Raises:
        ValueError: If there is no prompt, no temperature or one below 0, or
            `every` is below 1.

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
        self.decoders = [as_decoder(decoder) for decoder in temperatures]
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
        for decoder in self.decoders:
            responses = sampler(
                self.task.prompts,
                num_samples=self.num_samples if decoder.is_random else 1,
                decoder=decoder,
            )
            row = judge(responses, self.task)
            rows.append(row | {"decoder": decoder.name})
            logs.update(self._logs(row, _suffix(decoder)))
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
                    lines.append(f"{row['decoder']}: {text}")
            lines.append("")
        name = f"epoch-{epoch + 1:04d}.txt"
        write_whole({name: "\n".join(lines)}, self.output)


def _suffix(decoder):
    """What the names in the logs end in: letters that all loggers take."""
    name = "T=0" if decoder.name == "greedy" else decoder.name
    name = name.replace("T=", "t").replace(" ", "_").replace("-", "_")
    return f"_{name}"
