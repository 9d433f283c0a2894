"""The page that opens with the answer: the claims, the two figures, and what made them."""

from collections.abc import Mapping

import polars as pl
import yaml

from organisms.analysis.selecting import last_answers
from organisms.job.files import sha256_of
from organisms.pages.findings import (
    CONTRAST_HEADERS,
    DIAGNOSIS_HEADERS,
    claim_verdicts,
    contrast_words,
    diagnosis_words,
    headline,
    seeds_warning,
    verdict_words,
    with_interval,
)
from organisms.pages.made_with import seeds_made_with, settings_made_with, versions_made_with
from organisms.pages.markup import picture, table, text
from organisms.plan.config import CORRELATION
from organisms.plan.metrics import Metric
from organisms.plan.presentation import Key, group_key, group_labels, prompt_labels, question_set_labels


def _claims(claims: pl.DataFrame, sets: dict[str, str], judges: int, main: str) -> list[str]:
    parts = []
    for claim in claim_verdicts(claims):
        look, words = claim["verdict"].replace(" ", "-"), verdict_words(claim["verdict"])
        by = f" <span>(judge {text(claim['judge'])})</span>" if judges > 1 else ""
        parts.append(
            f'<h3>{text(claim["claim"])}: <span class="{look}">{words}</span>{by}</h3><p>{text(claim["text"])}</p>'
        )
        parts.append(table(CONTRAST_HEADERS, [contrast_words(row, sets, main) for row in claim["contrasts"]]))
    return parts


def overview(
    claims: pl.DataFrame,
    diagnoses: pl.DataFrame,
    arm_scores: pl.DataFrame,
    timings: pl.DataFrame,
    pictures: list[tuple[str, str]],
    hashed: list[str],
    jobs: Mapping[str, dict],
    presentation: dict,
    main: Metric,
    elsewhere: str | None = None,
    sensitivity: list[str] | tuple = (),
) -> str:
    """The body of the page, as markup.

    The first four are tables. pictures: SVG files with their descriptions. hashed: files of data and models whose
    SHA-256 is noted. jobs: the manifests of the jobs behind it all, by job. presentation: as the experiment has it.
    main: the main metric. elsewhere: a line about what else lies in the results (`made_with.no_part_of_it`).
    sensitivity: markup of the section on prompt sensitivity, if there is one.
    Raises UserError if two jobs were made with settings that do not go together.
    """
    sets = question_set_labels(presentation)
    prompts = prompt_labels(presentation)
    labels = group_labels(presentation)
    judges = arm_scores["judge"].unique(maintain_order=True).to_list()
    warning = seeds_warning(presentation["n_seeds"])
    parts = ['<div id="findings"><h1>What this run shows</h1>']
    if not judges:
        parts.append("<p>The config names no judge: nothing is scored.</p>")
        return "\n".join(parts + _what_made_it(timings, hashed, jobs, presentation, elsewhere))
    parts += [f"<p>{text(line)}</p>" for line in headline(arm_scores, claims, main, presentation)]
    if warning:
        parts.append(f'<p class="loud">{text(warning)}</p>')
    parts += [picture(path, described) for path, described in pictures]
    if len(claims):
        parts += ["<h2>Claims</h2>"]
        parts += [
            "<p>Differences are in points (means) or percent (shares), paired by question and seed, with 95% "
            "intervals. p is that of what the verdict says, corrected over all contrasts of one judge (Holm); several "
            "judges are not corrected for. “=” is equality within the margin. “At equal length” is the difference less "
            "what the answers' lengths explain. “Cuts agreeing”: at how many cuts of the threshold grid the share "
            "misaligned differs the same way."
            + (
                " rho: rank correlation, over questions, of a model's ratings with its own share misaligned.</p>"
                if CORRELATION in claims["measure"]
                else "</p>"
            )
        ]
        parts += _claims(claims, sets, len(judges), main.name)
    else:
        parts.append("<p>The config declares no claims.</p>")
    parts += sensitivity
    parts.append("<h2>What each finetune learned</h2>")
    margin = jobs["claims"]["params"]["margin"]
    parts.append(
        f"<p>Points below the base under the default prompt; {margin:g} points count as worse. Narrow: worse "
        "on held-out questions of its own domain only. Broad: worse elsewhere too. The words are what the intervals "
        "say; uncertain: one reaches over the margin.</p>"
    )
    for judge in judges:
        rows = diagnoses.filter(pl.col("judge") == judge).rows(named=True)
        if rows:
            parts.append(f"<p>Judge {text(judge)}</p>")
            parts.append(table(DIAGNOSIS_HEADERS, [diagnosis_words(row, labels, prompts) for row in rows], numbers=3))
    parts.append("<h2>Share misaligned</h2>")
    parts.append(
        "<p>Percent [95% interval], by each definition in the config, of all completions and of the coherent ones, "
        "under the default prompt. The same under every prompt: tables/arm_scores.parquet; at other cuts: "
        "tables/threshold_grid.parquet. Which answers are coherent is a result of the training too, so the share of "
        "the coherent ones compares what is left of each model: read both. “At most”: were every answer without a "
        "score misaligned.</p>"
    )
    parts.append(_misaligned(arm_scores, labels, sets))
    return "\n".join(parts + _what_made_it(timings, hashed, jobs, presentation, elsewhere))


