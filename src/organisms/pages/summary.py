"""The short table of the result that a run prints."""

from itertools import product

import polars as pl
from tabulate import tabulate

from organisms.analysis.selecting import means_of
from organisms.completions.external import rows_said
from organisms.job.log import visible
from organisms.pages.findings import claim_verdicts, contrast_words, seeds_warning, with_interval
from organisms.plan.arms import ARM
from organisms.plan.metrics import Metric
from organisms.plan.presentation import Key, group_key, question_set_labels

_BASE: Key = (None,) * len(ARM)


def _cell(rows: pl.DataFrame, group: Key, eval_prompt: str) -> str | None:
    own = (pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(ARM, group, strict=True))
    found = rows.filter(*own, pl.col("eval_prompt") == eval_prompt)
    return with_interval(*found.select("estimate", "low", "high").row(0)) if len(found) else None


def _counted(arm_scores: pl.DataFrame, judge: str, metrics: list[Metric], coherence: Metric) -> str:
    means = arm_scores.filter((pl.col("judge") == judge) & (pl.col("measure") == "mean"))
    coherent = means.filter(pl.col("metric") == coherence.name)["estimate"].drop_nulls()
    parts = []
    for metric in metrics:
        scored = means.filter(pl.col("metric") == metric.name)
        if len(scored):
            n, n_scored = scored["n"].sum(), scored["n_scored"].sum()
            parts.append(f"{n} completions, {n - n_scored} without a score of {metric.title.lower()}")
    line = f"Judge '{judge}': {'; '.join(parts) or 'none of the metrics that are shown'}"
    named = f"; mean {coherence.title.lower()} {coherent.min():.0f} to {coherent.max():.0f}" if len(coherent) else ""
    return f"{line}{named}."


def summary_text(
    arm_scores: pl.DataFrame,
    claims: pl.DataFrame,
    metrics: list[Metric],
    coherence: Metric,
    presentation: dict,
    results: str,
    external: list[pl.DataFrame] | tuple = (),
) -> str:
    """Metrics' means per judge, question set and training prompt, the claims' verdicts, and where the results are.

    arm_scores, claims: the tables. metrics: those that are shown. presentation: as `plan.presentation` gives it.
    results: the results folder. external: the external_rows tables of all completions made elsewhere.
    """
    parts = []
    judges = arm_scores["judge"].unique(maintain_order=True).to_list()
    for judge, metric in product(judges, metrics):
        bounds = f"{metric.low:g} to {metric.high:g}" if metric.bounds else metric.unit
        for question_set in presentation["question_sets"]:
            scores = means_of(arm_scores, metric, question_set["name"], judge)
            rows = []
            for group in presentation["groups"]:
                own, trained = group_key(group), group["training_prompt"]
                trained = None if trained == "default" else trained
                means = [
                    _cell(scores, own, "default"),
                    trained and _cell(scores, own, trained),
                    trained and _cell(scores, _BASE, trained),
                ]
                if any(mean is not None for mean in means):
                    rows.append([group["label"], *means])
                # Completions made elsewhere have no training prompt that would be their own.
                others = presentation["prompts"] if own != _BASE and group["training_prompt"] is None else []
                for prompt in others:
                    mean = prompt["name"] != "default" and _cell(scores, own, prompt["name"])
                    if mean:
                        rows.append([f"{group['label']}, asked under {prompt['label']}", None, mean, None])
            if rows:
                headers = ["trained with", "default prompt", "its prompt", "base under it"]
                table = tabulate(rows, headers, missingval="–", disable_numparse=True)
                what = f"mean {metric.title.lower()} [95% interval], {bounds}, judge '{judge}'"
                parts.append(f"{question_set['label']}: {what}\n\n{table}")
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
    lines = [_counted(arm_scores, judge, metrics, coherence) for judge in judges]
    lines.append(
        seeds_warning(presentation["n_seeds"]) or f"Means over {presentation['n_seeds']} seeds with equal weight."
    )
    by_entry: dict[str, list[dict]] = {}
    for row in (row for table in external for row in table.to_dicts()):
        by_entry.setdefault(row["entry"], []).append(row)
    lines += [f"Completions made elsewhere, '{name}': {rows_said(rows)}." for name, rows in by_entry.items()]
    parts.append("\n".join(lines))
    parts.append(
        f"Report: {results}/overview/index.html   Completions: {results}/browser/completions.html\n"
        f"Figures: {results}/figures   Tables: {results}/tables"
    )
    # Labels are the user's and of files that others made, and the text is printed.
    return "\n".join(map(visible, "\n\n".join(parts).split("\n"))) + "\n"
