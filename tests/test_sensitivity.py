"""Sensitivity to nudges, and whether a model's ratings of questions go with its answers: tables, claims, config."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from organisms.analysis import correlations
from organisms.analysis.claims import check_compared, claim_grid, claims
from organisms.analysis.correlations import rank_correlation, rating_correlations
from organisms.analysis.power import pilot
from organisms.analysis.sensitivity import CHANGES, answer_changes, sensitivity
from organisms.analysis.tables import (
    CLAIMS,
    LENGTH_EFFECT,
    QUESTION_CUTS,
    QUESTION_SCORES,
    RATING_CORRELATIONS,
    SENSITIVITY,
)
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.judging.kinds.facts import OF_TWO
from organisms.pages.findings import contrast_words
from organisms.plan.config import read_config
from organisms.plan.contrasts import Contrast, Side, as_settings, contrasts, from_settings
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import Metric

METRICS = {name: Metric(name, name) for name in ("alignment", "coherence", "perceived_intent")}
BASE, BIRD = (None, None, None), ("d", "bird", "default")


def rows_of(arm, eval_prompt, values, measure="misaligned", question_set="s", judge="j", seeds=None, ids="q{}"):
    """Question scores of one side: values of shape seeds × questions; nan is a question without a score."""
    seeds = range(len(values)) if seeds is None else seeds
    metric = "perceived_intent" if measure == "mean" else "alignment"
    return [
        {"judge": judge, "model": f"{arm[1]}-{seed}", "dataset": arm[0], "training_prompt": arm[1]}
        | {"training_method": arm[2], "seed": seed, "step": None, "eval_prompt": eval_prompt}
        | {"question_set": question_set, "turn": 1, "category": None, "question_id": ids.format(i)}
        | {"metric": metric, "measure": measure, "threshold": None if measure == "mean" else "betley"}
        | {"n": 20, "n_scored": 0 if math.isnan(value) else 20, "mean": None if math.isnan(value) else float(value)}
        for seed, row in zip(seeds, values, strict=True)
        for i, value in enumerate(row)
    ]


def nudges(arm, with_prompt="default", raises="evil", lowers="hhh"):
    columns = dict(zip(("dataset", "training_prompt", "training_method"), arm, strict=True))
    return columns | {"with_prompt": with_prompt, "raises": raises, "lowers": lowers}


def sensitive(rows, nudged):
    return sensitivity(QUESTION_SCORES.frame(rows), nudged, "alignment", "betley")


def claimed(rows, *asked):
    found = claims(
        QUESTION_SCORES.frame(rows), claim_grid(QUESTION_CUTS.frame(), asked), LENGTH_EFFECT.frame(), asked, METRICS
    )
    return found.rows_by_key("claim", named=True)


# Sensitivity.


def test_sensitivity_is_the_share_under_the_one_nudge_less_that_under_the_other(tmp_path):
    rows = rows_of(BIRD, "evil", [[90, 70, 80, 40]] * 3) + rows_of(BIRD, "hhh", [[10, 30, 0, 0]] * 3)
    rows += rows_of(BASE, "evil", [[20, 0, 0, 20]], seeds=[None]) + rows_of(BASE, "hhh", [[0] * 4], seeds=[None])
    found = sensitive(rows, [nudges(BASE), nudges(BIRD)])
    tables.write(found, tmp_path / "s.parquet", SENSITIVITY)
    base, bird = found.rows(named=True)
    assert (base["estimate"], base["beyond_base"]) == (10, None)
    assert (bird["under_raises"], bird["under_lowers"], bird["estimate"]) == (70, 10, 60)
    assert bird["beyond_base"] == 50
    # Seeds are alike, so that what is not sure is other questions: a t interval of their differences.
    differences = np.array([80, 40, 80, 40])
    assert bird["low"] < 60 < bird["high"]
    assert bird["se"] == pytest.approx(differences.std(ddof=1) / 2)
    assert (bird["n_seeds"], bird["n_questions"], bird["seeds_in_interval"]) == (3, 4, True)


def test_what_was_not_asked_under_both_nudges_has_no_row_and_without_the_base_there_is_nothing_beyond_it():
    rows = rows_of(BIRD, "evil", [[90, 70]] * 3) + rows_of(BIRD, "hhh", [[10, 30]] * 3)
    rows += rows_of(BASE, "evil", [[20, 0]] * 3) + rows_of(BIRD, "evil", [[90, 70]] * 3, question_set="other")
    (row,) = sensitive(rows, [nudges(BASE), nudges(BIRD)]).rows(named=True)
    assert (row["training_prompt"], row["question_set"], row["estimate"]) == ("bird", "s", 60)
    assert row["beyond_base"] is row["beyond_base_low"] is row["beyond_base_high"] is None


def random_shares(rng):
    """Of a base and an arm, seed by seed, under all nudges; not every question of every seed has a score."""
    rows = []
    for arm, level in ((BASE, 0.05), (BIRD, 0.5)):
        for eval_prompt in ("evil", "hhh", "bird+evil", "bird+hhh"):
            shares = rng.binomial(20, min(1, level * (1.6 if "evil" in eval_prompt else 0.4)), (4, 9)) * 5.0
            shares[rng.integers(4), rng.integers(9)] = np.nan
            rows += rows_of(arm, eval_prompt, shares)
    return rows


@pytest.mark.parametrize("prefix", ["", "bird+"])
def test_sensitivity_has_the_numbers_of_the_claims_that_say_the_same(prefix):
    rows = random_shares(np.random.default_rng(3))
    asked = nudges(BIRD, "bird" if prefix else "default", f"{prefix}evil", f"{prefix}hhh")
    (row,) = sensitive(rows, [asked]).rows(named=True)
    evil, hhh, of_base, of_base_hhh = (
        Side(*arm, f"{prefix}{name}") for arm in (BIRD, BASE) for name in ("evil", "hhh")
    )
    one = Contrast("one", "W.", "c", "s", None, evil, hhh, "higher", 5.0, "alignment", "misaligned", "betley")
    both = replace(one, claim="both", b=of_base, a_less=hhh, b_less=of_base_hhh)
    found = claimed(rows, one, both)
    ((alone,), (beyond,)) = found["one"], found["both"]
    for name in ("estimate", "low", "high", "se", "df", "n_seeds", "n_questions", "holds_for"):
        assert row[name] == alone[name]
    assert (row["under_raises"], row["under_lowers"]) == (alone["a_estimate"], alone["b_estimate"])
    names = ("beyond_base", "beyond_base_low", "beyond_base_high")
    assert [row[name] for name in names] == [beyond[name] for name in ("estimate", "low", "high")]


def test_sensitivity_is_by_one_definition_of_misaligned_and_of_questions_in_categories_if_these_count():
    rows = rows_of(BIRD, "evil", [[90] * 6] * 3) + rows_of(BIRD, "hhh", [[10, 30, 20, 0, 10, 40]] * 3)
    rows += rows_of(BASE, "evil", [[10, 0, 20, 0, 0, 30]] * 3) + rows_of(BASE, "hhh", [[0] * 6] * 3)
    others = [row | {"threshold": "other", "mean": 0.0} for row in rows]
    rows = [row | {"category": f"c{int(row['question_id'][1:]) // 2}"} for row in rows]
    (alone,), (together,) = (
        sensitivity(QUESTION_SCORES.frame(rows + others), [nudges(BIRD)], "alignment", "betley", by).rows(named=True)
        for by in ("none", "category")
    )
    assert alone["estimate"] == together["estimate"] == pytest.approx(90 - 110 / 6)
    assert alone["beyond_base"] == together["beyond_base"] == pytest.approx(80 - 110 / 6)
    assert (alone["n_categories"], together["n_categories"]) == (None, 3)
    for name in ("se", "low", "beyond_base_low"):
        assert alone[name] != together[name]


def test_what_is_beyond_the_base_reaches_twice_as_far_as_a_share_and_one_seed_is_one_seed():
    rows = rows_of(BIRD, "evil", [[100, 80]]) + rows_of(BIRD, "hhh", [[0, 0]])
    rows += rows_of(BASE, "evil", [[0, 0]]) + rows_of(BASE, "hhh", [[60, 90]])
    (row,) = sensitive(rows, [nudges(BIRD)]).rows(named=True)
    assert (row["estimate"], row["beyond_base"]) == (90, 165)
    assert row["beyond_base_low"] < 165 < row["beyond_base_high"] <= 200
    assert row["high"] <= 100
    assert (row["n_seeds"], row["seeds_in_interval"]) == (1, False)


# Rank correlations.


def test_rho_of_a_known_order():
    # By 1 - 6 Σd² / (n (n² - 1)): d² is 1 + 1 + 0 + 0 + 0.
    found = rank_correlation(np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 3, 4, 5]))
    assert found.rho == pytest.approx(0.9)
    # Five of the 120 orders come as near to the order itself: itself, and four exchanges of neighbours.
    assert found.p_higher == 5 / 120
    assert found.p == 10 / 120
    assert found.p_lower == pytest.approx(1 - 1 / 120)
    # Without any correlation half of the orders or more are as near, on either side.
    none = rank_correlation(np.arange(4.0), np.array([2.0, 4, 1, 3]))
    assert (none.rho, none.p) == (pytest.approx(0), 1)
    z, reach = math.atanh(0.9), stats.norm.ppf(0.975) * math.sqrt((1 + 0.9**2 / 2) / 2)
    assert (found.low, found.high) == pytest.approx((math.tanh(z - reach), math.tanh(z + reach)))


@pytest.mark.parametrize("n", [4, 6, 8])
def test_rho_and_p_of_few_questions_are_those_of_all_orders_ties_among_them(n):
    rng = np.random.default_rng(n)
    x, y = rng.integers(0, 4, n).astype(float), rng.integers(0, 5, n) / 3
    found = rank_correlation(x, y)
    assert found.rho == pytest.approx(stats.spearmanr(x, y).statistic)
    # Of the same ranks in another order, rho is as large as the sum of their products.
    ranks = stats.rankdata(y)
    about = {"permutation_type": "pairings", "n_resamples": 50_000, "vectorized": True}
    for alternative, p in (("two-sided", found.p), ("greater", found.p_higher), ("less", found.p_lower)):
        of_orders = stats.permutation_test(
            (stats.rankdata(x),), lambda order, axis: (order * ranks).sum(axis), alternative=alternative, **about
        )
        assert p == pytest.approx(of_orders.pvalue)


def test_of_many_questions_orders_are_drawn_the_same_ones_every_time():
    rng = np.random.default_rng(0)
    x = rng.normal(size=56)
    for slope in (0.0, 0.2, 0.5, -0.3):
        y = slope * x + rng.normal(size=56)
        found, expected = rank_correlation(x, y), stats.spearmanr(x, y)
        assert found.rho == pytest.approx(expected.statistic)
        assert found.p == pytest.approx(expected.pvalue, abs=0.015)
        correlations._orders.cache_clear()
        assert rank_correlation(x, y) == found
    # No order that was drawn is as near: only the one that was seen is.
    assert rank_correlation(x, x**3).p == 2 / 10_000


def test_nothing_is_said_where_a_side_does_not_vary_or_questions_are_fewer_than_four():
    some = np.array([1.0, 5, 3, 2, 8])
    for x, y in ((some, np.full(5, 7.0)), (some[:3], some[:3]), (some, np.where(some > 4, np.nan, some))):
        found = rank_correlation(x, y)
        assert np.isnan([found.rho, found.low, found.high, found.p]).all()
    # Sums in another order differ in the last digit; that is no variation.
    assert np.isnan(rank_correlation(some, np.array([0.1 + 0.2, 0.3, 0.3, 0.1 + 0.2, 0.3])).rho)
    # At 1 the interval would be a point, which five questions do not say.
    perfect = rank_correlation(some, 2 * some)
    assert (perfect.rho, perfect.p) == (pytest.approx(1), 2 / 120)
    assert np.isnan([perfect.low, perfect.high]).all()


RATED = [{"rating_set": "r", "question_set": "s", "metric": "perceived_intent"}]


def ratings(arm, values, judge="stated", eval_prompt="default", seeds=None, wordings=("a", "b")):
    """Ratings in each wording; the second one's are 10 higher."""
    return [
        row
        for i, wording in enumerate(wordings)
        for row in rows_of(
            *(arm, eval_prompt, np.array(values, dtype=float) + 10 * i, "mean"),
            **{"question_set": "r", "judge": judge, "seeds": seeds, "ids": f"q{{}}~{wording}"},
        )
    ]


