"""What a run shows, in words: the claims with their verdicts and the diagnoses, for the summary and the report."""

import polars as pl

from organisms.plan.presentation import Key, group_key

DIAGNOSES = {
    "nothing": "learned nothing",
    "narrow": "narrow",
    "broad": "broad",
    "broken": "broken (incoherent)",
    "unknown": "not known",
}


def seeds_warning(n_seeds: int) -> str | None:
    """What must be said loudly of a run with one seed."""
    if n_seeds > 1:
        return None
    return (
        "ONE SEED: no interval and no verdict here holds what another seed would change; they are about this one set "
        "of finetunes and other questions. Seeds can differ by more than the intervals are wide."
    )


def number(value: float | None, digits: int = 1) -> str:
    """A number for a table; – where there is none."""
    # Plus nothing, so that no number is written -0.
    return "–" if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def with_interval(estimate: float | None, low: float | None, high: float | None) -> str:
    """An estimate with its interval, as `45 [16, 78]`."""
    if estimate is None:
        return "–"
    return number(estimate, 0) if low is None else f"{number(estimate, 0)} [{number(low, 0)}, {number(high, 0)}]"


def p_value(value: float | None) -> str:
    """A p value for a table."""
    return "–" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def claim_verdicts(claims: pl.DataFrame) -> list[dict]:
    """Each claim once by each judge: `judge`, `claim`, `text`, `verdict`, and `contrasts`, rows of the claims table.

    `seeds_in_interval` says whether all of them were tested over several seeds.
    """
    found = []
    for (judge, claim), rows in claims.group_by(["judge", "claim"], maintain_order=True):
        found.append(
            {"judge": judge, "claim": claim, "text": rows["text"][0], "verdict": rows["claim_verdict"][0]}
            | {"contrasts": rows.rows(named=True), "seeds_in_interval": rows["seeds_in_interval"].all()}
        )
    return found


def contrast_words(row: dict, question_sets: dict[str, str]) -> list[str]:
    """A contrast as cells of a table: what, where, both sides, difference, p, at equal length, cuts, verdict.

    row: of the claims table. question_sets: labels by name.
    """
    margin = f" ± {row['margin']:g}" if row["expected"] == "equal" else ""
    return [
        row["contrast"] + margin,
        question_sets.get(row["question_set"], row["question_set"]),
        f"{number(row['a_estimate'], 0)} vs {number(row['b_estimate'], 0)}",
        with_interval(row["estimate"], row["low"], row["high"]),
        p_value(row["p_corrected"]),
        number(row["estimate_at_equal_length"], 0),
        "–" if row["n_cuts"] is None else f"{row['cuts_agreeing']} of {row['n_cuts']}",
        row["verdict"],
    ]


CONTRAST_HEADERS = [
    "contrast",
    "on",
    "means",
    "difference [95%]",
    "p (Holm)",
    "at equal length",
    "cuts agreeing",
    "verdict",
]


def diagnosis_words(row: dict, labels: dict[Key, str], prompts: dict[str, str]) -> list[str]:
    """A row of the diagnoses table as cells: model, asked under, diagnosis, falls, coherence.

    labels: labels of groups by their key. prompts: labels of prompts by name.
    """
    return [
        labels[group_key(row)],
        prompts.get(row["eval_prompt"], row["eval_prompt"]),
        DIAGNOSES[row["diagnosis"]] + ("" if row["certain"] else " (uncertain)"),
        with_interval(row["own_domain"], row["own_domain_low"], row["own_domain_high"]),
        with_interval(row["other_domains"], row["other_domains_low"], row["other_domains_high"]),
        number(row["coherence"], 0),
    ]


DIAGNOSIS_HEADERS = ["trained with", "asked under", "diagnosis", "points lost in its domain", "elsewhere", "coherence"]
