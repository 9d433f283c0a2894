"""Estimates and 95% intervals for scores of questions that several seeds were asked.

The design is crossed: every seed (a replicate, with a model of its own) is asked the same questions, and each question
several times. Seeds and questions are both random, for the claim is about other seeds and other questions of the kind.
With Y[s, q] a seed's value on a question (the mean of its samples) the estimate is the mean over seeds of the seeds'
means, and its variance is

    (MS_seed + MS_question - MS_seed:question) / (seeds * questions)

with the mean squares of the two-way table; samples within a question are in each of them. The degrees of freedom are
Satterthwaite's (Biometrics Bulletin 1946). With one seed only questions (and samples within them) are in it.

Questions of one category are alike, and so are no draws of their own. Where there are enough categories, each is put
together and stands where a question stood above (`clusters_of`): a two-way cluster-robust variance (Cameron, Gelbach
and Miller 2011) with Satterthwaite's degrees of freedom, of which a few categories give few.

Values between two bounds get Jeffreys' interval for a share, and what it is of other values: see `limits`.
How often such intervals cover the truth is measured in docs/statistics.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# Not scipy.stats: the same distributions, in a fifth of its time to import.
from scipy import special

# Fewer categories than this say nothing of other categories.
ENOUGH_CLUSTERS = 5
# A spread that fewer questions make than this, all others being alike to the last digit, is no measure of the spread.
_ENOUGH_DIFFERENT = 5


@dataclass(frozen=True)
class Estimate:
    """A mean with its standard error and degrees of freedom; se and df are nan where nothing can be said of them.

    n_clusters: how many categories of questions stand as drawn at random; None if the questions do. n_drawn: how many
    independent questions those count as. few_differ: whether all but a few have one and the same value.
    """

    estimate: float
    se: float
    df: float
    n_seeds: int
    n_questions: int
    n_clusters: int | None = None
    n_drawn: float = np.nan
    few_differ: bool = False


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


def clusters_of(categories: Sequence[str | None], by: str) -> np.ndarray | None:
    """The number of the cluster that each question is in, or None if each question is one of its own.

    categories: of each question; one without any is its own. by: `category`, `none`, or `auto`, which takes
    categories where there are at least ENOUGH_CLUSTERS. One category alone is none: it has nothing to vary beside.
    """
    names = [(i,) if category is None else category for i, category in enumerate(categories)]
    numbers = {name: i for i, name in enumerate(dict.fromkeys(names))}
    if by == "none" or not (ENOUGH_CLUSTERS if by == "auto" else 2) <= len(numbers) < len(names):
        return None
    return np.array([numbers[name] for name in names])


def by_cluster(values: np.ndarray, clusters: np.ndarray) -> np.ndarray:
    """Values of questions put together by cluster, seeds × clusters; the mean over a row stays what it was."""
    member = clusters[:, None] == np.arange(clusters.max() + 1)[None]
    sizes = np.broadcast_to(member.sum(axis=0).astype(float), (len(values), member.shape[1]))
    return per_question(values @ member, sizes)


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


def _few_differ(means: np.ndarray) -> bool:
    """Whether all columns but a few hold one value, and that at least twice."""
    rounded = means.round(9)
    alike = rounded[0][(rounded == rounded[0]).all(axis=0)]
    commonest = np.unique(alike, return_counts=True)[1].max(initial=0)
    return bool(commonest > 1 and means.shape[1] - commonest < _ENOUGH_DIFFERENT)


def crossed_estimate(
    values: np.ndarray, clusters: np.ndarray | None = None, means: np.ndarray | None = None
) -> Estimate:
    """The mean of a table of seeds × questions, and how sure it is. Seeds that are nan throughout are left out.

    clusters: as `clusters_of` gives them, a number for each question; None if each question is a draw of its own.
    means: the questions' own means, nan where there is none, if the values are linearised (`per_question`): questions
    that have one mean have not one value if their counts differ.
    """
    means = values if means is None else means
    known = ~np.isnan(values).any(axis=1)
    values, means = values[known], means[known]
    seeds, questions = values.shape
    if not seeds or not questions:
        return Estimate(np.nan, np.nan, np.nan, seeds, questions)
    mean = float(values.mean())
    drawn, counts = questions, (seeds, questions, None, questions)
    # Categories of uneven size count as fewer even ones, in the degrees of freedom and in the spread between them.
    even, inflated = questions, 1.0
    if clusters is not None:
        weights = np.bincount(clusters) / questions
        values, drawn, even = by_cluster(values, clusters), len(weights), 1 / float((weights**2).sum())
        # Large ones pull the mean towards themselves, and so seem to differ less from it than they do.
        seen = float((weights**2 * (1 - 2 * weights + 1 / even)).sum())
        inflated = (drawn - 1) / drawn / even / seen
        # Questions of a category are neither copies of each other nor independent: half way between, on a log scale.
        counts = (seeds, questions, drawn, np.sqrt(even * questions))
    counts = (*counts, _few_differ(means))
    if drawn == 1:
        return Estimate(mean, np.nan, np.nan, *counts)
    if seeds == 1:
        variance = inflated * float(values[0].var(ddof=1)) / drawn
        return Estimate(mean, _standard_error(variance), max(even - 1, 1), *counts)
    of_seeds, of_questions, of_both = mean_squares(values)
    of_questions, of_both = inflated * of_questions, inflated * of_both
    together = of_seeds + of_questions - of_both
    # An interaction that comes out large by chance must not make the error smaller than either factor alone does.
    variance = max(together, of_seeds, of_questions) / (seeds * drawn)
    spread = of_seeds**2 / (seeds - 1) + of_questions**2 / (even - 1)
    spread += of_both**2 / ((seeds - 1) * (even - 1))
    se = _standard_error(variance)
    df = max(together, 0) ** 2 / spread if se > 0 else np.nan
    # Never fewer than the smaller factor has: below 1 a t interval means nothing.
    return Estimate(mean, se, max(df, min(seeds, even) - 1, 1), *counts)


@dataclass(frozen=True)
class _Shares:
    """What is known of shares between 0 and 1: a beta distribution, its reach stretched on the logit scale."""

    a: np.ndarray
    b: np.ndarray
    stretch: np.ndarray

    @property
    def _middle(self) -> np.ndarray:
        return _logit(special.betaincinv(self.a, self.b, 0.5))

    def quantile(self, p: float) -> np.ndarray:
        reach = _logit(special.betaincinv(self.a, self.b, p)) - self._middle
        return special.expit(self._middle + self.stretch * reach)

    def above(self, share: float) -> np.ndarray:
        """The probability of a greater share."""
        reach = (_logit(share) - self._middle) / self.stretch
        return special.betaincc(self.a, self.b, special.expit(self._middle + reach))


def _logit(share: np.ndarray | float) -> np.ndarray:
    return special.logit(np.clip(share, 1e-12, 1 - 1e-12))


def _shares(share: np.ndarray, se: np.ndarray, df: np.ndarray, n: np.ndarray) -> _Shares:
    """Mean and variance with half an answer at either bound added to n, as a beta distribution.

    Of n questions that are each wholly at a bound it is Jeffreys' Beta(k + 1/2, n - k + 1/2).
    """
    mean = (n * share + 0.5) / (n + 1)
    seen = se**2 * n * (n - 1) / ((n + 1) * (n + 2))
    added = ((n * share**2 + 0.5) / (n + 1) - mean**2) / (n + 2)
    variance = seen + added
    # Satterthwaite's again; what was added is as sure as n questions are.
    df = variance**2 / (seen**2 / np.where(seen > 0, df, 1) + (added**2 + 2 * seen * added) / (n - 1))
    size = np.maximum(mean * (1 - mean) / variance - 1, 0.01)
    stretch = special.stdtrit(df, 0.975) / special.stdtrit(n - 1, 0.975)
    return _Shares(mean * size, (1 - mean) * size, stretch)


def limits(
    estimates: np.ndarray, ses: np.ndarray, dfs: np.ndarray, n_drawn: np.ndarray, bounds: tuple[float, float] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of 95% intervals, elementwise.

    n_drawn: the number of questions, or of what they count as (`Estimate.n_drawn`). bounds: the least and greatest
    possible value, or None for values without bounds, which get a t interval (nan where nothing varies).

    Between bounds it is one method throughout. Where each question is wholly at a bound it is Jeffreys' interval for so
    many questions (Brown, Cai and DasGupta 2001). Where values lie between, it is the beta distribution with their mean
    and variance, both with Jeffreys' half answer at either bound, as wide as Student's t asks for where seeds vary. So
    nothing jumps at the bound: if no answer of any question is misaligned, samples of one question still say nothing
    about other questions. No upper end is below that of none at all, no lower end above that of all. nan where there is
    one question only.
    """
    estimates, ses, dfs, n = (np.asarray(x, dtype=float) for x in (estimates, ses, dfs, n_drawn))
    if bounds is None:
        reach = special.stdtrit(np.where(ses > 0, dfs, np.nan), 0.975) * ses
        return estimates - reach, estimates + reach
    lowest, highest = bounds
    width = highest - lowest
    share = np.clip((estimates - lowest) / width, 0, 1)
    n = np.where((n > 1) & ~np.isnan(ses), n, np.nan)
    known = _shares(share, ses / width, dfs, n)
    of_none = special.betaincinv(0.5, n + 0.5, 0.975)
    low, high = np.minimum(known.quantile(0.025), 1 - of_none), np.maximum(known.quantile(0.975), of_none)
    low = np.where((share <= 1e-9) & ~np.isnan(low), 0, low)
    high = np.where((share >= 1 - 1e-9) & ~np.isnan(high), 1, high)
    return lowest + width * low, lowest + width * high


def probability_below(estimate: Estimate, value: float, bounds: tuple[float, float] | None = None) -> float:
    """One-sided p of the hypothesis that the true value is `value` or more; small if it is surely below.

    By Student's t; with bounds as `limits` has it, which goes where nothing varies, too.
    """
    if bounds is not None and estimate.n_drawn > 1 and not np.isnan(estimate.se):
        lowest, highest = bounds
        width = highest - lowest
        given = ((estimate.estimate - lowest) / width, estimate.se / width, estimate.df, estimate.n_drawn)
        known = _shares(*(np.asarray(x, dtype=float) for x in given))
        return float(known.above((value - lowest) / width))
    if not estimate.se > 0:
        return np.nan
    return float(special.stdtr(estimate.df, (estimate.estimate - value) / estimate.se))