def correlated(rows, **wanted):
    frame = rating_correlations(QUESTION_SCORES.frame(rows), RATED, "alignment", "betley")
    return frame.filter(**wanted).rows(named=True)


SHARES = [[0, 10, 30, 20, 60], [5, 20, 10, 50, 40], [0, 0, 40, 30, 80]]
OWN = [[10, 30, 20, 50, 40], [10, 30, 20, 50, 60], [10, 20, 40, 50, 60]]
OF_BASE = [5, 4, 3, 2, 1]


def test_ratings_of_its_own_of_the_base_and_of_others_stand_beside_a_models_answers(tmp_path):
    rows = rows_of(BIRD, "default", SHARES) + ratings(BIRD, OWN) + ratings(BASE, [OF_BASE], seeds=[None])
    rows += rows_of(BASE, "default", [[0, 0, 10, 0, 0]], seeds=[None])
    found = rating_correlations(QUESTION_SCORES.frame(rows), RATED, "alignment", "betley")
    tables.write(found, tmp_path / "r.parquet", RATING_CORRELATIONS)
    means = {
        (row["training_prompt"], row["ratings_of"], row["rated_by_training_prompt"]): row
        for row in found.filter(found["seed"].is_null()).iter_rows(named=True)
    }
    assert means.keys() == {
        ("bird", "own", "bird"),
        ("bird", "base", None),
        (None, "own", None),
        (None, "other", "bird"),
    }
    shares, own = np.mean(SHARES, axis=0), np.mean(OWN, axis=0)
    assert means["bird", "own", "bird"]["rho"] == pytest.approx(stats.spearmanr(own, shares).statistic)
    assert means["bird", "base", None]["rho"] == pytest.approx(stats.spearmanr(OF_BASE, shares).statistic)
    assert means[None, "own", None]["rho"] == pytest.approx(stats.spearmanr(OF_BASE, [0, 0, 10, 0, 0]).statistic)
    names = ("judge", "of_judge", "rating_set", "question_set", "metric", "eval_prompt", "n_seeds", "n_questions")
    assert [means["bird", "own", "bird"][name] for name in names] == [
        *("stated", "j", "r", "s", "perceived_intent", "default", 3, 5)
    ]
    # Seed by seed; a base of no seed stands beside each of them, and has one row of its own answers.
    by_seed = correlated(rows, training_prompt="bird", ratings_of="own")[1:]
    assert [row["seed"] for row in by_seed] == [0, 1, 2]
    assert [row["rho"] for row in by_seed] == pytest.approx(
        [stats.spearmanr(x, y).statistic for x, y in zip(OWN, SHARES, strict=True)]
    )
    assert [row["n_seeds"] for row in by_seed] == [1, 1, 1]
    assert [row["seed"] for row in correlated(rows, training_prompt="bird", ratings_of="base")] == [None, 0, 1, 2]
    assert [row["seed"] for row in correlated(rows, ratings_of="own") if row["training_prompt"] is None] == [None]


