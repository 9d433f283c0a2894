"""The table of a finetune's log."""

import polars as pl

from organisms.job.tables import Column, Table

TRAINING_LOG = Table(
    "training_log",
    {
        "step": Column(pl.Int64, "optimiser step, from 1"),
        "epoch": Column(pl.Float64, "passes over the training split so far"),
        "loss": Column(pl.Float64, "mean over the step's completion tokens, in nats"),
        "learning_rate": Column(pl.Float64, "learning rate of the step"),
        "grad_norm": Column(pl.Float64, "norm of the gradient before clipping"),
        "num_tokens": Column(pl.Float64, "tokens seen so far, prompts included"),
        "tokens_per_second": Column(
            pl.Float64, "tokens of the step by its duration; null for the first after a start", nullable=True
        ),
    },
    "finetune/{model}/training_log.parquet",
)
