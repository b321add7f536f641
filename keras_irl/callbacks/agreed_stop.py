"""A stop by a signal, which all processes of a training heed at one step."""

import time

from keras_irl.callbacks.held_signals import HeldSignals
from keras_irl.runtime.processes import all_gather
from keras_irl.runtime.processes import num_processes

# After how many seconds, about, a signal to one process is known to all.
_SECONDS = 2.0


class AgreedStop:
    """Holds signals until all processes know of them, and hands them on then.

    A process that ended by itself would leave the others waiting for its part
    of the next step. So all of them ask each other whether there was a signal,
    every few seconds: at steps that they agree on, for a question takes a while
    and waits for the steps before it. A process alone asks nobody.
    """

    def __init__(self) -> None:
        self._signals = HeldSignals()
        self._number: int | None = None
        self._asked_step = self._next_step = 0
        self._asked_at = 0.0

    @property
    def is_agreed(self) -> bool:
        """Whether all are to stop now."""
        return self._number is not None

    def hold(self, step: int) -> None:
        """Begins to hold signals back.

        Args:
            step: The number of steps so far.
        """
        self._signals.hold()
        self._number = None
        self._asked_step = self._next_step = step
        self._asked_at = time.monotonic()

    def release(self) -> None:
        """Ends to hold signals back, and hands on one that still waits.

        It has come after the last question: no other process knows of it.

        Raises:
            SystemExit: If nothing in Python would have handled it.
        """
        self._number = None
        self._signals.release()

    def ask(self, step: int, at_end: bool = False) -> bool:
        """Asks whether to stop. All processes must ask at the same steps.

        Args:
            step: The number of steps so far.
            at_end: Whether no other question follows. Defaults to `False`.

        Returns:
            Whether all are to stop now.
        """
        if num_processes() == 1:
            self._number = self._signals.number
        elif at_end or step >= self._next_step:
            self._ask_all(step)
        return self.is_agreed

    def _ask_all(self, step):
        now = time.monotonic()
        num_steps, seconds = step - self._asked_step, now - self._asked_at
        gap = int(_SECONDS * num_steps / seconds) if seconds else 1
        answers = all_gather([self._signals.number or 0, max(1, gap)])
        self._number = int(answers[:, 0].max()) or None
        self._asked_step, self._asked_at = step, now
        self._next_step = step + int(answers[:, 1].min())

    def hand_on(self) -> None:
        """Hands the signal on, to whatever would have handled it here.

        Raises:
            SystemExit: If nothing in Python would have.
        """
        number, self._number = self._number, None
        if number is not None:
            self._signals.hand_on(number)