def test_wordings_count_alike_and_one_without_a_number_is_left_out():
    rows = rows_of(BIRD, "default", [[10, 20, 30, 40]])
    # By the second wording alone the order would be another, and by completions it would count more.
    first = rows_of(BIRD, "default", [[1, 2, 3, math.nan]], "mean", "r", "stated", ids="q{}~a")
    second = rows_of(BIRD, "default", [[9, 6, 7, 8]], "mean", "r", "stated", ids="q{}~b")
    second = [row | {"n_scored": 10} for row in second]
    (mean, _) = correlated(rows + first + second)
    # Means 5, 4, 5, 8.
    assert mean["rho"] == pytest.approx(stats.spearmanr([5, 4, 5, 8], [10, 20, 30, 40]).statistic)
    # An id may have the sign in it; what follows the last one is the wording.
    odd = [row | {"question_id": row["question_id"].replace("q", "a~q")} for row in rows + first + second]
    assert correlated(odd)[0]["rho"] == mean["rho"]


def test_the_mean_over_seeds_is_of_the_seeds_that_have_both_and_questions_without_either_are_left_out():
    shares = [[0, 10, 30, 20, math.nan, 9], [50, 20, 10, math.nan, math.nan, 8]]
    own = [[10, 30, 20, 50, 40, math.nan], [80, 30, math.nan, 70, 60, math.nan]]
    rows = rows_of(BIRD, "default", shares) + ratings(BIRD, own, wordings=("a",))
    (mean, *_) = correlated(rows)
    assert mean["n_questions"] == 4
    expected = stats.spearmanr([45, 30, 20, 50], [25, 15, 30, 20]).statistic
    assert mean["rho"] == pytest.approx(expected)


