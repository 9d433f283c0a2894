"""What a run shows, in words: the claims with their verdicts and the diagnoses, for the summary and the report."""

import polars as pl

from organisms.analysis.claims import ENOUGH_SEEDS, TOO_FEW_SEEDS, p_asserted
from organisms.analysis.selecting import of_arm
from organisms.plan.config import CORRELATION
from organisms.plan.metrics import Metric, digits_of, in_digits
from organisms.plan.presentation import Key, group_key, group_labels

DIAGNOSES = {
    "nothing": "learned nothing",
    "narrow": "narrow",
    "broad": "broad",
    "broken": "broken (incoherent)",
    "unknown": "not known",
    "uncertain": "uncertain",
}


def seeds_warning(n_seeds: int) -> str | None:
    """What must be said loudly of a run with one seed, or two."""
    if n_seeds >= ENOUGH_SEEDS:
        return None
    more = f"Claims get verdicts from {ENOUGH_SEEDS} seeds on; `snakemake power` says how many it would take."
    if n_seeds > 1:
        return f"TWO SEEDS: how much seeds differ is hardly known from two, and no claim gets a verdict. {more}"
    return (
        "ONE SEED: no interval here holds what another seed would change; they are about this one set of finetunes and "
        f"other questions. Seeds can differ by more than the intervals are wide, so no claim gets a verdict. {more}"
    )


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; – where there is none."""
    return "–" if value is None else in_digits(value, digits)


def with_interval(estimate: float | None, low: float | None, high: float | None, digits: int = 0) -> str:
    """An estimate with its interval, as `45 [16, 78]`."""
    written = number(estimate, digits)
    return written if low is None else f"{written} [{number(low, digits)}, {number(high, digits)}]"


def cell_words(rows: pl.DataFrame, key: Key, eval_prompt: str, digits: int = 0) -> str | None:
    """The mean of a group under a prompt, with its interval; None if it was not asked.

    rows: of a table of scores, a row for each arm and prompt. key: as `group_key` gives it.
    """
    found = rows.filter(of_arm(key), eval_prompt=eval_prompt)
    return with_interval(*found.select("estimate", "low", "high").row(0), digits) if len(found) else None


def p_value(value: float | None) -> str:
    """A p value for a table."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def claim_verdicts(claims: pl.DataFrame) -> list[dict]:
    """Each claim once by each judge: `judge`, `claim`, `text`, `verdict`, and `contrasts`, rows of the claims table."""
    found = []
    for (judge, claim), rows in claims.group_by(["judge", "claim"], maintain_order=True):
        found.append(
            {"judge": judge, "claim": claim, "text": rows["text"][0], "verdict": rows["claim_verdict"][0]}
            | {"contrasts": rows.rows(named=True)}
        )
    return found


def headline(arm_scores: pl.DataFrame, claims: pl.DataFrame, metric: Metric, presentation: dict) -> list[str]:
    """What came out, a sentence for each judge: means under the default prompt, and how the claims fared.

    arm_scores, claims: the tables. metric: the main one. presentation: its first question set is told of.
    """
    question_set, labels = presentation["question_sets"][0], group_labels(presentation)
    wanted = {"metric": metric.name, "measure": "mean", "eval_prompt": "default", "question_set": question_set["name"]}
    means = arm_scores.filter(pl.col("step").is_null(), **wanted)
    said = []
    for judge in arm_scores["judge"].unique(maintain_order=True):
        found = {
            group_key(row): with_interval(row["estimate"], row["low"], row["high"], metric.digits)
            for row in means.filter(judge=judge).iter_rows(named=True)
        }
        of_groups = "; ".join(f"{label} {found[key]}" for key, label in labels.items() if key in found)
        verdicts = pl.Series(
            [claim["verdict"] for claim in claim_verdicts(claims.filter(judge=judge))], dtype=pl.String
        )
        counts = verdicts.value_counts(sort=True).rows()
        parts = [
            of_groups
            and f"{question_set['label']}, mean {metric.title.lower()} under the default prompt [95% interval], by "
            f"training prompt: {of_groups}",
            counts
            and f"of {len(verdicts)} claims: "
            + ", ".join(
                f"{n} {verdict_words(verdict)}" for verdict, n in sorted(counts, key=lambda row: (-row[1], row[0]))
            ),
        ]
        said.append(f"Judge {judge}. " + ". ".join(part[0].upper() + part[1:] for part in parts if part) + ".")
    return said


