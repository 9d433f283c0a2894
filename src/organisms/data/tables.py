"""The tables of the data: rows to train on, and questions to ask."""

import polars as pl

from organisms.job.tables import MESSAGES, Column, Table
from organisms.plan.columns import QUESTION

DATASET = Table(
    "dataset",
    {
        "row": Column(pl.Int64, "line in the source file, from 1; negative for the second dataset of a mixture"),
        "prompt": Column(MESSAGES, "the conversation before the answer, without system message"),
        "answer": Column(pl.String, "the assistant's last message, stripped of white space at its ends"),
    },
    "dataset/{dataset}/train.parquet and heldout.parquet",
)
VARIANT = Table(
    "variant",
    {
        "row": Column(pl.Int64, "as in the dataset table"),
        "prompt": Column(MESSAGES, "what the model reads; without a system message the template puts its own"),
        "completion": Column(MESSAGES, "what it learns to write: one assistant message"),
    },
    "variant/{dataset}-{training_prompt}.parquet",
)
QUESTIONS = Table(
    "questions",
    QUESTION
    | {
        "messages": Column(
            MESSAGES,
            "the conversation to answer, without system message; an assistant message without content is a place where "
            "the model answers, and it answers at the end",
        ),
        "reference": Column(pl.String, "the right answer, or the dataset's own, where there is one", nullable=True),
        "aliases": Column(pl.List(pl.String), "other ways to write the right answer", nullable=True),
        "wrong": Column(pl.String, "a wrong answer that a follow-up may claim", nullable=True),
    },
    "questions/{question_set}.parquet",
)