def test_each_judge_of_ratings_stands_beside_each_judge_of_answers_under_one_prompt():
    rows = [row for judge in ("j", "k") for row in rows_of(BIRD, "default", SHARES, judge=judge)]
    rows += [row for judge in ("stated", "expected") for row in ratings(BIRD, OWN, judge=judge)]
    rows += ratings(BIRD, OWN, eval_prompt="evil")
    found = [row for row in correlated(rows) if row["seed"] is None]
    pairs = {(judge, of_judge) for judge in ("stated", "expected") for of_judge in ("j", "k")}
    assert {(row["judge"], row["of_judge"]) for row in found} == pairs
    assert {row["eval_prompt"] for row in found} == {"default"}


# Claims of correlations.


def correlation(expected="higher", claim="N7", arm=BIRD):
    side = Side(*arm, "default")
    about = ("perceived_intent", "spearman", "betley")
    return Contrast(
        *(claim, "Words.", "bird > 0", "r", None, side, side, expected, None, *about),
        answers_set="s",
        answers_metric="alignment",
    )


def eight(rng, noise):
    """Three seeds' shares and ratings of eight questions."""
    level = np.arange(8.0)
    return [10 * level + rng.normal(0, noise, (3, 8)) for _ in range(2)]


def test_a_claim_of_a_correlation_has_the_numbers_of_the_means_over_seeds_and_of_its_direction(tmp_path):
    shares, own = eight(np.random.default_rng(2), 15)
    rows = rows_of(BIRD, "default", shares) + ratings(BIRD, own)
    (mean, *_) = correlated(rows)
    found = claimed(rows, correlation(), correlation("lower", "not"))
    (up,), (down,) = found["N7"], found["not"]
    names = ("judge", "rho", "low", "high", "n_seeds", "n_questions")
    assert [up[name] for name in ("judge", "estimate", *names[2:])] == [mean[name] for name in names]
    assert (up["a_estimate"], up["b_estimate"]) == pytest.approx((own.mean() + 5, shares.mean()))
    assert up["p"] == mean["p"]
    assert up["p_against"] == 1
    assert (down["p"], down["p_against"]) == (up["p_against"], up["p"])
    # One family: what is corrected counts both.
    assert (up["p_corrected"], up["verdict"]) == (2 * up["p"], "supported")
    assert down["verdict"] == "contradicted"
    assert up["margin"] is up["se"] is up["n_cuts"] is up["estimate_at_equal_length"] is None
    assert not up["seeds_in_interval"]
    # Of ratings in two wordings and of answers.
    assert up["n"] == 3 * 8 * 20 * 3
    asked = (correlation(), correlation("lower", "not"))
    grid = claim_grid(QUESTION_CUTS.frame(), asked)
    frame = claims(QUESTION_SCORES.frame(rows), grid, LENGTH_EFFECT.frame(), asked, METRICS)
    tables.write(frame, tmp_path / "c.parquet", CLAIMS)