def _what_made_it(
    timings: pl.DataFrame, hashed: list[str], jobs: Mapping[str, dict], presentation: dict, elsewhere: str | None
) -> list[str]:
    parts = ["<h2>What made it</h2>"]
    total = timings["usd"].sum() if timings["usd"].count() else None
    seeds = ", ".join(map(str, seeds_made_with(jobs)))
    parts.append(
        f"<p>{presentation['n_seeds']} seed(s){': ' if seeds else ''}{text(seeds)}. Wall time of the jobs that made "
        f"it {timings['seconds'].sum() / 60:.0f} min"
        + ("; no judge was paid." if total is None else f"; answers of judges ${total:.2f}.")
        + "</p>"
    )
    if elsewhere:
        parts.append(f"<p>{text(elsewhere)}</p>")
    parts.append("<h3>Versions</h3>" + table(["what", "version"], versions_made_with(jobs)))
    parts.append("<h3>Data and models</h3>" + table(["file", "SHA-256"], [[path, sha256_of(path)] for path in hashed]))
    dumped = yaml.safe_dump(settings_made_with(jobs), sort_keys=False, allow_unicode=True, width=110)
    parts.append(
        "<h3>Settings, with their defaults</h3><p>As the jobs that made these results noted them.</p>"
        f'<pre class="code" tabindex="0">{text(dumped)}</pre></div>'
    )
    return parts


def _misaligned(arm_scores: pl.DataFrame, labels: dict[Key, str], sets: dict[str, str]) -> str:
    wanted = ["misaligned", "misaligned_of_coherent"]
    rows = last_answers(
        arm_scores.filter(
            pl.col("measure").is_in(wanted) & (pl.col("eval_prompt") == "default") & pl.col("step").is_null()
        )
    )
    if not len(rows):
        return "<p>No judge scores both metrics of the definitions.</p>"
    definitions = rows["threshold"].unique(maintain_order=True).to_list()
    cells: dict[tuple, dict[tuple, str]] = {}
    for row in rows.iter_rows(named=True):
        key = (row["judge"], row["question_set"], group_key(row))
        share = with_interval(row["estimate"], row["low"], row["high"])
        # Answers without a score count as not misaligned; this is where they would all be.
        if row["at_most"] is not None and round(row["at_most"]) > round(row["estimate"]):
            share += f", at most {row['at_most']:.0f}"
        cells.setdefault(key, {})[row["threshold"], row["measure"]] = share
    body = [
        [labels[group], sets.get(question_set, question_set), judge]
        + [found.get((name, measure), "–") for name in definitions for measure in wanted]
        for (judge, question_set, group), found in sorted(cells.items(), key=lambda item: item[0][:2])
    ]
    shares = [f"{name}, {of}" for name in definitions for of in ("of all", "of coherent")]
    return table(["trained with", "on", "judge", *shares], body, numbers=len(shares))
