"""How many seeds, questions and samples the next run needs, from the variances of this one, and what it would take.

The variance of a difference with S seeds, Q questions and n samples is (see `intervals`)

    seed/S + question/Q + (seed:question + sample/n) / (S Q)

The parts are estimated from the pilot's own paired differences. What is planned for is a one-sided test at the level
of Holm's strictest step.
"""

from dataclasses import dataclass

import numpy as np
import polars as pl
from scipy import stats
from tabulate import tabulate

from organisms.analysis.claims import ALPHA, Sides, paired_values
from organisms.analysis.intervals import mean_squares
from organisms.analysis.scores import MEASURE
from organisms.plan.contrasts import Contrast

POWER = 0.8
# Beyond these a design is not worth its cost.
MOST = {"seeds": 50, "questions": 500, "samples": 500}


@dataclass(frozen=True)
class Parts:
    """Variances of a paired difference, in squared points; seed is None where the pilot had one seed."""

    seed: float | None
    question: float
    both: float
    sample: float


@dataclass(frozen=True)
class Design:
    """How much is asked: seeds, questions, and samples per question."""

    seeds: int
    questions: int
    samples: float


def parts_of(values: np.ndarray, sample_variance: float, samples: float) -> Parts:
    """The parts of the variance of a table of paired differences, seeds × questions.

    sample_variance: of one sample of side a less one of side b. samples: per question in the table.
    """
    of_mean = sample_variance / samples
    if len(values) == 1:
        return Parts(None, max(0.0, float(values[0].var(ddof=1)) - of_mean), 0.0, sample_variance)
    seeds, questions, rest = mean_squares(values)
    return Parts(
        max(0.0, (seeds - rest) / values.shape[1]),
        max(0.0, (questions - rest) / values.shape[0]),
        max(0.0, rest - of_mean),
        sample_variance,
    )


def detectable(parts: Parts, design: Design, alpha: float, equal: bool = False) -> float:
    """The true difference that is found with 80% power, in points; inf where a design leaves no degrees of freedom.

    equal: the margin within which two equal sides are shown to be equal with 80% power, by two one-sided tests.
    """
    s, q = design.seeds, design.questions
    rest = parts.both + parts.sample / design.samples
    of_seeds, of_questions = q * (parts.seed or 0.0) + rest, s * parts.question + rest
    if q < 2 or (parts.seed is not None and s < 2):
        return np.inf
    if s == 1 or parts.seed is None:
        # Seeds left out: what is planned for is these seeds' own difference.
        variance, df = parts.question / q + rest / (s * q), q - 1
    else:
        together = of_seeds + of_questions - rest
        spread = of_seeds**2 / (s - 1) + of_questions**2 / (q - 1) + rest**2 / ((s - 1) * (q - 1))
        variance, df = together / (s * q), max(together**2 / spread if spread else 1.0, min(s, q) - 1)
    # Two tests must both succeed, so each may fail half as often.
    power = (1 + POWER) / 2 if equal else POWER
    return float((stats.t.ppf(1 - alpha, df) + stats.t.ppf(power, df)) * np.sqrt(variance))


def needed(parts: Parts, design: Design, what: str, margin: float, alpha: float, equal: bool = False) -> int | None:
    """The least number of `what` (a field of Design) with which the margin is detectable, the others as they are.

    None if none up to MOST is enough.
    """
    for n in range(2 if what != "samples" else 1, MOST[what] + 1):
        if detectable(parts, Design(**{**vars(design), what: n}), alpha, equal) <= margin:
            return n
    return None


def pilot(of_questions: pl.DataFrame, contrasts: list[Contrast]) -> list[dict]:
    """What the run knows of each contrast by each judge: `judge`, `contrast`, `parts`, `design`.

    of_questions: the question_scores table. Contrasts without at least two questions on both sides are left out.
    """
    sides = Sides(of_questions, MEASURE)
    found = []
    for judge in of_questions["judge"].unique(maintain_order=True):
        for contrast in contrasts:
            measure = (contrast.metric, contrast.measure, contrast.threshold)
            both = (contrast.a, contrast.b)
            of = [sides.of(judge, side, contrast.question_set, *measure, turn=contrast.turn) for side in both]
            pair = paired_values(*of)
            if pair is None or pair[0].shape[1] < 2:
                continue
            values = pair[0] - pair[1]
            values = values[~np.isnan(values).any(axis=1)]
            if not len(values):
                continue
            sample_variance = sum(side["variance"].mean() or 0.0 for side in of)
            samples = min(side["n_scored"].mean() for side in of)
            found.append(
                {"judge": judge, "contrast": contrast, "parts": parts_of(values, sample_variance, samples)}
                | {"design": Design(len(values), values.shape[1], samples)}
            )
    return found