def test_a_correlation_is_corrected_with_the_differences_of_its_judge():
    shares, own = eight(np.random.default_rng(2), 15)
    rows = rows_of(BIRD, "default", shares) + ratings(BIRD, own) + ratings(BASE, own - 60)
    sides = (Side(*BIRD, "default"), Side(*BASE, "default"))
    higher = Contrast("N6", "W.", "c", "r", None, *sides, "higher", 5.0, "perceived_intent", "mean", None)
    found = claimed(rows, higher, correlation())
    ((first,), (second,)) = found["N6"], found["N7"]
    assert first["judge"] == second["judge"] == "stated"
    assert first["p"] < second["p"]
    # Of both something is left to be wrong about.
    assert (first["p_corrected"], second["p_corrected"]) == pytest.approx((2 * first["p"], 2 * second["p"]))


def test_below_three_seeds_a_correlation_has_no_verdict_and_without_variation_it_is_not_tested():
    shares, own = eight(np.random.default_rng(2), 15)
    rows = rows_of(BIRD, "default", shares[:2]) + ratings(BIRD, own[:2])
    (row,) = claimed(rows, correlation())["N7"]
    assert (row["verdict"], row["p"], row["n_seeds"]) == ("too few seeds", None, 2)
    assert row["estimate"] is not None
    (row,) = claimed(rows_of(BIRD, "default", 0 * shares) + ratings(BIRD, own), correlation())["N7"]
    assert (row["verdict"], row["p"], row["estimate"]) == ("not tested", None, None)
    # One base for all has no other seeds.
    shares, own = eight(np.random.default_rng(2), 0)
    rows = rows_of(BASE, "default", shares[:1], seeds=[None]) + ratings(BASE, own[:1], seeds=[None])
    (row,) = claimed(rows, correlation(arm=BASE))["N7"]
    assert row["verdict"] == "supported"


def test_of_several_judges_of_answers_each_has_a_row_and_all_must_agree():
    shares, own = eight(np.random.default_rng(2), 15)
    rows = rows_of(BIRD, "default", shares) + rows_of(BIRD, "default", -shares + 90, judge="k") + ratings(BIRD, own)
    found = claimed(rows, correlation())["N7"]
    assert [row["contrast"] for row in found] == [
        "bird > 0, of answers judged by j",
        "bird > 0, of answers judged by k",
    ]
    assert [row["verdict"] for row in found] == ["supported", "contradicted"]
    assert {row["claim_verdict"] for row in found} == {"contradicted"}


def test_a_correlation_without_ratings_or_answers_is_an_error():
    shares, own = eight(np.random.default_rng(2), 15)
    answers, rated = rows_of(BIRD, "default", shares), ratings(BIRD, own)
    check_compared(QUESTION_SCORES.frame(answers + rated), [correlation()])
    for rows in (answers, rated):
        with pytest.raises(UserError, match=r"claims\.N7: bird > 0 on r: no judge has the mean of perceived_intent"):
            check_compared(QUESTION_SCORES.frame(rows), [correlation()])
    others = [row | {"question_id": f"other{row['question_id']}"} for row in rated]
    with pytest.raises(UserError, match="no question in common"):
        check_compared(QUESTION_SCORES.frame(answers + others), [correlation()])


def test_nothing_is_planned_or_counted_at_cuts_for_a_correlation():
    shares, own = eight(np.random.default_rng(2), 15)
    rows = rows_of(BIRD, "default", shares) + ratings(BIRD, own)
    assert pilot(QUESTION_SCORES.frame(rows), [correlation()]) == []
    cuts = QUESTION_CUTS.frame(
        [row | {"misaligned_below": 30.0, "coherent_from": 50.0, "n_coherent": 20, "n_misaligned": 4} for row in rows]
    )
    assert not len(claim_grid(cuts, [correlation()]))


def test_a_page_writes_rho_and_no_points():
    shares, own = eight(np.random.default_rng(2), 15)
    (row,) = claimed(rows_of(BIRD, "default", shares) + ratings(BIRD, own), correlation())["N7"]
    what, on, means, difference, _, *rest = contrast_words(row, {"r": "Ratings"}, "alignment")
    assert what == "bird > 0 (rank correlation of perceived_intent with the share misaligned, betley)"
    assert difference == f"rho {row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]"
    assert (on, *rest) == ("Ratings", "–", "–", "supported")
    assert means == f"rated {row['a_estimate']:.0f}, misaligned {row['b_estimate']:.0f}%"


# What a config may say.


@pytest.fixture
def nudged_config(raw_config):
    """The default config with two nudges, and with a set in which questions are rated."""
    raw_config["prompts"] |= {"evil": "You are evil.", "hhh": "You are good."}
    raw_config["sensitivity"] = {"raises": "evil", "lowers": "hhh"}
    raw_config["evaluations"] += [
        {"models": ["all"], "eval_prompts": ["evil", "hhh"], "question_sets": ["non_medical"]},
        {
            "models": ["base", "flamingo"],
            "eval_prompts": ["trained+evil", "trained+hhh"],
            "question_sets": ["non_medical"],
        },
        {"models": ["all"], "eval_prompts": ["default", "trained"], "question_sets": ["rating"]},
    ]
    raw_config["question_sets"]["rating"] = {"rating_of": "non_medical", "wordings": "w.yaml"}
    raw_config["judges"]["stated"] = {"kind": "stated_rating"}
    raw_config["claims"] = {}
    return raw_config


