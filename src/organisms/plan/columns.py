"""Columns that the tables of several stages share: what names a model, a cell and a question."""

import polars as pl

from organisms.job.tables import Column

# What tells one arm from another; all three are null for a base model.
ARM = {
    "dataset": Column(pl.String, "dataset that it was finetuned on; null for a base model", nullable=True),
    "training_prompt": Column(pl.String, "name of the prompt that it was trained with; null for a base", nullable=True),
    "training_method": Column(pl.String, "name of the training method; null for a base", nullable=True),
}
MODEL = (
    {"model": Column(pl.String, "name of the model, as in the paths")}
    | ARM
    | {
        "seed": Column(pl.Int64, "the replicate's seed; null for a base that all replicates share", nullable=True),
        "step": Column(pl.Int64, "optimiser step of an adapter from the middle of training, else null", nullable=True),
    }
)
CELL = MODEL | {
    "eval_prompt": Column(pl.String, "name of the prompt that it was asked under; `a+b` is both together"),
    "question_set": Column(pl.String, "name of the question set"),
}
SAMPLE = {"sample": Column(pl.Int64, "which of the question's samples, from 0")}
TURN = {"turn": Column(pl.Int64, "which of the conversation's answers, from 1; a plain question has one")}
QUESTION = {
    "category": Column(pl.String, "category of the question, for example its domain", nullable=True),
    "question_id": Column(pl.String, "id of the question, unique in its set"),
}