def power_text(found: list[dict], costs: dict[str, float | None]) -> str:
    """The answer as text. found: as `pilot` gives it.

    costs: `seconds_per_seed` (of pretraining and finetunes), `completions_per_seed`, `seconds_per_completion`,
    `usd_per_completion`; None where the run does not know.
    """
    if not found:
        return "No claim has two questions judged on both sides; there is nothing to plan from."
    lines = []
    for judge in dict.fromkeys(entry["judge"] for entry in found):
        of_judge = [entry for entry in found if entry["judge"] == judge]
        alpha = ALPHA / len(of_judge)
        rows, most_seeds = [], 0
        for entry in of_judge:
            contrast, parts, design = entry["contrast"], entry["parts"], entry["design"]
            equal = contrast.expected == "equal"
            if parts.seed is None:
                seeds = "?"
            else:
                seeds = needed(parts, design, "seeds", contrast.margin, alpha, equal)
                most_seeds = max(most_seeds, seeds or 0)
                seeds = seeds or f"> {MOST['seeds']}"
            more = [needed(parts, design, what, contrast.margin, alpha, equal) for what in ("questions", "samples")]
            more = [n or f"> {MOST[what]}" for n, what in zip(more, ("questions", "samples"), strict=True)]
            now = f"{design.seeds} × {design.questions} × {design.samples:.0f}"
            rows.append([contrast.claim, contrast.contrast, contrast.question_set, now])
            rows[-1] += [f"{detectable(parts, design, alpha, equal):.1f}", f"{contrast.margin:g}", seeds, *more]
        headers = ["claim", "contrast", "on", "seeds × questions × samples", "detectable", "margin"]
        headers += ["seeds needed", "or questions", "or samples"]
        lines.append(
            f"Judge '{judge}': the difference that is found with {POWER:.0%} power at p < {alpha:.4f} (one-sided, "
            f"Holm's strictest step of {len(of_judge)}), and how many of one thing, the others as they are, find the "
            "margin\n"
        )
        lines.append(tabulate(rows, headers, disable_numparse=True) + "\n")
        if most_seeds:
            lines.append(_cost(most_seeds, costs))
    if any(entry["parts"].seed is None for entry in found):
        lines.append(
            "ONE SEED: how much seeds differ is not known from this run; the numbers are for these seeds' own models. "
            "Run three seeds or more, and ask again."
        )
        lines.append(_cost(3, costs))
    return "\n".join(lines)


def _cost(seeds: int, costs: dict[str, float | None]) -> str:
    per_seed, completions = costs["seconds_per_seed"], costs["completions_per_seed"]
    parts = []
    if None not in (per_seed, completions, costs["seconds_per_completion"]):
        hours = seeds * (per_seed + completions * costs["seconds_per_completion"]) / 3600
        parts.append(f"about {hours:.1f} hours of jobs (one after the other, on the machine of this run)")
    if None not in (completions, costs["usd_per_completion"]):
        parts.append(f"${seeds * completions * costs['usd_per_completion']:.2f} for answers of judges")
    return f"{seeds} seeds take {' and '.join(parts) or 'what this run does not know'}.\n"


def costs_of(timings: pl.DataFrame, n_seeds: int, n_completions: int) -> dict[str, float | None]:
    """What `power_text` wants to know, from the timings table and the size of the run."""

    def seconds(*rules: str) -> float | None:
        found = timings.filter(pl.col("rule").is_in(rules))["seconds"]
        return float(found.sum()) if len(found) else None

    training, sampling = seconds("pretrain", "finetune"), seconds("completions")
    usd = float(timings["usd"].sum()) if timings["usd"].count() else None
    return {
        "seconds_per_seed": None if training is None else training / n_seeds,
        "completions_per_seed": n_completions / n_seeds,
        "seconds_per_completion": None if sampling is None or not n_completions else sampling / n_completions,
        "usd_per_completion": None if usd is None or not n_completions else usd / n_completions,
    }