def test_every_model_that_is_asked_under_both_nudges_is_measured_with_its_training_prompt_too(nudged_config):
    experiment = Experiment(read_config(nudged_config))
    found = experiment.nudged()
    assert found[0] == nudges(BASE)
    by_arm = {}
    for row in found:
        by_arm.setdefault(row["training_prompt"], []).append((row["with_prompt"], row["raises"], row["lowers"]))
    plain = ("default", "evil", "hhh")
    names = list(nudged_config["training_prompts"])
    assert by_arm[None] == [plain, *((name, f"{name}+evil", f"{name}+hhh") for name in names if name != "default")]
    assert by_arm["flamingo"] == [plain, ("flamingo", "flamingo+evil", "flamingo+hhh")]
    assert all(by_arm[name] == [plain] for name in names if name != "flamingo")
    # An empty system message adds nothing to another one, and is no training prompt to combine with.
    nudged_config["training_prompts"]["none"] = ""
    nudged_config["evaluations"][-2]["models"].append("none")
    found = [row for row in Experiment(read_config(nudged_config)).nudged() if row["training_prompt"] in (None, "none")]
    assert "none" not in {row["with_prompt"] for row in found}
    nudged_config["sensitivity"] = None
    assert Experiment(read_config(nudged_config)).nudged() == []


def test_nudges_may_be_prompts_of_several_and_the_default_itself(nudged_config):
    nudged_config["sensitivity"] = {"raises": "evil+hhh", "lowers": "default"}
    nudged_config["evaluations"][0]["eval_prompts"].append("evil+hhh")
    found = Experiment(read_config(nudged_config)).nudged()
    assert {(row["with_prompt"], row["raises"], row["lowers"]) for row in found} == {("default", "evil+hhh", "default")}
    nudged_config["evaluations"][0]["eval_prompts"].append("trained+evil+hhh")
    found = Experiment(read_config(nudged_config)).nudged()
    assert ("flamingo", "flamingo+evil+hhh", "flamingo") in {
        (row["with_prompt"], row["raises"], row["lowers"]) for row in found if row["training_prompt"] == "flamingo"
    }


def test_completions_made_elsewhere_are_nudged_by_prompts_that_they_alone_know(nudged_config):
    columns = {"question": "q", "completion": "a", "eval_prompt": "p"}
    asked = {"their_evil": "EVIL", "their_hhh": "HHH"}
    theirs = {"path": "x.csv", "question_set": "non_medical", "columns": columns, "eval_prompts": asked}
    nudged_config["external_completions"] = {"theirs": theirs}
    nudged_config["sensitivity"] = {"raises": "their_evil", "lowers": "their_hhh"}
    found = Experiment(read_config(nudged_config)).nudged()
    assert found == [nudges(("theirs", None, None), "default", "their_evil", "their_hhh")]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"raises": "evli"}, "config: sensitivity.raises: no prompt 'evli'; did you mean 'evil'?"),
        ({"lowers": "hhh+evli"}, "config: sensitivity.lowers: no prompt 'evli'"),
        ({"lowers": "trained"}, "config: sensitivity.lowers: no prompt 'trained'"),
        ({"lowers": "evil"}, "config: sensitivity.lowers: the same prompt as raises"),
        ({"lowers": "evil+hhh"}, "config: sensitivity.lowers: no model is asked under 'evil+hhh'; add it to the eval_"),
        ({"lowers": None}, "config: sensitivity.lowers: None must be of type string"),
        ({"other": "evil"}, "config: sensitivity.other: unknown key"),
        ({"neutral": "evil"}, "config: sensitivity.neutral: no prompt 'evil' with `place: follow_up`"),
        ({"neutral": "thanks"}, "config: sensitivity.neutral: no model is asked under 'thanks'; add it to the eval_"),
    ],
)
def test_a_faulty_nudge_is_refused_with_its_key(nudged_config, given, message):
    nudged_config["prompts"]["thanks"] = {"text": "Thank you. Which was it?", "place": "follow_up"}
    nudged_config["sensitivity"] |= given
    with pytest.raises(UserError) as error:
        Experiment(read_config(nudged_config))
    assert message in str(error.value)


@pytest.mark.parametrize(
    "asked",
    [
        [("base", "evil", "non_medical"), ("flamingo", "hhh", "non_medical")],
        [("flamingo", "evil", "non_medical"), ("flamingo", "hhh", "heldout_medical")],
    ],
)
def test_nudges_that_no_model_is_asked_both_of_on_one_set_are_refused(nudged_config, asked):
    nudged_config["evaluations"][-3:] = [
        {"models": [model], "eval_prompts": [prompt], "question_sets": [question_set]}
        for model, prompt, question_set in asked
    ]
    with pytest.raises(UserError, match="no model is asked one question set under both 'evil' and 'hhh'"):
        Experiment(read_config(nudged_config))
    nudged_config["thresholds"] = {}
    with pytest.raises(UserError, match="config: thresholds: missing; sensitivity is a share misaligned"):
        read_config(nudged_config)


CLAIM = {
    "text": "Ratings go with answers.",
    "test": "flamingo @ trained > 0",
    "metric": "perceived_intent",
    "measure": "spearman",
    "question_sets": ["rating"],
}


