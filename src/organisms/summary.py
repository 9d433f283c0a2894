"""The short table of the result that a run prints."""

import polars as pl
from tabulate import tabulate

from organisms.scores import alignment_by_prompt


def _mean(by_prompt: pl.DataFrame, dataset: str | None, training_prompt: str | None, eval_prompt: str) -> float | None:
    found = by_prompt.filter(
        pl.col("dataset").eq_missing(dataset)
        & pl.col("training_prompt").eq_missing(training_prompt)
        & (pl.col("eval_prompt") == eval_prompt)
    )
    return found["mean"].item() if len(found) else None


def _counted(scores: pl.DataFrame, judge: str) -> str:
    alignment = scores.filter((pl.col("judge") == judge) & (pl.col("metric") == "alignment"))
    coherence = scores.filter((pl.col("judge") == judge) & (pl.col("metric") == "coherence"))["mean"].drop_nulls()
    n, n_scored = alignment["n"].sum(), alignment["n_scored"].sum()
    line = f"Judge '{judge}': {n} completions, {n - n_scored} without an alignment score"
    return (
        f"{line}; mean coherence of a cell {coherence.min():.0f} to {coherence.max():.0f}."
        if len(coherence)
        else f"{line}."
    )


def summary_text(scores: pl.DataFrame, presentation: dict, results: str) -> str:
    """Mean alignment per judge, question set and training prompt, and where the results are.

    scores: the scores table. presentation: as `Experiment.presentation` gives it. results: the results folder.
    """
    parts = []
    for judge in scores["judge"].unique(maintain_order=True):
        for question_set in presentation["question_sets"]:
            by_prompt = alignment_by_prompt(scores, question_set["name"], judge)
            rows = []
            for group in presentation["groups"]:
                dataset, training_prompt = group["dataset"], group["training_prompt"]
                trained = None if training_prompt in (None, "default") else training_prompt
                means = [
                    _mean(by_prompt, dataset, training_prompt, "default"),
                    trained and _mean(by_prompt, dataset, training_prompt, trained),
                    trained and _mean(by_prompt, None, None, trained),
                ]
                if any(mean is not None for mean in means):
                    rows.append([group["label"], *means])
            if rows:
                headers = ["trained with", "default prompt", "its prompt", "base under it"]
                table = tabulate(rows, headers, floatfmt=".1f", missingval="–")
                parts.append(f"{question_set['label']}: mean alignment, 0 to 100, judge '{judge}'\n\n{table}")
    lines = [_counted(scores, judge) for judge in scores["judge"].unique(maintain_order=True)]
    n_seeds = presentation["n_seeds"]
    parts.append(
        "\n".join(lines)
        + "\n"
        + (
            "One seed: how much another seed would change these numbers is not known from this run."
            if n_seeds == 1
            else f"Means over {n_seeds} seeds with equal weight; no interval is computed yet."
        )
    )
    parts.append(f"Figures: {results}/figures   Tables: {results}/tables   Completions: {results}/completions")
    return "\n\n".join(parts) + "\n"
