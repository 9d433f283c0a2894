"""Estimates and intervals over crossed seeds and questions."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from organisms.analysis.claims import p_values
from organisms.analysis.intervals import (
    by_cluster,
    clusters_of,
    crossed_estimate,
    limits,
    mean_squares,
    per_question,
    probability_below,
)


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
    # Nominal 95%; 2,000 simulations leave a standard error of half a percent. Of eight questions that are alike,
    # intervals are a little too wide: they have seen no more than eight.
    assert 0.92 <= np.mean((low <= truth) & (truth <= high)) <= 0.99


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
    assert np.mean([p_values(one, "equal", 10)[0] < 0.1 for one in edge]) <= 0.065


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
    # Jeffreys for 0 of 8 and 8 of 8.
    most = 100 * stats.beta(0.5, 8.5).ppf(0.975)
    assert (low[0], high[0]) == pytest.approx((0, most))
    assert (low[1], high[1]) == pytest.approx((100 - most, 100))


@pytest.mark.parametrize("bad", range(1, 8))
def test_questions_that_are_wholly_good_or_bad_have_jeffreys_interval(bad):
    found = crossed_estimate(np.array([[100.0] * bad + [0.0] * (8 - bad)]))
    low, high = limits(found.estimate, found.se, found.df, found.n_drawn, (0, 100))
    # statsmodels' is the same beta distribution.
    assert (low, high) == pytest.approx([100 * end for end in proportion_confint(bad, 8, method="jeffreys")])


def spread(how: str, bad: int, seeds: int, questions: int, samples: int) -> np.ndarray:
    """So many bad answers put down in percent of each question's samples, seeds × questions."""
    places = seeds * questions
    if how == "one question after the other":
        return np.clip(bad - samples * np.arange(places), 0, samples).reshape(questions, seeds).T * 100 / samples
    if how == "one question in all seeds":
        values = np.zeros((seeds, questions))
        values[:, 0] = min(bad, samples)
        return values * 100 / samples
    return (bad // places + (np.arange(places) < bad % places)).reshape(questions, seeds).T * 100 / samples


@pytest.mark.parametrize("how", ["one question after the other", "one question in all seeds", "evenly"])
@pytest.mark.parametrize(("seeds", "questions"), [(1, 8), (3, 8), (5, 8), (1, 20), (3, 20)])
def test_more_bad_answers_never_give_a_tighter_limit(how, seeds, questions):
    samples = 50
    found = [
        crossed_estimate(spread(how, bad, seeds, questions, samples)) for bad in range(seeds * questions * samples + 1)
    ]
    columns = [np.array([getattr(one, name) for one in found]) for name in ("estimate", "se", "df", "n_drawn")]
    low, high = limits(*columns, (0, 100))
    assert (np.diff(low) > -1e-9).all()
    assert (np.diff(high) > -1e-9).all()
    # Nor does one more bad answer move it far.
    assert np.diff(high).max() < 7


def test_where_no_value_varies_the_number_of_questions_says_how_sure_it_is():
    few, many = (limits([50.0], [0.0], [n - 1], np.array([n]), (0, 100)) for n in (8, 56))
    assert few[0] < many[0] < 50 < many[1] < few[1]


def test_without_bounds_or_of_one_question_there_is_no_interval_where_nothing_varies():
    assert np.isnan(limits([50.0], [0.0], [7], np.array([8]), None)).all()
    assert np.isnan(limits([50.0], [np.nan], [np.nan], np.array([1]), (0, 100))).all()
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
        assert min(p_values(found, "higher", 10)) > 0.05
        assert np.isnan(limits(found.estimate, found.se, found.df, np.array(7), None)).all()


def test_intervals_of_bounded_values_stay_inside():
    low, high = limits([1.0, 99.5], [5.0, 4.0], [3, 3], np.array([4, 4]), (0, 100))
    assert (low > 0).all()
    assert (high < 100).all()


# Questions of one category are alike.


def test_categories_count_as_drawn_where_there_are_enough():
    five = [name for name in "abcde" for _ in range(3)]
    assert clusters_of(five, "auto").tolist() == [i for i in range(5) for _ in range(3)]
    assert clusters_of(five[:12], "auto") is None
    assert clusters_of(five[:6], "category").tolist() == [0, 0, 0, 1, 1, 1]
    assert clusters_of(five, "none") is None
    # One category has nothing to vary beside; a question without a category is one of its own.
    assert clusters_of(["a"] * 6, "category") is None
    assert clusters_of([None] * 6, "auto") is None
    assert clusters_of(["a", "a", None, None], "category").tolist() == [0, 0, 1, 2]


def test_the_error_of_even_categories_is_that_of_their_means():
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(50, 10, (4, 30)), np.repeat(np.arange(6), 5)
    found, of_means = crossed_estimate(values, clusters), crossed_estimate(values.reshape(4, 6, 5).mean(axis=2))
    assert (found.estimate, found.se, found.df) == pytest.approx((of_means.estimate, of_means.se, of_means.df))
    assert (found.n_questions, found.n_clusters) == (30, 6)
    # And with one seed that of a regression with clustered errors.
    import statsmodels.api as sm

    model = sm.OLS(values[0], np.ones(30)).fit(
        cov_type="cluster", cov_kwds={"groups": clusters, "use_correction": True}
    )
    # Of which the small-sample factor has the number of questions in it too: 29 / 29 here.
    assert crossed_estimate(values[:1], clusters).se == pytest.approx(model.bse[0])


@pytest.mark.parametrize("seeds", [1, 4])
def test_very_uneven_categories_leave_one_degree_of_freedom_at_least(seeds):
    values = np.random.default_rng(0).normal(50, 10, (seeds, 20))
    # One of nineteen questions and one of one count as 1.1 even ones.
    found = crossed_estimate(values, np.array([0] * 19 + [1]))
    assert found.df >= 1
    assert found.n_drawn == pytest.approx(np.sqrt(20 / (0.95**2 + 0.05**2)))


def test_categories_of_uneven_size_weigh_as_their_questions_do():
    values, clusters = np.array([[10.0, 20.0, 30.0, 90.0]]), np.array([0, 0, 0, 1])
    assert by_cluster(values, clusters).mean() == pytest.approx(values.mean())
    assert crossed_estimate(values, clusters).estimate == pytest.approx(values.mean())


@pytest.mark.parametrize("sizes", [[7] * 8, [20, 10, 6, 5, 5, 4, 3, 3], [30, 6, 5, 5, 5, 5]])
def test_the_error_of_categories_is_right_on_average_whatever_their_sizes(sizes):
    rng, clusters = np.random.default_rng(0), np.repeat(np.arange(len(sizes)), sizes)
    found = [crossed_estimate(rng.normal(0, 10, (1, len(sizes)))[:, clusters], clusters) for _ in range(4000)]
    true = np.std([one.estimate for one in found])
    assert np.sqrt(np.mean([one.se**2 for one in found])) == pytest.approx(true, rel=0.08)
    # Uneven ones have as many degrees of freedom as so many even ones would.
    assert found[0].df == pytest.approx(sum(sizes) ** 2 / sum(size**2 for size in sizes) - 1)


@pytest.mark.parametrize("sizes", [[7] * 8, [20, 10, 6, 5, 5, 4, 3, 3]])
@pytest.mark.parametrize("of_category", [0.0, 0.7, 1.2])
def test_intervals_cover_the_truth_if_categories_differ(sizes, of_category):
    rng = np.random.default_rng(0)
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    hit = {"category": 0, "question": 0}
    true = true_mean(rng, 0.6, np.hypot(1.0, of_category), -1.0)
    for _ in range(800):
        shift = rng.normal(0, of_category, len(sizes))[clusters]
        latent = -1 + rng.normal(0, 0.6, (5, 1)) + rng.normal(0, 1, 56) + shift + rng.normal(0, 0.5, (5, 56))
        share = rng.binomial(10, 1 / (1 + np.exp(-latent))) / 10
        for name, of in (("category", clusters), ("question", None)):
            one = crossed_estimate(100 * (share / 7 + (1 - share) * 12 / 13), of)
            low, high = limits(one.estimate, one.se, one.df, one.n_drawn, (0, 100))
            hit[name] += low <= true <= high
    assert 0.915 <= hit["category"] / 800 <= 0.985
    # What it would be without.
    assert of_category < 1 or hit["question"] / 800 < 0.87
