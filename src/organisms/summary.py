"""The short table of the result that a run prints."""

import polars as pl
from tabulate import tabulate

from organisms.findings import alignment_of, claim_verdicts, contrast_words, seeds_warning, with_interval
from organisms.labels import question_set_labels


def _cell(rows: pl.DataFrame, dataset: str | None, training_prompt: str | None, eval_prompt: str) -> str | None:
    found = rows.filter(
        pl.col("dataset").eq_missing(dataset)
        & pl.col("training_prompt").eq_missing(training_prompt)
        & (pl.col("eval_prompt") == eval_prompt)
    )
    return with_interval(*found.select("estimate", "low", "high").row(0)) if len(found) else None


def _counted(variant_scores: pl.DataFrame, judge: str) -> str:
    means = variant_scores.filter((pl.col("judge") == judge) & (pl.col("measure") == "mean"))
    alignment = means.filter(pl.col("metric") == "alignment")
    coherence = means.filter(pl.col("metric") == "coherence")["estimate"].drop_nulls()
    n, n_scored = alignment["n"].sum(), alignment["n_scored"].sum()
    line = f"Judge '{judge}': {n} completions, {n - n_scored} without an alignment score"
    return f"{line}; mean coherence {coherence.min():.0f} to {coherence.max():.0f}." if len(coherence) else f"{line}."


def summary_text(variant_scores: pl.DataFrame, claims: pl.DataFrame, presentation: dict, results: str) -> str:
    """Mean alignment per judge, question set and training prompt, the claims' verdicts, and where the results are.

    variant_scores, claims: the tables. presentation: `Experiment.presentation`. results: the results folder.
    """
    parts = []
    judges = variant_scores["judge"].unique(maintain_order=True).to_list()
    for judge in judges:
        for question_set in presentation["question_sets"]:
            scores = alignment_of(variant_scores, question_set["name"], judge)
            rows = []
            for group in presentation["groups"]:
                dataset, training_prompt = group["dataset"], group["training_prompt"]
                trained = None if training_prompt in (None, "default") else training_prompt
                means = [
                    _cell(scores, dataset, training_prompt, "default"),
                    trained and _cell(scores, dataset, training_prompt, trained),
                    trained and _cell(scores, None, None, trained),
                ]
                if any(mean is not None for mean in means):
                    rows.append([group["label"], *means])
            if rows:
                headers = ["trained with", "default prompt", "its prompt", "base under it"]
                table = tabulate(rows, headers, missingval="–", disable_numparse=True)
                parts.append(
                    f"{question_set['label']}: mean alignment [95% interval], 0 to 100, judge '{judge}'\n\n{table}"
                )
    sets = question_set_labels(presentation)
    for judge in claims["judge"].unique(maintain_order=True):
        lines = []
        for claim in claim_verdicts(claims.filter(pl.col("judge") == judge)):
            one = "" if claim["seeds_in_interval"] else " (one seed)"
            lines.append(f"{claim['claim']}  {claim['verdict'].upper()}{one}: {claim['text']}")
            for row in claim["contrasts"]:
                what, where, _, difference, p, *_, verdict = contrast_words(row, sets)
                lines.append(f"      {what} ({where}): {difference}, p {p}: {verdict}")
        parts.append(
            f"Claims, judge '{judge}' (difference in points [95% interval], p after Holm)\n\n" + "\n".join(lines)
        )
    lines = [_counted(variant_scores, judge) for judge in judges]
    lines.append(
        seeds_warning(presentation["n_seeds"]) or f"Means over {presentation['n_seeds']} seeds with equal weight."
    )
    parts.append("\n".join(lines))
    parts.append(
        f"Report: {results}/overview/index.html   Completions: {results}/browser/completions.html\n"
        f"Figures: {results}/figures   Tables: {results}/tables"
    )
    return "\n\n".join(parts) + "\n"
