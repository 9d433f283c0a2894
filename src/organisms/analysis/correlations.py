"""Do models see what they are asked as their answers suggest? Ratings of questions against the answers to them.

A model that was asked to rate the questions of a set is compared with answers to the same questions under the same
prompt: Spearman's rank correlation over questions, between the mean rating and the share of answers that is misaligned.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from math import factorial

import numpy as np
import polars as pl
from scipy import special

from organisms.analysis.pairing import Paired, Sides, paired_values
from organisms.analysis.scores import MEASURE
from organisms.analysis.tables import RATING_CORRELATIONS
from organisms.plan.arms import ARM
from organisms.plan.contrasts import Side
from organisms.plan.presentation import BASE, group_key

# Fewer questions have no interval (its width has n - 3 below the line), and few orders to be permuted into.
ENOUGH_QUESTIONS = 4
# So many orders are tried, or all that there are of few questions.
PERMUTATIONS, ALL_UP_TO = 9_999, factorial(8)


@dataclass(frozen=True)
class RankCorrelation:
    """Spearman's rho with its 95% interval; nan where nothing can be said.

    p_higher, p_lower: how often questions in another order have as high a rho, and as low a one.
    """

    rho: float
    low: float
    high: float
    p_higher: float
    p_lower: float
    n_questions: int

    @property
    def p(self) -> float:
        """The p of either direction."""
        return float(np.minimum(1.0, 2 * np.minimum(self.p_higher, self.p_lower)))


@lru_cache(maxsize=8)
def _orders(n: int) -> np.ndarray:
    """Orders of n things, one in each row: all, or so many drawn at random, the same ones every time."""
    if factorial(n) <= ALL_UP_TO:
        return np.array(list(permutations(range(n))))
    return np.random.default_rng(n).permuted(np.tile(np.arange(n), (PERMUTATIONS, 1)), axis=1)


def rank_correlation(x: np.ndarray, y: np.ndarray) -> RankCorrelation:
    """Spearman's rho of two values of each question; a question without one of them (nan) is left out.

    Ties get their mean rank. The p are by permutation; the interval is Fisher's, with the standard error of Bonett and
    Wright (Psychometrika 2000). There is no interval at 1 and -1, and nothing at all where a side does not vary.
    """
    known = ~(np.isnan(x) | np.isnan(y))
    n = int(known.sum())
    # Values that differ by rounding alone are tied. Twice the ranks are whole numbers, so that equal sums are equal.
    twice = [2 * pl.Series(side[known].round(9)).rank("average").to_numpy() for side in (x, y)]
    if n < ENOUGH_QUESTIONS or any(np.ptp(ranks) == 0 for ranks in twice):
        return RankCorrelation(*[np.nan] * 5, n)
    rho = float(np.corrcoef(twice)[0, 1])
    orders = _orders(n)
    seen, others = twice[0] @ twice[1], twice[0][orders] @ twice[1]
    # The order that was seen is one of all of them; beside orders drawn at random it is one more.
    more = int(len(orders) < factorial(n))
    p_higher, p_lower = (
        float((more + (others >= seen).sum()) / (more + len(orders))),
        float((more + (others <= seen).sum()) / (more + len(orders))),
    )
    if abs(rho) > 1 - 1e-9:
        return RankCorrelation(rho, np.nan, np.nan, p_higher, p_lower, n)
    reach = special.ndtri(0.975) * np.sqrt((1 + rho**2 / 2) / (n - 3))
    low, high = np.tanh(np.arctanh(rho) + np.array([-reach, reach]))
    return RankCorrelation(rho, float(low), float(high), p_higher, p_lower, n)


def by_question(ratings: pl.DataFrame | None) -> pl.DataFrame | None:
    """Question scores of a set that rates, by the questions that are rated: the mean over their wordings.

    Wordings count alike, however many samples of each have a score; one without any is not in the mean.
    """
    if ratings is None:
        return None
    rated = ratings.with_columns(pl.col("question_id").str.replace("~[^~]*$", ""))
    return rated.group_by("seed", "question_id", maintain_order=True).agg(
        pl.col("category").first(), pl.col("n", "n_scored").sum(), pl.col("mean").mean()
    )


def of_seeds(pair: Paired) -> list[RankCorrelation]:
    """The correlation within each seed. pair: of two sides."""
    return [rank_correlation(x, y) for x, y in zip(*pair.means, strict=True)]


def of_seed_means(pair: Paired) -> RankCorrelation:
    """The correlation of the questions' means over the seeds that have a value of both sides."""
    both = ~np.isnan(pair.means).any(axis=0)
    n = np.where(both.any(axis=0), both.sum(axis=0), np.nan)
    return rank_correlation(*(np.where(both, side, 0).sum(axis=0) / n for side in pair.means))


