"""How many seeds, questions and samples the next run needs, from the variances of this one, and what it would take.

The variance of a difference with S seeds, Q questions and n samples is (see `intervals`)

    seed/S + question/Q + (seed:question + sample/n) / (S Q)

The parts are estimated from the pilot's own paired differences; where categories of questions stand as drawn at
random, Q counts categories. What is planned for is the claims' own test at the level of Holm's strictest step. Its
power is that of a noncentral t, but that degrees of freedom are estimated too: so it is averaged over the mean squares
that such a design gives (chi-squares), at points that fill their distribution evenly, the same ones every time.
"""

from dataclasses import dataclass, replace
from functools import cache, partial

import numpy as np
import polars as pl
from scipy import optimize, special
from scipy.stats import chi2, qmc
from tabulate import tabulate

from organisms.analysis.claims import ALPHA, ENOUGH_SEEDS, differences
from organisms.analysis.intervals import by_cluster, clusters_of, mean_squares
from organisms.analysis.pairing import Sides, paired_values, signed
from organisms.analysis.scores import MEASURE
from organisms.plan.contrasts import Contrast

POWER = 0.8
# How sure the range is within which the number of seeds lies.
RANGE = 0.8
# Beyond these a design is not worth its cost.
MOST = {"seeds": 50, "questions": 500, "samples": 500}


@dataclass(frozen=True)
class Parts:
    """Variances of a paired difference, in squared points; seed is None where the pilot had one seed.

    seed_range: the ends of the interval of `seed`, as sure as RANGE says.
    """

    seed: float | None
    question: float
    both: float
    sample: float
    seed_range: tuple[float, float] | None = None


@dataclass(frozen=True)
class Design:
    """How much is asked: seeds, questions, and samples per question.

    Where categories stand as drawn at random, they are the questions, and what is asked of each the samples.
    """

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
    free = len(values) - 1
    ends = (seeds * free / chi2.ppf(p, free) for p in ((1 + RANGE) / 2, (1 - RANGE) / 2))
    return Parts(
        max(0.0, (seeds - rest) / values.shape[1]),
        max(0.0, (questions - rest) / values.shape[0]),
        max(0.0, rest - of_mean),
        sample_variance,
        tuple(max(0.0, (end - rest) / values.shape[1]) for end in ends),
    )


@cache
def _points() -> np.ndarray:
    """Points that fill the unit cube evenly: a probability for each of three mean squares."""
    return np.clip(qmc.Sobol(3, seed=0).random_base2(11), 1e-9, 1 - 1e-9).T


def power(parts: Parts, design: Design, difference: float, alpha: float, equal: bool = False) -> float:
    """The probability that a true difference is found, by a test whose two sides together have level alpha.

    equal: that two equal sides are shown to differ by less than `difference`, by two one-sided tests.
    """
    s, q = design.seeds, design.questions
    rest = parts.both + parts.sample / design.samples
    if q < 2 or (parts.seed is not None and s < 2):
        return 0.0
    if s == 1 or parts.seed is None:
        # Seeds left out: what is planned for is these seeds' own difference.
        variance, df = parts.question / q + rest / (s * q), q - 1
        seen = variance * 2 * special.gammaincinv(df / 2, _points()[0]) / df
    else:
        expected = np.array([q * (parts.seed or 0.0) + rest, s * parts.question + rest, rest])[:, None]
        free = np.array([s - 1, q - 1, (s - 1) * (q - 1)])[:, None]
        variance = float(expected[0, 0] + expected[1, 0] - rest) / (s * q)
        squares = expected * 2 * special.gammaincinv(free / 2, _points()) / free
        # As `crossed_estimate` has it.
        together = squares[0] + squares[1] - squares[2]
        seen = np.maximum(together, squares[:2].max(axis=0)) / (s * q)
        spread = (squares**2 / free).sum(axis=0)
        df = np.maximum(together, 0) ** 2 / np.where(spread > 0, spread, 1)
        df = np.maximum(df, min(s, q) - 1)
    if variance == 0:
        return float(difference > 0)
    room = (difference - special.stdtrit(df, 1 - alpha / 2) * np.sqrt(seen)) / np.sqrt(variance)
    # Both of the two tests of equality must succeed, where there is no difference.
    found = np.maximum(2 * special.ndtr(room) - 1, 0) if equal else special.ndtr(room)
    return float(found.mean())


def detectable(parts: Parts, design: Design, alpha: float, equal: bool = False) -> float:
    """The true difference that is found with 80% power, in points; inf where a design leaves no degrees of freedom.

    equal: the margin within which two equal sides are shown to be equal with 80% power.
    """
    high = 1.0
    while power(parts, design, high, alpha, equal) < POWER:
        high *= 2
        if high > 1e6:
            return np.inf
    return float(optimize.brentq(lambda x: power(parts, design, x, alpha, equal) - POWER, 0, high, xtol=1e-3))