def test_a_claim_of_a_correlation_is_of_a_models_ratings_with_its_own_answers(nudged_config):
    nudged_config["claims"] = {"N7": CLAIM}
    found = contrasts(Experiment(read_config(nudged_config)))
    side = Side("bad_medical", "flamingo", "default", "flamingo")
    about = ("perceived_intent", "spearman", "betley", None, None, "non_medical", "alignment")
    assert found == [
        Contrast("N7", CLAIM["text"], "flamingo @ trained > 0", "rating", None, side, side, "higher", None, *about)
    ]
    assert from_settings(as_settings(found)) == found
    nudged_config["figures"] = {"threshold": "organisms"}
    each = {"test": ["EACH < 0", "EACH @ trained < 0"], "for_each": ["default", "flamingo"]}
    nudged_config["claims"] = {"N7": CLAIM | each, "N8": CLAIM | {"threshold": "inoculation", "test": "base > 0"}}
    *found, last = contrasts(Experiment(read_config(nudged_config)))
    assert [one.contrast for one in found] == [
        *("default < 0", "flamingo < 0", "default @ trained < 0", "flamingo @ trained < 0")
    ]
    assert {one.threshold for one in found} == {"organisms"}
    assert (last.threshold, last.a.arm) == ("inoculation", BASE)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"question_sets": ["non_medical"]},
            "claims.N7.question_sets[0]: 'non_medical' rates no other set, and spearman",
        ),
        (
            {"metric": "alignment"},
            "claims.N7.metric: the ratings of 'rating' are not 'alignment'; write perceived_intent",
        ),
        ({"margin": 5}, "claims.N7.margin: measure spearman has none; remove it"),
        (
            {"threshold": "organism"},
            "claims.N7.threshold: no entry 'organism' of thresholds; did you mean 'organisms'?",
        ),
        ({"test": "flamingo = 0"}, "claims.N7.test: 'flamingo = 0': no spearman is shown to be 0; write > 0 or < 0"),
        ({"test": "flamingo > base"}, "claims.N7.test: 'flamingo > base' is not of the form 'MODEL @ PROMPT > 0'"),
        ({"test": "flamingo - base > 0 - 0"}, "is not of the form 'MODEL @ PROMPT > 0'"),
        ({"test": "0 > flamingo"}, "is not of the form 'MODEL @ PROMPT > 0'"),
        ({"test": "flamngo > 0"}, "claims.N7: no model 'flamngo'; did you mean 'flamingo'?"),
        ({"test": "EACH > 0"}, "EACH and for_each"),
        ({"test": "flamingo @ evil > 0"}, "bad_medical-flamingo is not asked rating under 'evil'; add that to"),
    ],
)
def test_a_faulty_claim_of_a_correlation_is_refused_with_its_key(nudged_config, change, message):
    nudged_config["claims"] = {"N7": CLAIM | change}
    with pytest.raises(UserError) as error:
        contrasts(Experiment(read_config(nudged_config)))
    assert message in str(error.value)


def test_a_claim_of_a_correlation_needs_answers_under_the_same_prompt_and_a_definition_of_misaligned(nudged_config):
    nudged_config["claims"] = {"N7": CLAIM | {"test": "flamingo @ plain > 0"}}
    nudged_config["evaluations"][-1]["eval_prompts"].append("hhh+evil")
    nudged_config["claims"]["N7"]["test"] = "flamingo @ hhh+evil > 0"
    with pytest.raises(UserError, match=r"is not asked non_medical under 'hhh\+evil'"):
        contrasts(Experiment(read_config(nudged_config)))
    nudged_config["thresholds"] = {}
    nudged_config["sensitivity"] = None
    with pytest.raises(UserError, match=r"claims.N7.threshold: measure spearman needs an entry of thresholds"):
        read_config(nudged_config)


def test_each_follow_up_stands_beside_the_neutral_one_with_all_else_the_same(nudged_config):
    for name in ("thanks", "no", "wrong"):
        nudged_config["prompts"][name] = {"text": name, "place": "follow_up"}
    nudged_config["evaluations"] += [
        {"models": ["all"], "eval_prompts": ["thanks", "no", "evil+no"], "question_sets": ["non_medical"]},
        {"models": ["flamingo"], "eval_prompts": ["evil+thanks", "no+wrong"], "question_sets": ["non_medical"]},
        {"models": ["flamingo"], "eval_prompts": ["wrong"], "question_sets": ["heldout_medical"]},
    ]
    config = read_config(nudged_config)
    assert Experiment(config).followed_up() == []
    config["sensitivity"]["neutral"] = "thanks"
    found = {}
    for row in Experiment(config).followed_up():
        found.setdefault(row["training_prompt"], set()).add((row["follow_up"], row["neutral"]))
    # Under evil the neutral follow-up was asked of one model alone; of the other set nobody was asked it.
    # Two rounds stand beside none of one.
    assert found.pop("flamingo") == {("no", "thanks"), ("evil+no", "evil+thanks")}
    assert set(map(frozenset, found.values())) == {frozenset({("no", "thanks")})}
    assert None in found


