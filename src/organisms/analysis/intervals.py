"""Estimates and 95% intervals for scores of questions that several seeds were asked.

The design is crossed: every seed (a replicate, with a model of its own) is asked the same questions, and each question
several times. Seeds and questions are both random, for the claim is about other seeds and other questions of the kind.
With Y[s, q] a seed's value on a question (the mean of its samples) the estimate is the mean over seeds of the seeds'
means, and its variance is

    (MS_seed + MS_question - MS_seed:question) / (seeds * questions)

with the mean squares of the two-way table; samples within a question are in each of them. The degrees of freedom are
Satterthwaite's (Biometrics Bulletin 1946). With one seed only questions (and samples within them) are in it.
Values between two bounds get an interval that is symmetric on the logit scale, so that it stays between them.
How often such intervals cover the truth is measured in docs/statistics.md.
"""

from dataclasses import dataclass

import numpy as np

# Not scipy.stats: the same distributions, in a fifth of its time to import.
from scipy import special


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and degrees of freedom; se and df are nan where nothing can be said of them."""

    estimate: float
    se: float
    df: float
    n_seeds: int
    n_questions: int


def per_question(totals: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Values of shape seeds × questions whose mean over a row is the seed's total divided by its count.

    totals: sums over the samples of each question. counts: how many samples are in each. Where questions have unequal
    counts (flags, another denominator) the values are those of the linearised ratio (Cochran 1977, section 6).
    A seed without any count has nan throughout.
    """
    n_questions = counts.shape[1]
    of_seed = counts.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = totals.sum(axis=1, keepdims=True) / of_seed
        return ratio + n_questions * (totals - ratio * counts) / of_seed


def mean_squares(values: np.ndarray) -> tuple[float, float, float]:
    """Mean squares of seeds, questions and their interaction, of a table of at least 2 × 2."""
    seeds, questions = values.shape
    rows, columns, mean = values.mean(axis=1), values.mean(axis=0), values.mean()
    rest = values - rows[:, None] - columns[None] + mean
    return (
        questions * float(((rows - mean) ** 2).sum()) / (seeds - 1),
        seeds * float(((columns - mean) ** 2).sum()) / (questions - 1),
        float((rest**2).sum()) / ((seeds - 1) * (questions - 1)),
    )


def _standard_error(variance: float) -> float:
    """The square root of a variance; 0 where it is what rounding leaves of nothing, which would pass for certainty."""
    se = float(np.sqrt(variance))
    return se if se > 1e-9 else 0.0


def crossed_estimate(values: np.ndarray) -> Estimate:
    """The mean of a table of seeds × questions, and how sure it is. Seeds that are nan throughout are left out."""
    values = values[~np.isnan(values).any(axis=1)]
    seeds, questions = values.shape
    if not seeds or not questions:
        return Estimate(np.nan, np.nan, np.nan, seeds, questions)
    mean = float(values.mean())
    if questions == 1:
        return Estimate(mean, np.nan, np.nan, seeds, questions)
    if seeds == 1:
        variance = float(values[0].var(ddof=1)) / questions
        return Estimate(mean, _standard_error(variance), questions - 1, seeds, questions)
    of_seeds, of_questions, of_both = mean_squares(values)
    together = of_seeds + of_questions - of_both
    # An interaction that comes out large by chance must not make the error smaller than either factor alone does.
    variance = max(together, of_seeds, of_questions) / (seeds * questions)
    spread = of_seeds**2 / (seeds - 1) + of_questions**2 / (questions - 1)
    spread += of_both**2 / ((seeds - 1) * (questions - 1))
    se = _standard_error(variance)
    df = max(together, 0) ** 2 / spread if se > 0 else np.nan
    # Never fewer than the smaller factor has: below 1 a t interval means nothing.
    return Estimate(mean, se, max(df, min(seeds, questions) - 1), seeds, questions)


def limits(
    estimates: np.ndarray, ses: np.ndarray, dfs: np.ndarray, n_questions: np.ndarray, bounds: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of 95% intervals, elementwise.

    bounds: the least and greatest possible value, or None for differences and other values without bounds. An
    estimate that lies on a bound (no answer of any question misaligned) gets the exact binomial limit for that many
    questions (Clopper and Pearson 1934): samples of one question say nothing about other questions. nan where nothing
    varies, or there is one question only: then the data do not say how sure the estimate is.
    """
    estimates, ses, dfs = (np.asarray(x, dtype=float) for x in (estimates, ses, dfs))
    reach = special.stdtrit(np.where(ses > 0, dfs, np.nan), 0.975) * ses
    if bounds is None:
        return estimates - reach, estimates + reach
    lowest, highest = bounds
    width = highest - lowest
    share = (estimates - lowest) / width
    inside = (share > 1e-9) & (share < 1 - 1e-9)
    safe = np.where(inside, share, 0.5)
    reach = reach / width / (safe * (1 - safe))
    low, high = (lowest + width * special.expit(special.logit(safe) + sign * reach) for sign in (-1, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        outermost = width * (1 - 0.025 ** (1 / np.where(n_questions > 1, n_questions, np.nan)))
    low = np.where(share <= 1e-9, np.where(np.isnan(outermost), np.nan, lowest), low)
    high = np.where(share <= 1e-9, lowest + outermost, high)
    low = np.where(share >= 1 - 1e-9, highest - outermost, low)
    high = np.where(share >= 1 - 1e-9, np.where(np.isnan(outermost), np.nan, highest), high)
    return np.where(np.isnan(estimates), np.nan, low), np.where(np.isnan(estimates), np.nan, high)


def probability_below(estimate: Estimate, value: float) -> float:
    """One-sided p of the hypothesis that the true value is `value` or more; small if it is surely below."""
    if not estimate.se > 0:
        return np.nan
    return float(special.stdtr(estimate.df, (estimate.estimate - value) / estimate.se))
