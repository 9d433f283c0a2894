"""Estimates and intervals over crossed seeds and questions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from organisms.analysis.claims import p_values
from organisms.analysis.intervals import crossed_estimate, limits, mean_squares, per_question, probability_below


def skewed_scores(rng, seeds: int, questions: int, samples: int, sd_seed: float, sd_question: float, centre: float):
    """Means per seed and question of scores that lie in two heaps, near 0 and near 100, as judges give them."""
    of_both = rng.normal(0, 0.5, (seeds, questions))
    latent = centre + rng.normal(0, sd_seed, (seeds, 1)) + rng.normal(0, sd_question, (1, questions)) + of_both
    bad = rng.binomial(samples, 1 / (1 + np.exp(-latent)))
    # The sum of many beta variables by its mean and variance.
    heaps = ((1 / 7, 6 / (49 * 8), bad), (12 / 13, 12 / (169 * 14), samples - bad))
    total = sum(rng.normal(n * mean, np.sqrt(n * variance)) for mean, variance, n in heaps)
    return np.clip(100 * total / samples, 0, 100)


def true_mean(rng, sd_seed: float, sd_question: float, centre: float) -> float:
    spread = np.sqrt(sd_seed**2 + sd_question**2 + 0.25)
    share = (1 / (1 + np.exp(-rng.normal(centre, spread, 400_000)))).mean()
    return 100 * (share / 7 + (1 - share) * 12 / 13)


@pytest.mark.parametrize("seeds", [2, 3, 5, 10])
@pytest.mark.parametrize(
    ("sd_seed", "sd_question", "centre"), [(0.6, 1.5, -1.0), (1.0, 1.5, -1.0), (0.1, 2.0, -1.0), (0.6, 1.0, 0.0)]
)
def test_intervals_cover_the_truth(seeds, sd_seed, sd_question, centre):
    rng = np.random.default_rng(seeds)
    truth = true_mean(rng, sd_seed, sd_question, centre)
    found = [crossed_estimate(skewed_scores(rng, seeds, 8, 50, sd_seed, sd_question, centre)) for _ in range(2000)]
    columns = [np.array([getattr(one, name) for one in found]) for name in ("estimate", "se", "df", "n_questions")]
    low, high = limits(*columns, (0, 100))
    # Nominal 95%; 2,000 simulations leave a standard error of half a percent.
    assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.975


def test_the_variance_is_that_of_the_two_way_table():
    values = np.array([[10.0, 20.0, 60.0], [20.0, 50.0, 80.0]])
    of_seeds, of_questions, of_both = mean_squares(values)
    assert of_seeds == pytest.approx(3 * (10**2 + 10**2))
    assert of_questions == pytest.approx(2 * (25**2 + 5**2 + 30**2) / 2)
    found = crossed_estimate(values)
    assert found.estimate == 40
    assert found.se == pytest.approx(np.sqrt((of_seeds + of_questions - of_both) / 6))


def test_the_mean_squares_are_those_of_statsmodels():
    from statsmodels.formula.api import ols
    from statsmodels.stats.anova import anova_lm

    values = np.random.default_rng(3).normal(50, 20, (4, 7))
    seeds, questions = np.indices(values.shape)
    data = {"y": values.ravel(), "seed": seeds.ravel().astype(str), "question": questions.ravel().astype(str)}
    table = anova_lm(ols("y ~ seed + question", data=pd.DataFrame(data)).fit())
    assert mean_squares(values) == pytest.approx(table["mean_sq"].tolist())


@pytest.mark.parametrize("seeds", [3, 8])
def test_a_difference_that_is_not_there_is_found_no_more_often_than_promised(seeds):
    rng = np.random.default_rng(seeds)
    noise = [
        rng.normal(0, 6, (seeds, 1)) + rng.normal(0, 8, (1, 12)) + rng.normal(0, 10, (seeds, 12)) for _ in range(3000)
    ]
    found = np.mean([probability_below(crossed_estimate(values), 0) < 0.05 for values in noise])
    assert 0.02 <= found <= 0.065
    # At the very edge of the margin equality is claimed no more often either.
    edge = [crossed_estimate(values + 10) for values in noise]
    assert np.mean([p_values(one, "equal", 10)[0] < 0.05 for one in edge]) <= 0.065


def test_one_seed_is_a_t_interval_over_questions():
    values = np.array([[10.0, 20.0, 60.0, 70.0]])
    found = crossed_estimate(values)
    low, high = limits([found.estimate], [found.se], [found.df], np.array([4]), None)
    expected = stats.t.interval(0.95, 3, 40, values.std(ddof=1) / 2)
    assert (low[0], high[0]) == pytest.approx(expected)


def test_questions_with_unequal_counts_weigh_as_their_rows_do():
    totals, counts = np.array([[900.0, 10.0]]), np.array([[10.0, 1.0]])
    assert per_question(totals, counts).mean() == pytest.approx(910 / 11)
    # A seed without any row is not there.
    both = per_question(np.vstack([totals, [[0.0, 0.0]]]), np.vstack([counts, [[0.0, 0.0]]]))
    assert crossed_estimate(both).n_seeds == 1


def test_none_of_eight_questions_is_not_certainly_none():
    low, high = limits([0.0, 100.0], [0.0, 0.0], [7, 7], np.array([8, 8]), (0, 100))
    # Clopper and Pearson for 0 of 8 and 8 of 8.
    exact = stats.binomtest(0, 8).proportion_ci(method="exact")
    assert (low[0], high[0]) == pytest.approx((0, 100 * exact.high))
    assert (low[1], high[1]) == pytest.approx((100 - 100 * exact.high, 100))


def test_where_nothing_varies_or_one_question_was_asked_there_is_no_interval():
    low, high = limits([50.0], [0.0], [7], np.array([8]), (0, 100))
    assert np.isnan([low[0], high[0]]).all()
    low, high = limits([0.0, 100.0], [np.nan] * 2, [np.nan] * 2, np.array([1, 1]), (0, 100))
    assert np.isnan([*low, *high]).all()
    one = crossed_estimate(np.array([[40.0], [60.0]]))
    assert one.estimate == 50
    assert np.isnan(one.se)
    assert np.isnan(probability_below(one, 0))


@pytest.mark.parametrize("seeds", [1, 3])
def test_what_rounding_leaves_where_nothing_varies_is_no_certainty(seeds):
    counts = np.full((seeds, 7), 3.0)
    for value in (33.3, 66.7, 87.1, 90.0):
        difference = per_question(counts * value, counts) - per_question(counts * (value - 20.1), counts)
        found = crossed_estimate(difference)
        assert (found.estimate, found.se) == (pytest.approx(20.1), 0)
        assert np.isnan(p_values(found, "higher", 10)).all()
        assert np.isnan(limits(found.estimate, found.se, found.df, np.array(7), None)).all()


def test_intervals_of_bounded_values_stay_inside():
    low, high = limits([1.0, 99.5], [5.0, 4.0], [3, 3], np.array([4, 4]), (0, 100))
    assert (low > 0).all()
    assert (high < 100).all()