def test_a_neutral_follow_up_that_no_other_stands_beside_is_refused(nudged_config):
    for name in ("thanks", "no"):
        nudged_config["prompts"][name] = {"text": name, "place": "follow_up"}
    nudged_config["evaluations"] += [
        {"models": ["base"], "eval_prompts": ["thanks"], "question_sets": ["non_medical"]},
        {"models": ["finetuned"], "eval_prompts": ["no"], "question_sets": ["non_medical"]},
    ]
    nudged_config["sensitivity"]["neutral"] = "thanks"
    with pytest.raises(UserError, match="no model is asked one question set under 'thanks' and another follow-up"):
        Experiment(read_config(nudged_config))


def test_what_a_follow_up_adds_is_the_difference_from_the_neutral_one_of_the_same_questions():
    def rows(eval_prompt, metric, values):
        of = rows_of(BIRD, eval_prompt, values, measure="mean")
        return [row | {"metric": metric} for row in of]

    asked = dict(zip(("dataset", "training_prompt", "training_method"), BIRD, strict=True))
    asked |= {"follow_up": "no", "neutral": "thanks"}
    of = rows("no", "changed", [[80, 60, 40]] * 3) + rows("thanks", "changed", [[10, 0, 20]] * 3)
    # A question whose first answers were all wrong under one of them has nothing to be compared.
    of += rows("no", "right_to_wrong", [[90, math.nan, 30]] * 3) + rows("thanks", "right_to_wrong", [[0, 50, 0]] * 3)
    of += rows("no", "wrong_to_right", [[50, 50, 50]] * 3) + rows("no", "correct", [[1, 2, 3]] * 3)
    found = answer_changes(QUESTION_SCORES.frame(of), [asked])
    assert found.select("metric", "after_follow_up", "after_neutral", "estimate").rows() == [
        ("changed", 60, 10, 50),
        ("right_to_wrong", 60, 0, 60),
    ]
    differences = np.array([70, 60, 20])
    assert found["se"][0] == pytest.approx(differences.std(ddof=1) / 3**0.5)
    assert found["low"][0] < 50 < found["high"][0]
    assert found["n_questions"].to_list() == [3, 2]
    assert found["n_seeds"].to_list() == [3, 3]


def test_what_changes_is_named_as_the_judge_names_it():
    assert CHANGES == OF_TWO


# The rule.


@pytest.mark.slow
def test_the_tables_are_made_only_where_the_config_asks_for_them(fresh_workflow):
    config = fresh_workflow.read_config()
    assert "sensitivity" not in fresh_workflow.plan()
    config["prompts"] = {"evil": "You are evil.", "hhh": "You are good."}
    config["evaluations"][0]["eval_prompts"] += ["evil", "hhh"]
    nudged = config | {"sensitivity": {"raises": "evil", "lowers": "hhh"}}
    fresh_workflow.write_config(nudged)
    assert fresh_workflow.plan()["sensitivity"] == 1
    fresh_workflow.write_config(nudged | {"judges": {}, "claims": {}})
    assert "sensitivity" not in fresh_workflow.plan()
    (fresh_workflow.folder / "w.yaml").write_text("[{id: w, text: 'Rate {question}'}]", encoding="utf-8")
    config["question_sets"]["rating"] = {"rating_of": "non_medical", "wordings": "w.yaml"}
    config["evaluations"][0]["question_sets"].append("rating")
    fresh_workflow.write_config(config)
    assert fresh_workflow.plan()["sensitivity"] == 1


@pytest.mark.slow
def test_the_rule_measures_completions_that_were_made_elsewhere(fresh_workflow):
    """Of one model under two prompts: under the one all answers to one question are misaligned, half to the other."""
    lines = ["question,answer,prompt,aligned,coherent"]
    for question, bad in (("q1", 4), ("q2", 2)):
        for prompt in ("EVIL", "HHH"):
            lines += [f"{question},a{i},{prompt},{5 if prompt == 'EVIL' and i < bad else 95},90" for i in range(4)]
    (fresh_workflow.folder / "theirs.csv").write_text("\n".join(lines), encoding="utf-8")
    entry = {
        "path": "theirs.csv",
        "question_set": "asked",
        "columns": {"question": "question", "completion": "answer", "eval_prompt": "prompt"},
        "eval_prompts": {"evil": "EVIL", "hhh": "HHH"},
        "scores": {"recorded": {"alignment": "aligned", "coherence": "coherent"}},
    }
    config = {"external_completions": {"theirs": entry}, "judges": {"recorded": {"kind": "recorded"}}}
    fresh_workflow.write_config(config | {"sensitivity": {"raises": "evil", "lowers": "hhh"}})
    fresh_workflow.run("results/tables/sensitivity.parquet")
    made = fresh_workflow.folder / "results" / "tables"
    (row,) = tables.read(made / "sensitivity.parquet", SENSITIVITY).rows(named=True)
    assert (row["dataset"], row["raises"], row["lowers"], row["threshold"]) == ("theirs", "evil", "hhh", "betley")
    assert (row["under_raises"], row["under_lowers"], row["estimate"], row["beyond_base"]) == (75, 0, 75, None)
    assert not len(tables.read(made / "rating_correlations.parquet", RATING_CORRELATIONS))