def rating_correlations(of_questions: pl.DataFrame, rating_sets: list[dict], main: str, threshold: str) -> pl.DataFrame:
    """Rows of the rating_correlations table.

    of_questions: the question_scores table. rating_sets: sets in which a model rates questions (`rating_set`), those
    that they are of (`question_set`), and the metric that the ratings are (`metric`). main: the metric that says what
    is misaligned; threshold: the entry of `thresholds`.
    """
    rated_sets = [entry["rating_set"] for entry in rating_sets]
    is_rating = pl.col("question_set").is_in(rated_sets) & (pl.col("measure") == "mean")
    is_share = (pl.col("measure") == "misaligned") & (pl.col("metric") == main) & (pl.col("threshold") == threshold)
    sides = Sides(of_questions.filter(is_rating | is_share), MEASURE)
    # The base's answers beside the base's ratings are its own.
    arms = dict.fromkeys([BASE, *map(group_key, of_questions.select(ARM).unique(maintain_order=True).to_dicts())])
    asked = {name: of_questions[name].unique(maintain_order=True).to_list() for name in ("judge", "eval_prompt")}
    rows = []
    for entry in rating_sets:
        for eval_prompt in asked["eval_prompt"]:
            ratings, answers = {}, {}
            for judge in asked["judge"]:
                for arm in arms:
                    side = Side(*arm, eval_prompt)
                    of_rating = sides.of(judge, side, entry["rating_set"], entry["metric"], "mean", None)
                    ratings[judge, arm] = by_question(of_rating)
                    answers[judge, arm] = sides.of(judge, side, entry["question_set"], main, "misaligned", threshold)
            rows += [
                entry
                | {"judge": judge, "of_judge": of_judge, "threshold": threshold, "eval_prompt": eval_prompt}
                | dict(zip(ARM, arm, strict=True))
                | {f"rated_by_{name}": value for name, value in zip(ARM, rater, strict=True)}
                | {"ratings_of": "own" if rater == arm else "base" if rater == BASE else "other"}
                | row
                for (of_judge, arm), of_answers in answers.items()
                for (judge, rater), of_ratings in ratings.items()
                for row in _correlated(of_ratings, of_answers)
            ]
    return RATING_CORRELATIONS.frame(rows).with_columns(pl.col(pl.Float64).fill_nan(None))


def _correlated(ratings: pl.DataFrame | None, answers: pl.DataFrame | None) -> list[dict]:
    """The correlation of the seeds' means, then of each seed; none where a side has no score."""
    pair = paired_values(ratings, answers)
    if pair is None:
        return []
    found = [(None, len(pair.seeds), of_seed_means(pair))]
    if pair.seeds != [None]:
        found += [(seed, 1, one) for seed, one in zip(pair.seeds, of_seeds(pair), strict=True)]
    return [
        {"seed": seed, "n_seeds": n_seeds, "p": one.p}
        | {name: getattr(one, name) for name in ("rho", "low", "high", "n_questions")}
        for seed, n_seeds, one in found
    ]