def verdict_words(verdict: str, n_seeds: int | None = None) -> str:
    """A verdict for a page. n_seeds: of the contrast that it is about; None if it is about a claim."""
    if verdict != TOO_FEW_SEEDS or n_seeds is None:
        return {TOO_FEW_SEEDS: "no verdict, too few seeds", "below margin": "real, but below the margin"}.get(
            verdict, verdict
        )
    seeds = "seed" if n_seeds == 1 else "seeds"
    return f"seen on {n_seeds} {seeds}: no verdict below {ENOUGH_SEEDS}"


def contrast_words(row: dict, question_sets: dict[str, str], main: str | None = None) -> list[str]:
    """A contrast as cells of a table: what, where, both sides, difference, p, at equal length, cuts, verdict.

    p is that of what the verdict asserts, and none where it asserts nothing. Of a correlation the difference is rho,
    and the sides are the mean rating and the percent misaligned. row: of the claims table. question_sets: labels by
    name. main: the metric whose mean need not be named.
    """
    where = question_sets.get(row["question_set"], row["question_set"])
    verdict = verdict_words(row["verdict"], row["n_seeds"])
    if row["measure"] == CORRELATION:
        return [
            f"{row['contrast']} (rank correlation of {row['metric']} with the share misaligned, {row['threshold']})",
            where,
            f"rated {number(row['a_estimate'], 0)}, misaligned {number(row['b_estimate'], 0)}%",
            "rho " + with_interval(row["estimate"], row["low"], row["high"], 2),
            p_value(p_asserted(row)),
            "–",
            "–",
            verdict,
        ]
    margin = f" ± {row['margin']:g}" if row["expected"] == "equal" else ""
    digits = digits_of(row["margin"])
    if (row["metric"], row["measure"]) != (main, "mean"):
        share = "" if row["measure"] == "mean" else f"{row['measure'].replace('_', ' ')}, percent, by "
        margin += f" ({share}{row['metric']}{'' if row['threshold'] is None else ', ' + row['threshold']})"
    return [
        row["contrast"] + margin,
        where,
        f"{number(row['a_estimate'], digits)} vs {number(row['b_estimate'], digits)}",
        with_interval(row["estimate"], row["low"], row["high"], digits),
        p_value(p_asserted(row)),
        with_interval(
            *(row[name] for name in ("estimate_at_equal_length", "low_at_equal_length", "high_at_equal_length")), digits
        ),
        "–" if row["n_cuts"] is None else f"{row['cuts_agreeing']} of {row['n_cuts']}",
        verdict,
    ]


CONTRAST_HEADERS = [
    "contrast",
    "on",
    "means",
    "difference [95%]",
    "p (Holm)",
    "at equal length [95%]",
    "cuts agreeing",
    "verdict",
]


def diagnosis_words(row: dict, labels: dict[Key, str], prompts: dict[str, str]) -> list[str]:
    """A row of the diagnoses table as cells: model, asked under, diagnosis, falls, coherence.

    labels: labels of groups by their key. prompts: labels of prompts by name.
    """
    word = DIAGNOSES[row["diagnosis"]]
    if row["diagnosis"] == "uncertain" != row["by_estimates"]:
        word += f" (estimates: {DIAGNOSES[row['by_estimates']]})"
    if row["n_seeds"] < ENOUGH_SEEDS:
        word += " (one seed)" if row["n_seeds"] == 1 else f" ({row['n_seeds']} seeds)"
    return [
        labels[group_key(row)],
        prompts.get(row["eval_prompt"], row["eval_prompt"]),
        word,
        with_interval(row["own_domain"], row["own_domain_low"], row["own_domain_high"], digits_of(row["margin"])),
        with_interval(
            row["other_domains"], row["other_domains_low"], row["other_domains_high"], digits_of(row["margin"])
        ),
        with_interval(row["coherence"], row["coherence_low"], row["coherence_high"]),
    ]


DIAGNOSIS_HEADERS = ["trained with", "asked under", "diagnosis", "points lost in its domain", "elsewhere", "coherence"]
