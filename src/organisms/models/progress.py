"""Progress of long steps: short lines for a person who is waiting."""

import time

from transformers import TrainerCallback
from transformers.trainer_callback import PrinterCallback

from organisms.job.log import Report


class ProgressCallback(TrainerCallback):
    """Reports the training loss at most every `every` seconds, with the time that is left."""

    def __init__(self, report: Report, every: float = 5.0):
        self._report, self._every = report, every
        self._start = self._last = time.monotonic()

    def on_train_begin(self, args, state, control, **kwargs):
        self._start = self._last = time.monotonic()

    def on_log(self, args, state, control, logs=None, **kwargs):
        now = time.monotonic()
        done = state.global_step == state.max_steps
        if "loss" not in (logs or {}) or (now - self._last < self._every and not done):
            return
        self._last = now
        left = (now - self._start) / state.global_step * (state.max_steps - state.global_step)
        self._report(
            f"step {state.global_step}/{state.max_steps}, loss {float(logs['loss']):.3f}, about {left:.0f} s left"
        )


def silence_printer(trainer) -> None:
    """Remove the trainer's own printer of log dictionaries; `ProgressCallback` speaks instead."""
    trainer.remove_callback(PrinterCallback)