def needed(parts: Parts, design: Design, what: str, margin: float, alpha: float, equal: bool = False) -> int | None:
    """The least number of `what` (a field of Design) with which the margin is detectable, the others as they are.

    None if none up to MOST is enough.
    """

    def enough(n: int) -> bool:
        return power(parts, replace(design, **{what: n}), margin, alpha, equal) >= POWER

    low, high = {"seeds": ENOUGH_SEEDS, "questions": 2, "samples": 1}[what], MOST[what]
    if not enough(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def pilot(of_questions: pl.DataFrame, contrasts: list[Contrast], clusters: str = "auto") -> list[dict]:
    """What the run knows of each contrast by each judge: `judge`, `contrast`, `parts`, `design`, `per_category`.

    of_questions: the question_scores table. clusters: `question_clusters` of the config. per_category: how many
    questions a category has on average where categories stand as drawn, else None. Contrasts without at least two
    questions on both sides are left out, and so are correlations, of which nothing is planned.
    """
    sides = Sides(of_questions, MEASURE)
    found = []
    for judge in of_questions["judge"].unique(maintain_order=True):
        for contrast in differences(contrasts):
            measure = (contrast.metric, contrast.measure, contrast.threshold)
            of, signs = sides.of_contrast(judge, contrast, *measure)
            pair = paired_values(*of)
            if pair is None or len(pair.questions) < 2:
                continue
            values = signed(pair.values, signs)
            values = values[~np.isnan(values).any(axis=1)]
            if not len(values):
                continue
            scored = pl.col("question_id").is_in(pair.questions)
            of = [side.filter(scored) for side in of]
            sample_variance = sum(side["variance"].mean() or 0.0 for side in of)
            samples = min(side["n_scored"].mean() for side in of)
            number_of, per_category = clusters_of(pair.categories, clusters), None
            if number_of is not None:
                n_questions = values.shape[1]
                values = by_cluster(values, number_of)
                per_category = n_questions / values.shape[1]
                samples *= per_category
            found.append(
                {"judge": judge, "contrast": contrast, "parts": parts_of(values, sample_variance, samples)}
                | {"design": Design(len(values), values.shape[1], samples), "per_category": per_category}
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
            equal, each = contrast.expected == "equal", entry["per_category"]

            number = partial(needed, design=design, margin=contrast.margin, alpha=alpha, equal=equal)
            seeds = "?"
            if parts.seed is not None:
                seeds = number(parts, what="seeds")
                most_seeds = max(most_seeds, seeds or 0)
                seeds = _seeds_text(seeds, [number(replace(parts, seed=end), what="seeds") for end in parts.seed_range])
            questions, samples = number(parts, what="questions"), number(parts, what="samples")
            samples = samples and int(np.ceil(samples / (each or 1)))
            questions = questions or f"> {MOST['questions']}"
            rows.append([contrast.claim, contrast.contrast, contrast.question_set, _now(design, each)])
            rows[-1] += [f"{detectable(parts, design, alpha, equal):.1f}", f"{contrast.margin:g}", seeds]
            rows[-1] += [f"{questions} categories" if each else questions, samples or f"> {MOST['samples']}"]
        headers = ["claim", "contrast", "on", "seeds × questions × samples", "detectable", "margin"]
        headers += ["seeds needed", "or questions", "or samples"]
        lines.append(
            f"Judge '{judge}': the difference that is found with {POWER:.0%} power at p < {alpha:.4f} (Holm's "
            f"strictest step of {len(of_judge)}), and how many of one thing, the others as they are, find the margin. "
            f"In brackets the {RANGE:.0%} range of the number of seeds: few seeds say little of how much they differ\n"
        )
        lines.append(tabulate(rows, headers, disable_numparse=True) + "\n")
        if most_seeds:
            lines.append(_cost(most_seeds, costs))
    if any(entry["parts"].seed is None for entry in found):
        lines.append(
            "ONE SEED: how much seeds differ is not known from this run; the numbers are for these seeds' own models. "
            f"No claim gets a verdict from fewer than {ENOUGH_SEEDS} seeds. Run so many or more, and ask again."
        )
        lines.append(_cost(ENOUGH_SEEDS, costs))
    return "\n".join(lines)


def _now(design: Design, per_category: float | None) -> str:
    if per_category is None:
        return f"{design.seeds} × {design.questions} × {design.samples:.0f}"
    asked = f"{design.questions * per_category:.0f} in {design.questions} categories"
    return f"{design.seeds} × {asked} × {design.samples / per_category:.0f}"


def _seeds_text(seeds: int | None, ends: list[int | None]) -> str:
    most = f"> {MOST['seeds']}"
    low, high = (end or most for end in ends)
    return f"{seeds or most} ({low} to {high})" if low != high else f"{seeds or most}"


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
