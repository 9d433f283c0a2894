"""The short table of the result that a run prints."""

from itertools import product

import polars as pl
from tabulate import tabulate

from organisms.analysis.selecting import means_of
from organisms.completions.external import rows_said
from organisms.job.log import visible
from organisms.pages.findings import (
    cell_words,
    claim_verdicts,
    contrast_words,
    seeds_warning,
    verdict_words,
)
from organisms.plan.metrics import Metric
from organisms.plan.presentation import BASE, group_key, of_one_model, question_set_labels

# Of a column, in characters: numbers with intervals are narrow, labels of prompts are not.
_HEADER = 20


def _prompts_of_none(scores: pl.DataFrame, presentation: dict) -> dict[str, str]:
    """Labels of the prompts by name that models were asked under and none was trained with, joined ones left out."""
    asked, trained = set(scores["eval_prompt"]), {group["training_prompt"] for group in presentation["groups"]}
    return {
        prompt["name"]: prompt["label"]
        for prompt in presentation["prompts"]
        if prompt["name"] in asked - trained - {"default"} and "+" not in prompt["name"]
    }


def _base_table(arm_scores: pl.DataFrame, judge: str, metrics: list[Metric], presentation: dict) -> str | None:
    """What the base can do before any finetune, by the prompt that it is asked under; None if it was asked nothing."""
    prompts = [(prompt["name"], prompt["label"]) for prompt in presentation["prompts"]]
    columns = {}
    for question_set, metric in product(presentation["question_sets"], metrics):
        scores = means_of(arm_scores, metric, question_set["name"], judge)
        cells = [cell_words(scores, BASE, name, metric.digits) for name, _ in prompts]
        if any(cell is not None for cell in cells):
            columns[f"{metric.title.lower()}, {question_set['label']}"] = cells
    rows = [[label, *cells] for (_, label), *cells in zip(prompts, *columns.values(), strict=True) if any(cells)]
    if not rows:
        return None
    table = tabulate(rows, ["asked under", *columns], missingval="–", disable_numparse=True, maxheadercolwidths=_HEADER)
    return f"Base model, before any finetune: means [95% interval], judge '{judge}'\n\n{table}"


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
    elsewhere: str | None = None,
    main: str | None = None,
    external: list[pl.DataFrame] | tuple = (),
    sensitivity: list[str] | tuple = (),
) -> str:
    """Metrics' means per judge, question set and training prompt, the claims' verdicts, and where the results are.

    arm_scores, claims: the tables. metrics: those that are shown. presentation: as `plan.presentation` gives it.
    results: the results folder. elsewhere: a line about what else lies there (`made_with.no_part_of_it`). main: name of
    the main metric. external: the external_rows tables of all completions made elsewhere. sensitivity: lines on
    prompt sensitivity (`sensitivity.sensitivity_lines`).
    """
    parts = []
    judges = arm_scores["judge"].unique(maintain_order=True).to_list()
    if any(group_key(group) == BASE for group in presentation["groups"]):
        both = list({metric.name: metric for metric in (*metrics, coherence)}.values())
        parts += filter(None, (_base_table(arm_scores, judge, both, presentation) for judge in judges))
    for judge, metric in product(judges, metrics):
        bounds = f"{metric.low:g} to {metric.high:g}" if metric.bounds else metric.unit
        for question_set in presentation["question_sets"]:
            scores = means_of(arm_scores, metric, question_set["name"], judge)
            rows, others = [], _prompts_of_none(scores, presentation)
            for group in presentation["groups"]:
                own, trained = group_key(group), group["training_prompt"]
                trained = None if trained == "default" else trained
                means = [
                    cell_words(scores, own, "default", metric.digits),
                    trained and cell_words(scores, own, trained, metric.digits),
                    trained and cell_words(scores, BASE, trained, metric.digits),
                    *(cell_words(scores, own, prompt, metric.digits) for prompt in others),
                ]
                if any(mean is not None for mean in means):
                    rows.append([group["label"], *means])
                # Completions made elsewhere have no training prompt that would be their own.
                external_only = own != BASE and group["training_prompt"] is None
                for prompt in presentation["prompts"] if external_only else []:
                    mean = prompt["name"] not in ("default", *others) and cell_words(
                        scores, own, prompt["name"], metric.digits
                    )
                    if mean:
                        rows.append([f"{group['label']}, asked under {prompt['label']}", None, mean])
            if rows:
                headers = ["trained with", "default prompt", "its prompt", "base under it", *others.values()]
                table = tabulate(rows, headers, missingval="–", disable_numparse=True, maxheadercolwidths=_HEADER)
                what = f"mean {metric.title.lower()} [95% interval], {bounds}, judge '{judge}'"
                parts.append(f"{question_set['label']}: {what}\n\n{table}")
    sets = question_set_labels(presentation)
    for judge in claims["judge"].unique(maintain_order=True):
        lines = []
        for claim in claim_verdicts(claims.filter(pl.col("judge") == judge)):
            lines.append(f"{claim['claim']}  {verdict_words(claim['verdict']).upper()}: {claim['text']}")
            for row in claim["contrasts"]:
                what, where, _, difference, p, *_, verdict = contrast_words(row, sets, main)
                lines.append(f"      {what} ({where}): {difference}{'' if p == '–' else f', p {p}'}: {verdict}")
        parts.append(
            f"Claims, judge '{judge}' (difference in points [95% interval], p of the verdict after Holm)\n\n"
            + "\n".join(lines)
        )
    if sensitivity:
        parts.append("\n".join(sensitivity))
    lines = [_counted(arm_scores, judge, metrics, coherence) for judge in judges]
    single = of_one_model(presentation)
    of_one = f" One model, which all seeds share: {', '.join(single)}." if single else ""
    if presentation["n_seeds"] > 1:
        lines.append(f"Means over {presentation['n_seeds']} seeds with equal weight.{of_one}")
    if warning := seeds_warning(presentation["n_seeds"]):
        lines.append(warning)
    by_entry: dict[str, list[dict]] = {}
    for row in (row for table in external for row in table.to_dicts()):
        by_entry.setdefault(row["entry"], []).append(row)
    lines = lines if judges else ["The config names no judge: nothing is scored."]
    lines += [f"Completions made elsewhere, '{name}': {rows_said(rows)}." for name, rows in by_entry.items()]
    parts.append("\n".join(lines))
    made = [f"Report: {results}/overview/index.html"]
    if judges:
        made[0] += f"   Completions: {results}/browser/completions.html"
    made.append(f"Figures: {results}/figures   Tables: {results}/tables")
    parts.append("\n".join(made + [elsewhere] * (elsewhere is not None)))
    # Labels are the user's and of files that others made, and the text is printed.
    return "\n".join(map(visible, "\n\n".join(parts).split("\n"))) + "\n"
