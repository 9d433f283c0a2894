"""The log of a finetune: each optimiser step's loss, learning rate, gradient norm and speed."""

import time

from transformers import TrainerCallback


class Clock(TrainerCallback):
    """Notes in each row of the log how many seconds had gone by since the step from which this run started.

    It also makes good that trl counts tokens from 0 again when a training goes on from a checkpoint.
    """

    def on_train_begin(self, args, state, control, **kwargs):
        self._start, self._first_step = time.monotonic(), state.global_step
        self._tokens = max((entry.get("num_tokens", 0) for entry in state.log_history), default=0)

    def on_log(self, args, state, control, logs=None, **kwargs):
        if logs is not None and "loss" in logs:
            entry = state.log_history[-1]
            entry |= {"seconds": time.monotonic() - self._start, "run": self._first_step}
            entry["num_tokens"] += self._tokens


def log_rows(history: list[dict]) -> list[dict]:
    """Rows of the training_log table from the history of a trainer that had a `Clock`."""
    rows = []
    before: dict = {}
    for entry in (entry for entry in history if "loss" in entry):
        row = {key: float(entry[key]) for key in ("epoch", "loss", "learning_rate", "grad_norm", "num_tokens")}
        if before.get("run") == entry["run"]:
            tokens, seconds = (entry[key] - before[key] for key in ("num_tokens", "seconds"))
            row["tokens_per_second"] = tokens / seconds
        rows.append({"step": entry["step"]} | row)
        before = entry
    return rows
