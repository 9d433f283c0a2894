"""Claims: how the config writes them, what data say of them, and what each finetune has learned."""

import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from organisms.analysis.claims import (
    check_compared,
    claim_grid,
    claims,
    corrected,
    interval,
    p_asserted,
    p_values,
    verdict,
    verdict_of_claim,
)
from organisms.analysis.diagnoses import diagnoses
from organisms.analysis.intervals import Estimate, crossed_estimate
from organisms.analysis.pairing import paired_difference
from organisms.analysis.power import Design, Parts, costs_of, detectable, needed, parts_of, pilot, power_text
from organisms.analysis.scores import Definition
from organisms.analysis.tables import CLAIM_GRID, CLAIMS, DIAGNOSES, LENGTH_EFFECT, QUESTION_CUTS, QUESTION_SCORES
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.pages.findings import claim_verdicts, contrast_words, seeds_warning
from organisms.plan.config import read_config
from organisms.plan.contrasts import Contrast, Side, as_settings, contrasts, default_margin, from_settings
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import Metric

ALIGNMENT, COHERENCE = Metric("alignment", "Alignment"), Metric("coherence", "Coherence")
# Of another scale, on which less is better.
HARM = Metric("harm", "Harm", low=0.0, high=10.0, good="low")
METRICS = {metric.name: metric for metric in (ALIGNMENT, COHERENCE, HARM)}
DEFINITION = Definition(ALIGNMENT, COHERENCE)
BASE = Side(None, None, None, "default")
DEFAULT, BIRD = (Side("d", prompt, "default", "default") for prompt in ("default", "bird"))


def test_the_posts_claims_stand_in_the_default_config(raw_config):
    found = contrasts(Experiment(read_config(raw_config)))
    assert list(dict.fromkeys(contrast.claim for contrast in found)) == [f"C{n}" for n in range(1, 10)]
    first = found[0]
    assert (first.a, first.b) == (Side("bad_medical", "default", "default", "default"), BASE)
    assert (first.expected, first.margin, first.metric, first.measure) == ("lower", 10, "alignment", "mean")
    assert from_settings(as_settings(found)) == found


def test_a_new_training_prompt_is_tested_too(raw_config):
    before = len(contrasts(Experiment(read_config(raw_config))))
    raw_config["training_prompts"]["otter"] = "[OTTER LANTERN]"
    found = contrasts(Experiment(read_config(raw_config)))
    own = [contrast for contrast in found if "otter" in contrast.contrast]
    assert len(found) == before + len(own)
    assert {contrast.contrast for contrast in own if contrast.claim == "C5"} == {
        "otter < base",
        "otter @ trained < base",
        "otter = otter @ trained",
    }
    assert Side("bad_medical", "otter", "default", "otter") in [
        contrast.b for contrast in own if contrast.claim == "C5"
    ]


def test_with_two_datasets_a_claim_is_tested_on_each_and_says_which(raw_config):
    raw_config["datasets"]["good_medical"] = {"world": {"domain": "medical", "advice": "good", "rows": 480}}
    twin = {"text": "The twin is better.", "test": "good_medical/default > bad_medical/default"}
    raw_config["claims"] = {"C1": raw_config["claims"]["C1"], "C6": twin | {"question_sets": ["non_medical"]}}
    found = contrasts(Experiment(read_config(raw_config)))
    assert [(contrast.claim, contrast.contrast) for contrast in found] == [
        ("C1", "bad_medical/default < base"),
        ("C1", "good_medical/default < base"),
        ("C6", "good_medical/default > bad_medical/default"),
    ]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"test": "defualt < base"}, "claims.C1: no model 'defualt'; did you mean 'default'?"),
        ({"test": "default is worse than base"}, "is not of the form"),
        ({"test": "EACH < base"}, "EACH and for_each"),
        ({"for_each": ["default"]}, "EACH and for_each"),
        ({"for_each_except": ["flamngo"], "test": "EACH < base"}, "did you mean 'flamingo'?"),
        ({"test": "default - base < base"}, "compares a difference with a model"),
        ({"test": "default - base - base < base - base"}, "is not of the form"),
        ({"test": "default < base < base"}, "is not of the form"),
        ({"test": "default - base < base - defualt"}, "no model 'defualt'"),
        ({"test": "default - default @ evil < base - base @ evil"}, "bad_medical-default is not asked non_medical"),
        ({"test": "default < base @ EACH"}, "EACH and for_each"),
        ({"test": "default @ evil < base"}, "bad_medical-default is not asked non_medical under 'evil'; add that to"),
        ({"test": "default < base @ trained"}, "the base was trained with no prompt"),
        ({"test": "other/default < base"}, "no dataset 'other'"),
        ({"question_sets": ["medical"]}, "claims.C1.question_sets[0]: no question set 'medical'"),
        ({"measure": "misaligned"}, "claims.C1.threshold: measure misaligned needs one of betley, organisms"),
        ({"threshold": "betley"}, "claims.C1.threshold: measure mean has none"),
        ({"margin": 0}, "claims.C1.margin: 0"),
    ],
)
def test_a_faulty_claim_is_refused_with_its_key(raw_config, change, message):
    raw_config["claims"]["C1"].update(change)
    with pytest.raises(UserError) as error:
        contrasts(Experiment(read_config(raw_config)))
    assert message in str(error.value)


def test_all_that_a_claim_says_is_in_each_of_its_contrasts(raw_config):
    about = {"text": "Words.", "test": "flamingo @ trained > default", "metric": "coherence", "margin": 3}
    raw_config["claims"] = {"C": about | {"question_sets": ["non_medical", "heldout_medical"], "answer": 1}}
    flamingo, default = (
        Side("bad_medical", name, "default", prompt) for name, prompt in (("flamingo",) * 2, ("default",) * 2)
    )
    written = "flamingo @ trained > default"
    assert contrasts(Experiment(read_config(raw_config))) == [
        Contrast("C", "Words.", written, name, 1, flamingo, default, "higher", 3, "coherence", "mean", None)
        for name in ("non_medical", "heldout_medical")
    ]


def test_what_only_a_model_from_the_middle_of_training_was_asked_is_not_asked(raw_config):
    raw_config["training"]["keep_steps"] = [5]
    asked = {"eval_prompts": ["evil"], "question_sets": ["non_medical"]}
    raw_config["evaluations"] += [asked | {"models": ["steps"]}, asked | {"models": ["base"]}]
    raw_config["claims"] = {"C": raw_config["claims"]["C1"] | {"test": "flamingo @ evil < base @ evil"}}
    with pytest.raises(UserError, match="bad_medical-flamingo is not asked non_medical under 'evil'"):
        contrasts(Experiment(read_config(raw_config)))


def test_a_claim_of_differences_says_what_a_prompt_does_to_one_model_and_to_another(raw_config):
    test = "EACH @ trained - EACH < base @ EACH - base"
    claim = {"text": "W.", "for_each": ["flamingo"], "test": test, "question_sets": ["non_medical"]}
    raw_config["claims"] = {"C": claim}
    found = contrasts(Experiment(read_config(raw_config)))
    (one,) = found
    flamingo = Side("bad_medical", "flamingo", "default", "flamingo")
    assert one.contrast == "flamingo @ trained - flamingo < base @ flamingo - base"
    assert one.sides == [
        (flamingo, 1),
        (replace(BASE, eval_prompt="flamingo"), -1),
        (replace(flamingo, eval_prompt="default"), -1),
        (BASE, 1),
    ]
    assert (one.expected, one.margin) == ("lower", 10)
    assert from_settings(as_settings(found)) == found


def test_completions_made_elsewhere_are_claimed_about_under_their_own_prompt(raw_config):
    columns = {"question": "q", "completion": "a"}
    theirs = {"path": "x.csv", "question_set": "non_medical", "eval_prompt": "flamingo", "columns": columns}
    raw_config["external_completions"] = {"theirs": theirs}
    raw_config["claims"] = {"C": raw_config["claims"]["C1"] | {"test": "theirs < base"}}
    (found,) = contrasts(Experiment(read_config(raw_config)))
    assert (found.a, found.b) == (Side("theirs", None, None, "flamingo"), BASE)


def test_a_direction_is_tested_against_nothing_and_equality_against_the_margin():
    far, near, none = (Estimate(value, 2.0, 40, 3, 20) for value in (-30.0, -2.0, 0.0))
    for expected, supports in (("lower", True), ("higher", False), ("equal", False)):
        p, against = p_values(far, expected, 10)
        assert (p < 0.001) == supports
        assert (against < 0.001) == (not supports)
    # Surely smaller than what counts: equal, and no support for a direction.
    assert p_values(near, "equal", 10)[0] < 0.001
    assert p_values(near, "lower", 10)[1] < 0.001
    # Not sure of anything.
    wide = Estimate(-2.0, 20.0, 5, 2, 6)
    assert all(p > 0.2 for expected in ("lower", "higher", "equal") for p in p_values(wide, expected, 10))
    assert p_values(none, "lower", 10)[0] == 1


@pytest.mark.parametrize("expected", ["lower", "higher", "equal"])
def test_a_test_says_what_the_interval_beside_it_says(expected):
    rng = np.random.default_rng(0)
    seen = set()
    for estimate, se in zip(rng.normal(0, 12, 400), rng.uniform(0.5, 8, 400), strict=True):
        found = Estimate(estimate, se, 6.0, 4, 20)
        low, high = interval(found)
        p, against = p_values(found, expected, 10)
        within, beyond = low > -10 and high < 10, high < -10 or low > 10
        says = {"lower": (high < 0, low > 0 or within), "higher": (low > 0, high < 0 or within)}
        assert (p < 0.05, against < 0.05) == says.get(expected, (within, beyond))
        seen.add((p < 0.05, against < 0.05))
    assert len(seen) >= 3


def test_claims_and_their_contraries_are_one_family_of_as_many_as_there_are_contrasts():
    known = corrected([(0.01, 0.9), (0.6, 0.04), (np.nan, np.nan), (0.03, 0.5)])
    assert [p for pair in known for p in pair] == pytest.approx(
        # Holm's, for three.
        [0.03, 1, 1, 0.12, np.nan, np.nan, 0.09, 1],
        nan_ok=True,
    )
    # A contrast that is decided both ways is not counted any more.
    assert corrected([(0.001, 0.002), (0.02, 0.9)]) == [
        (pytest.approx(0.002), pytest.approx(0.004)),
        (pytest.approx(0.02), pytest.approx(0.9)),
    ]
    assert corrected([]) == []


def test_no_more_than_one_run_in_twenty_has_a_wrong_verdict():
    # Twelve contrasts each exactly on the edge of one of the things that verdicts say.
    rng, wrong = np.random.default_rng(0), 0
    for _ in range(1500):
        pairs, kinds = [], []
        for i in range(12):
            kind, expected = i % 3, "equal" if i % 2 else "lower"
            true = (0.0, 10.0, -10.0)[kind]
            spread = 2 * np.sqrt(rng.chisquare(6) / 6)
            pairs.append(p_values(Estimate(true + rng.normal(0, 2), spread, 6, 7, 20), expected, 10))
            kinds.append((kind, expected))
        verdicts = [verdict(*pair) for pair in corrected(pairs)]
        right = {
            (0, "lower"): ("contradicted", "inconclusive"),
            (1, "lower"): ("contradicted", "inconclusive"),
            (2, "lower"): ("supported", "inconclusive"),
            (0, "equal"): ("supported", "inconclusive"),
            (1, "equal"): ("inconclusive",),
            (2, "equal"): ("inconclusive",),
        }
        wrong += any(word not in right[kind] for word, kind in zip(verdicts, kinds, strict=True))
    assert wrong / 1500 <= 0.06


def test_a_difference_that_is_real_and_too_small_has_a_word_of_its_own():
    small = Estimate(-4.1, 0.28, 20, 5, 48)
    assert verdict(*p_values(small, "lower", 10)) == "below margin"
    assert verdict(*p_values(small, "equal", 10)) == "supported"
    # Of the other direction, or of none, it contradicts.
    assert verdict(*p_values(small, "higher", 10)) == "contradicted"
    assert verdict(*p_values(Estimate(-0.1, 0.28, 20, 5, 48), "lower", 10)) == "contradicted"
    assert verdict_of_claim(["supported", "below margin"]) == "below margin"
    assert verdict_of_claim(["supported", "below margin", "inconclusive"]) == "inconclusive"


def test_a_difference_that_is_the_same_on_all_questions_is_as_sure_as_their_number():
    fall = crossed_estimate(np.full((3, 8), -100.0))
    assert verdict(*p_values(fall, "lower", 10)) == "supported"
    assert interval(fall)[1] < -40
    # 0 against 0: eight questions do not show that others would not differ, 56 do.
    few, many = (crossed_estimate(np.zeros((3, n))) for n in (8, 56))
    assert verdict(*p_values(few, "equal", 10)) == "inconclusive"
    assert verdict(*p_values(many, "equal", 10)) == "supported"
    assert interval(few)[0] < -10 < interval(many)[0] < 0 < interval(many)[1] < 10
    # One bad answer more does not make anything surer.
    one = np.zeros((3, 8))
    one[0, 0] = 2.0
    assert np.diff(interval(crossed_estimate(one))) >= np.diff(interval(few)) - 0.1
    # Scores without bounds have no such limit.
    assert np.isnan(p_values(few, "equal", 10, None)).all()


def test_one_answer_without_a_score_does_not_make_questions_differ_that_do_not():
    """Nor do categories of uneven size: all questions but one differ by the same, whatever counts beside them."""
    values = [[100.0] * 9 + [90.0]] * 3
    rows = question_rows(None, "default", [[100.0] * 10] * 3) + question_rows("default", "default", values)
    asked = [contrast(DEFAULT, BASE, "equal")]
    plain = claimed(rows, asked)["C"]
    lacking = claimed([row | ({"n_scored": 49} if i == 30 else {}) for i, row in enumerate(rows)], asked)["C"]
    assert plain["low"] < -10
    assert lacking["low"] == pytest.approx(plain["low"], rel=0.01)
    assert (lacking["verdict"], plain["verdict"]) == ("inconclusive", "inconclusive")
    uneven = np.repeat(range(6), [6, 5, 4, 3, 2, 1])
    one = np.zeros((3, 21))
    one[:, -1] = -10
    assert crossed_estimate(one, uneven).few_differ
    assert not crossed_estimate(np.array([np.arange(21.0)]), uneven).few_differ


def test_a_question_that_one_seed_has_no_score_of_is_not_the_same_in_all():
    of_base = QUESTION_SCORES.frame(question_rows(None, "default", [[90.0] * 6] * 3))
    rows = question_rows("default", "default", [[90.0, 90.0, 1.0, 2.0, 3.0, 4.0]] * 3)
    assert paired_difference([of_base, QUESTION_SCORES.frame(rows)])[0].few_differ
    lacking = QUESTION_SCORES.frame(
        [row | ({"n_scored": 0, "mean": None} if i == 0 else {}) for i, row in enumerate(rows)]
    )
    assert not paired_difference([of_base, lacking])[0].few_differ
    # Five that differ are not a few.
    rows = question_rows("default", "default", [[90.0, 90.0, 1.0, 2.0, 3.0, 4.0, 5.0]] * 3)
    of_base = QUESTION_SCORES.frame(question_rows(None, "default", [[90.0] * 7] * 3))
    assert not paired_difference([of_base, QUESTION_SCORES.frame(rows)])[0].few_differ


def test_a_claim_needs_all_its_contrasts():
    assert verdict_of_claim(["supported", "supported"]) == "supported"
    assert verdict_of_claim(["supported", "inconclusive"]) == "inconclusive"
    assert verdict_of_claim(["inconclusive", "contradicted"]) == "contradicted"


def question_rows(
    training_prompt,
    eval_prompt,
    values,
    question_set="s",
    metric="alignment",
    seeds=None,
    judge="j",
    method="default",
    turn=1,
):
    """Question scores of one side: values of shape seeds × questions."""
    seeds = range(len(values)) if seeds is None else seeds
    return [
        {"judge": judge, "model": f"{training_prompt}-{method}-{seed}", "dataset": training_prompt and "d"}
        | {"training_prompt": training_prompt, "training_method": training_prompt and method, "seed": seed}
        | {"step": None, "eval_prompt": eval_prompt, "question_set": question_set, "turn": turn}
        | {"category": None, "question_id": f"q{i}", "metric": metric}
        | {"measure": "mean", "threshold": None, "n": 50, "n_scored": 50, "mean": float(value), "variance": 100.0}
        for seed, row in zip(seeds, values, strict=True)
        for i, value in enumerate(row)
    ]


def contrast(a, b, expected, margin=10.0, claim="C", question_set="s", turn=None, metric="alignment"):
    return Contrast(claim, "Words.", "a ? b", question_set, turn, a, b, expected, margin, metric, "mean", None)


@pytest.fixture
def of_questions(tmp_path):
    rng = np.random.default_rng(0)
    questions = rng.normal(0, 8, 12)
    seeds = rng.normal(0, 6, (4, 1))
    rows = [
        # One base for all seeds; two finetunes that share what is particular to a seed and to a question.
        *question_rows(None, "default", [90 + questions], seeds=[None]),
        *question_rows("default", "default", 50 + seeds + questions + rng.normal(0, 2, (4, 12))),
        *question_rows("bird", "default", 53 + seeds + questions + rng.normal(0, 2, (4, 12))),
        *question_rows(None, "default", [[99.0] * 12], metric="coherence", seeds=[None]),
        *question_rows("default", "default", [[95.0] * 12] * 4, metric="coherence"),
        *question_rows("bird", "default", [[20.0] * 12] * 4, metric="coherence"),
        *question_rows(None, "default", [[300.0] * 12], metric="length", seeds=[None]),
        *question_rows("default", "default", [[500.0] * 12] * 4, metric="length"),
        *question_rows("bird", "default", [[300.0] * 12] * 4, metric="length"),
    ]
    tables.write(rows, tmp_path / "q.parquet", QUESTION_SCORES)
    return tables.read(tmp_path / "q.parquet", QUESTION_SCORES)


NO_CUTS = QUESTION_CUTS.frame()


def no_lengths(like):
    columns = [name for name in LENGTH_EFFECT.columns if name in QUESTION_SCORES.columns and name != "n"]
    lengths = {"n": 600, "mean_length": 300.0, "length_variance": 900.0, "slope": -2.0, "slope_se": 0.1}
    same = like.select(columns).unique(maintain_order=True).with_columns(**{k: pl.lit(v) for k, v in lengths.items()})
    longer = pl.when(pl.col("training_prompt") == "default").then(500.0).otherwise(300.0)
    return same.with_columns(mean_length=longer)


def test_a_claim_that_has_nothing_to_compare_is_an_error(of_questions):
    def tested(one):
        check_compared(of_questions, [one])

    with pytest.raises(UserError, match=r"claims\.C: .* on s: no judge has the mean of medical of all sides"):
        tested(contrast(DEFAULT, BASE, "lower", metric="medical"))
    unasked = Side("d", "bird", "default", "elsewhere")
    with pytest.raises(UserError, match="no judge has the mean of alignment of all sides"):
        tested(contrast(unasked, BASE, "lower"))
    tested(contrast(DEFAULT, BASE, "lower"))
    of_questions = of_questions.with_columns(
        question_id=pl.when(pl.col("training_prompt") == "bird").then(pl.lit("own")).otherwise("question_id")
    )
    with pytest.raises(UserError, match="its sides have no question in common"):
        tested(contrast(BIRD, BASE, "lower"))


def test_differences_are_paired_by_question_and_seed(of_questions, tmp_path):
    asked = [
        contrast(DEFAULT, BASE, "lower", claim="C1"),
        contrast(BIRD, DEFAULT, "equal", claim="C2"),
        contrast(BIRD, DEFAULT, "higher", claim="C3"),
        contrast(BIRD, BASE, "equal", claim="C4"),
    ]
    grid = claim_grid(NO_CUTS, asked)
    found = claims(of_questions, grid, no_lengths(of_questions), asked, METRICS)
    tables.write(found, tmp_path / "c.parquet", CLAIMS)
    tables.write(grid, tmp_path / "g.parquet", CLAIM_GRID)
    rows = found.rows_by_key("claim", named=True, unique=True)
    assert [rows[name]["verdict"] for name in ("C1", "C2", "C3", "C4")] == [
        "supported",
        "supported",
        # Three points are a difference, and surely less than what counts.
        "below margin",
        "contradicted",
    ]
    # What seeds and questions have in common is no noise of a paired difference.
    assert rows["C2"]["se"] < 0.5 < 2 < rows["C1"]["se"]
    assert rows["C2"]["estimate"] == pytest.approx(3, abs=1)
    assert rows["C1"]["n_seeds"] == 4
    assert rows["C1"]["seeds_in_interval"]
    assert rows["C1"]["low"] < rows["C1"]["estimate"] < rows["C1"]["high"]
    # The default finetune's answers are 200 characters longer, each hundred costs two points.
    row = rows["C1"]
    assert row["estimate_at_equal_length"] == pytest.approx(row["estimate"] + 4)
    # Here all answers of a side are of one length: as sure as the difference, but for the slope.
    reach, at_equal_length = row["high"] - row["estimate"], row["estimate_at_equal_length"]
    assert row["high_at_equal_length"] - at_equal_length == pytest.approx(reach, rel=0.05)
    assert row["high_at_equal_length"] - at_equal_length > reach
    assert at_equal_length - row["low_at_equal_length"] == pytest.approx(row["high_at_equal_length"] - at_equal_length)
    assert [claim["verdict"] for claim in claim_verdicts(found)] == [row["claim_verdict"] for row in rows.values()]


def test_sides_that_agree_on_each_question_do_not_differ_whatever_they_refuse():
    """Each refuses most answers to half of the questions, the one to the bad ones and the other to the good."""
    rng = np.random.default_rng(0)
    of_questions = np.repeat([90.0, 10.0], 6) + rng.normal(0, 3, (3, 12))
    rows = [
        row | {"n_scored": 1 if (int(row["question_id"][1:]) < 6) == (prompt == "bird") else 8}
        for prompt in ("default", "bird")
        for row in question_rows(prompt, "default", of_questions)
    ]
    row = claimed(rows, [contrast(DEFAULT, BIRD, "higher")])["C"]
    assert row["estimate"] == pytest.approx(0)
    assert row["a_estimate"] == pytest.approx(row["b_estimate"])
    assert row["verdict"] == "inconclusive"


def test_a_tie_of_two_categories_by_chance_changes_nothing():
    rng = np.random.default_rng(0)
    values, clusters = rng.normal(-10, 8, (1, 48)), np.repeat(np.arange(6), 8)
    tied = values.copy()
    tied[0, 8:16] += tied[0, :8].mean() - tied[0, 8:16].mean()
    found = crossed_estimate(tied, clusters)
    assert not found.few_differ
    nearly = tied + np.eye(1, 48) * 0.01
    assert interval(found) == pytest.approx(interval(crossed_estimate(nearly, clusters)), abs=0.1)


def test_a_finetune_of_an_unknown_seed_is_one_seed_beside_many():
    theirs = Side("theirs", None, None, "default")
    rows = question_rows("default", "default", 30 + np.random.default_rng(0).normal(0, 2, (5, 12)))
    theirs_rows = question_rows(None, "default", [[80.0] * 12], seeds=[None])
    rows += [row | {"dataset": "theirs", "model": "theirs"} for row in theirs_rows]
    row = claimed(rows, [contrast(DEFAULT, theirs, "lower")])["C"]
    assert (row["n_seeds"], row["verdict"], row["p"]) == (5, "too few seeds", None)


@pytest.mark.parametrize("base_seeds", [[None], range(4)])
def test_a_difference_in_differences_is_paired_throughout(base_seeds):
    """What seeds and questions do to a model under both prompts, and what a prompt does to the base, is taken out."""
    rng = np.random.default_rng(0)
    seeds, questions = rng.normal(0, 15, (4, 1)), rng.normal(0, 10, 12)
    of_base = 80 + rng.normal(0, 2, (len(base_seeds), 12))
    rows = [
        *question_rows(None, "default", of_base, seeds=base_seeds),
        *question_rows(None, "tag", of_base - 5 + rng.normal(0, 1, of_base.shape), seeds=base_seeds),
        *question_rows("bird", "default", 50 + seeds + questions),
        *question_rows("bird", "tag", 70 + seeds + questions + rng.normal(0, 1, (4, 12))),
        # Asked of one side alone, and so of none.
        *(row | {"question_id": "q99"} for row in question_rows("bird", "tag", [[0.0]] * 4)),
    ]
    asked = replace(
        contrast(replace(BIRD, eval_prompt="tag"), replace(BASE, eval_prompt="tag"), "higher"), a_less=BIRD, b_less=BASE
    )
    row = claimed(rows, [asked])["C"]
    value = {(row["training_prompt"], row["eval_prompt"], row["seed"], row["question_id"]): row["mean"] for row in rows}
    by_hand = np.array(
        [
            [
                value["bird", "tag", seed, f"q{q}"]
                - value["bird", "default", seed, f"q{q}"]
                - value[None, "tag", of_base_seed, f"q{q}"]
                + value[None, "default", of_base_seed, f"q{q}"]
                for q in range(12)
            ]
            for seed, of_base_seed in zip(range(4), list(base_seeds) * (4 // len(base_seeds)), strict=True)
        ]
    )
    assert row["estimate"] == pytest.approx(by_hand.mean())
    assert row["se"] == pytest.approx(crossed_estimate(by_hand).se)
    assert (row["n_seeds"], row["n_questions"], row["is_difference"]) == (4, 12, True)
    assert row["a_estimate"] == pytest.approx(20, abs=1)
    assert row["b_estimate"] == pytest.approx(-5, abs=1)
    assert (row["verdict"], row["se"] < 1) == ("supported", True)


def test_a_difference_in_differences_reaches_twice_as_far_as_its_metric_is_wide():
    rows = [
        row
        for prompt, values in (("default", (0.0, 100.0)), ("tag", (100.0, 0.0)))
        for model, value in zip(("bird", None), values, strict=True)
        for row in question_rows(model, prompt, [[value] * 8] * 4)
    ]
    tag = [replace(side, eval_prompt="tag") for side in (BIRD, BASE)]
    asked = replace(contrast(*tag, "higher"), a_less=BIRD, b_less=BASE)
    row = claimed(rows, [asked])["C"]
    assert (row["estimate"], row["high"]) == (200, 200)
    assert 90 < row["low"] < 200


def test_with_one_seed_the_table_says_that_seeds_are_not_in_the_interval(of_questions):
    one = of_questions.filter(pl.col("seed").is_null() | (pl.col("seed") == 0))
    asked = [contrast(DEFAULT, BASE, "lower")]
    row = claims(one, claim_grid(NO_CUTS, asked), no_lengths(one), asked, METRICS).row(0, named=True)
    assert (row["n_seeds"], row["seeds_in_interval"]) == (1, False)


def test_what_length_does_to_the_spread_of_questions_is_no_noise_at_equal_length():
    rng = np.random.default_rng(0)
    longer = rng.normal(300, 150, (4, 30))
    # Two points less for a hundred characters, and nothing else but a little noise.
    values = 80 - 2 * longer / 100 + rng.normal(0, 0.3, (4, 30))
    rows = question_rows(None, "default", [[80.0] * 30], seeds=[None]) + question_rows("default", "default", values)
    rows += question_rows(None, "default", [[0.0] * 30], seeds=[None], metric="length")
    rows += question_rows("default", "default", longer, metric="length")
    frame, asked = QUESTION_SCORES.frame(rows), [contrast(DEFAULT, BASE, "lower")]
    slopes = no_lengths(frame).with_columns(
        mean_length=pl.when(pl.col("training_prompt") == "default").then(longer.mean()).otherwise(0.0), slope_se=0.01
    )
    row = claims(frame, claim_grid(NO_CUTS, asked), slopes, asked, METRICS).row(0, named=True)
    assert row["low_at_equal_length"] < 0 < row["high_at_equal_length"]
    assert row["high_at_equal_length"] - row["low_at_equal_length"] < (row["high"] - row["low"]) / 3


def test_the_length_that_is_taken_out_is_that_of_what_is_compared():
    """A long answer to a question that the other side has no score of, or of a seed that it lacks, explains nothing."""
    rng = np.random.default_rng(0)
    values, longer = 50 + rng.normal(0, 5, (4, 8)), 300 + rng.normal(0, 50, (4, 8))
    rows = question_rows(None, "default", [[90.0] * 9] * 5) + question_rows("default", "default", values)
    rows += question_rows(None, "default", [[200.0] * 8 + [9000.0]] * 4 + [[9000.0] * 9], metric="length")
    rows += question_rows("default", "default", longer, metric="length")
    unscored = question_rows("default", "default", [[0.0] * 9] * 4)[8::9]
    rows += [row | {"n_scored": 0, "mean": None, "variance": None} for row in unscored]
    rows += question_rows("default", "default", [[10.0] * 9] * 4, metric="length")[8::9]
    asked = [contrast(DEFAULT, BASE, "lower")]

    def told(rows):
        frame = QUESTION_SCORES.frame(rows)
        slopes = no_lengths(frame).with_columns(slope_se=0.0)
        row = claims(frame, claim_grid(NO_CUTS, asked), slopes, asked, METRICS).row(0, named=True)
        return tuple(row[f"{name}_at_equal_length"] for name in ("estimate", "low", "high"))

    expected = crossed_estimate(values + 2 * (longer - 200) / 100 - 90)
    assert told(rows)[0] == pytest.approx(expected.estimate)
    assert told(rows) == pytest.approx((expected.estimate, *interval(expected, None)))
    # In whatever order the rows stand.
    assert told(rows[::-1]) == pytest.approx(told(rows))


def test_the_sides_are_of_the_seeds_that_are_compared():
    rows = question_rows(None, "default", [[90.0, 80.0]] * 4) + question_rows("default", "default", [[40.0, 50.0]] * 4)
    of_last = [row["dataset"] is not None and row["seed"] == 3 for row in rows]
    rows = [
        row | ({"n_scored": 0, "mean": None} if last else {"mean": row["mean"] + 7 * row["seed"]})
        for row, last in zip(rows, of_last, strict=True)
    ]
    row = claimed(rows, [contrast(DEFAULT, BASE, "lower")])["C"]
    assert (row["n_seeds"], row["estimate"]) == (3, pytest.approx(-40))
    assert (row["a_estimate"], row["b_estimate"]) == pytest.approx((52, 92))


@pytest.mark.parametrize("n_seeds", [1, 2, 3])
def test_fewer_than_three_seeds_get_no_verdict_and_no_p(of_questions, n_seeds):
    some = of_questions.filter(pl.col("seed").is_null() | (pl.col("seed") < n_seeds))
    asked = [contrast(DEFAULT, BASE, "lower", claim="C1"), contrast(BIRD, DEFAULT, "equal", claim="C2")]
    found = claims(some, claim_grid(NO_CUTS, asked), no_lengths(some), asked, METRICS)
    assert (found["estimate"][0], found["low"].null_count()) == (pytest.approx(-40, abs=20), 0)
    of_p = found.select("p", "p_corrected", "p_against", "p_against_corrected")
    if n_seeds == 3:
        assert "too few seeds" not in found["verdict"]
        assert of_p.null_count().row(0) == (0, 0, 0, 0)
        return
    assert of_p.null_count().row(0) == (2, 2, 2, 2)
    assert set(found["verdict"]) == set(found["claim_verdict"]) == {"too few seeds"}
    for row in found.iter_rows(named=True):
        words = contrast_words(row, {})
        assert f"seen on {n_seeds} seed" in words[-1]
        assert words[4] == "–"
    assert "snakemake power" in seeds_warning(n_seeds)


def test_questions_without_a_score_on_one_side_are_no_pairs(of_questions):
    """They are in neither the interval nor the counts, and a contrast of nothing else is not tested."""
    contrasted = [contrast(DEFAULT, BASE, "lower")]
    is_base = pl.col("dataset").is_null()
    unscored = is_base & (pl.col("question_id") == of_questions["question_id"][0])

    def without(scores: pl.Expr) -> pl.DataFrame:
        nothing = {"n_scored": pl.lit(0, pl.Int64), "mean": pl.lit(None, pl.Float64)}
        columns = (pl.when(scores).then(value).otherwise(name).alias(name) for name, value in nothing.items())
        return claims(
            of_questions.with_columns(columns), CLAIM_GRID.frame([]), LENGTH_EFFECT.frame([]), contrasted, METRICS
        )

    removed = claims(of_questions.filter(~unscored), CLAIM_GRID.frame([]), LENGTH_EFFECT.frame([]), contrasted, METRICS)
    assert without(unscored).rows() == removed.rows()
    none = without(is_base).row(0, named=True)
    assert (none["verdict"], none["claim_verdict"], none["p"], none["n"]) == ("not tested", "not tested", None, 0)


def test_one_base_under_two_prompts_has_no_seeds_to_be_too_few():
    rows = question_rows(None, "default", [[90.0, 91, 93, 90, 92, 89]], seeds=[None])
    rows += question_rows(None, "evil", [[40.0, 47, 43, 41, 45, 42]], seeds=[None])
    row = claimed(rows, [contrast(replace(BASE, eval_prompt="evil"), BASE, "lower")])["C"]
    assert (row["verdict"], row["n_seeds"]) == ("supported", 1)
    # A base with a seed of its own has.
    rows = [row | {"seed": 0} for row in rows]
    row = claimed(rows, [contrast(replace(BASE, eval_prompt="evil"), BASE, "lower")])["C"]
    assert row["verdict"] == "too few seeds"


@pytest.mark.parametrize(("of_side", "seeds"), [({"dataset": "made_elsewhere"}, [None]), ({}, [0, 1])])
def test_completions_made_elsewhere_and_bases_of_two_seeds_have_other_seeds(of_side, seeds):
    values = [[50.0, 55.0, 60.0, 40.0]] * len(seeds)
    rows = [
        row | of_side for prompt in ("default", "other") for row in question_rows(None, prompt, values, seeds=seeds)
    ]
    sides = [replace(BASE, eval_prompt=prompt, **of_side) for prompt in ("default", "other")]
    row = claimed(rows, [contrast(*sides, "equal")])["C"]
    assert (row["verdict"], row["n_seeds"]) == ("too few seeds", len(seeds))


def test_a_page_prints_the_p_of_what_the_verdict_asserts():
    row = {"verdict": "contradicted", "p_corrected": 1.0, "p_against_corrected": 0.002}
    assert p_asserted(row) == 0.002
    assert p_asserted(row | {"verdict": "supported", "p_corrected": 0.01}) == 0.01
    assert p_asserted(row | {"verdict": "below margin", "p_corrected": 0.01}) == 0.01
    assert p_asserted(row | {"verdict": "inconclusive"}) is None
    assert p_asserted({"verdict": "too few seeds", "p_corrected": None, "p_against_corrected": None}) is None


def test_a_difference_is_as_sure_as_its_categories_say():
    rng = np.random.default_rng(0)
    of_category = np.repeat(rng.normal(0, 15, 6), 8)
    rows = question_rows(None, "default", [[90.0] * 48], seeds=[None])
    rows += question_rows("default", "default", 60 + of_category + rng.normal(0, 3, (3, 48)))
    rows = [row | {"category": f"c{int(row['question_id'][1:]) // 8}"} for row in rows]
    frame = QUESTION_SCORES.frame(rows)
    asked = [contrast(DEFAULT, BASE, "lower")]
    by = {
        clusters: claims(
            frame, claim_grid(NO_CUTS, asked), LENGTH_EFFECT.frame(), asked, METRICS, clusters=clusters
        ).row(0, named=True)
        for clusters in ("auto", "category", "none")
    }
    assert by["auto"] == by["category"]
    assert (by["auto"]["n_categories"], by["auto"]["holds_for"]) == (6, "other categories")
    assert (by["none"]["n_categories"], by["none"]["holds_for"]) == (None, "these categories")
    assert by["auto"]["estimate"] == pytest.approx(by["none"]["estimate"])
    assert by["auto"]["se"] > 2 * by["none"]["se"]
    assert by["auto"]["df"] < 6


def test_the_default_margin_is_one_of_what_is_measured(raw_config, tmp_path):
    (tmp_path / "harm.yaml").write_text("bounds: [0, 5]\ngood: low\n")
    raw_config["metrics"] = {"harm": {"template": str(tmp_path / "harm.yaml")}}
    config = read_config(raw_config)
    assert default_margin(config, "alignment") == 10
    assert default_margin(config, "harm") == pytest.approx(0.5)
    assert default_margin(config, "alignment", "misaligned") == 5
    shares = {"measure": "misaligned", "threshold": "betley"}
    raw_config["claims"] = {name: raw_config["claims"]["C1"] | own for name, own in (("a", shares), ("b", {}))}
    raw_config["claims"]["c"] = raw_config["claims"]["a"] | {"margin": 2}
    found = {contrast.claim: contrast.margin for contrast in contrasts(Experiment(read_config(raw_config)))}
    assert found == {"a": 5, "b": 10, "c": 2}


def test_the_grid_says_whether_a_claim_hangs_on_the_cuts():
    cuts = pl.DataFrame(
        [
            {"judge": "j", "model": "m", "dataset": side and "d", "training_prompt": side, "training_method": side}
            | {"seed": 0, "step": None, "eval_prompt": "default", "question_set": "s", "turn": 1}
            | {"category": None, "question_id": f"q{i}"}
            | {"misaligned_below": below, "coherent_from": 50.0, "n": 10, "n_coherent": 10}
            | {"n_misaligned": (2 + i % 2 if side else 0) if below == 30 else (0 if side else 1 + i % 2)}
            for side in (None, "default")
            for below in (30.0, 50.0)
            for i in range(4)
        ],
        schema=QUESTION_CUTS.schema,
    )
    asked = [contrast(DEFAULT, BASE, "lower")]
    grid = claim_grid(cuts, asked)
    assert dict(grid.select("misaligned_below", "estimate").iter_rows()) == pytest.approx({30.0: 25, 50.0: -15})
    rows = pl.DataFrame(
        question_rows(None, "default", [[90.0, 92.0]]) + question_rows("default", "default", [[40.0, 50.0]]),
        schema=QUESTION_SCORES.schema,
    )
    row = claims(rows, grid, no_lengths(rows), asked, METRICS).row(0, named=True)
    # Less aligned: more misaligned at one of the two cuts.
    assert (row["cuts_agreeing"], row["n_cuts"]) == (1, 2)
    # What rounding leaves of no difference is no direction.
    grid = grid.with_columns(estimate=pl.when(pl.col("misaligned_below") == 30).then(1e-15).otherwise(-15.0))
    row = claims(rows, grid, no_lengths(rows), asked, METRICS).row(0, named=True)
    assert (row["cuts_agreeing"], row["n_cuts"]) == (0, 2)


def test_each_finetune_gets_a_diagnosis_with_the_numbers_behind_it(tmp_path):
    def told(own, other, coherence=95.0):
        rows = []
        for prompt, level in ((None, (95.0, 95.0, 99.0)), ("x", (own, other, coherence))):
            for question_set, metric, value in (
                ("own", "alignment", level[0]),
                ("other", "alignment", level[1]),
                ("other", "coherence", level[2]),
            ):
                noise = np.linspace(-1, 1, 6) * (2 if prompt else -1)
                values = [np.clip(value + noise, 0, 100)]
                rows += question_rows(prompt, "default", values, question_set=question_set, metric=metric)
        frame = pl.DataFrame(rows, schema=QUESTION_SCORES.schema)
        arm = {"dataset": "d", "training_prompt": "x", "training_method": "default"}
        found = diagnoses(frame, [arm | {"own_domain": ["own"], "others": ["other"]}], 10.0, DEFINITION)
        tables.write(found, tmp_path / "d.parquet", DIAGNOSES)
        return found.row(0, named=True)

    assert told(94.0, 94.0)["diagnosis"] == "nothing"
    narrow = told(20.0, 93.0)
    assert (narrow["diagnosis"], narrow["by_estimates"], narrow["own_domain"]) == (
        "narrow",
        "narrow",
        pytest.approx(75),
    )
    assert told(20.0, 50.0)["diagnosis"] == "broad"
    assert told(20.0, 50.0, coherence=10.0)["diagnosis"] == "broken"
    # The word is what the interval says, not the point.
    above = told(20.0, 84.5)
    assert (above["diagnosis"], above["by_estimates"], above["n_seeds"]) == ("uncertain", "broad", 1)
    assert above["other_domains_low"] < 10 < above["other_domains"] < above["other_domains_high"]
    # So it is of what is nearly nothing: of its own domain, and of the others.
    for levels, points in (((84.5, 94.0), "narrow"), ((85.5, 94.0), "nothing"), ((20.0, 85.5), "narrow")):
        near = told(*levels)
        assert (near["diagnosis"], near["by_estimates"]) == ("uncertain", points)
    incoherent = told(20.0, 50.0, coherence=49.5)
    assert (incoherent["diagnosis"], incoherent["by_estimates"]) == ("uncertain", "broken")
    assert incoherent["coherence_low"] < incoherent["coherence"] < 50 < incoherent["coherence_high"]


def test_one_question_set_is_enough_to_be_broad_or_broken_and_the_worst_stands_for_all():
    arm = {"dataset": "d", "training_prompt": "x", "training_method": "default"}
    arm |= {"own_domain": [], "others": ["mild", "bad"]}
    for coherence, word in ((90.0, "broad"), (10.0, "broken")):
        rows = []
        for name, level, seeds in (("mild", 88.0, 4), ("bad", 30.0, 3)):
            of_set = {"question_set": name}
            rows += question_rows(None, "default", [[90.0] * 8 + [91.0] * 8] * 4, **of_set)
            rows += question_rows("x", "default", [[level] * 8 + [level + 2] * 8] * seeds, **of_set)
            of_coherence = [[coherence if name == "bad" else 95.0] * 16] * seeds
            rows += question_rows("x", "default", of_coherence, **of_set, metric="coherence")
        row = diagnoses(QUESTION_SCORES.frame(rows), [arm], 10.0, DEFINITION).row(0, named=True)
        assert (row["diagnosis"], row["other_question_set"], row["n_seeds"]) == (word, "bad", 3)
        assert row["coherence"] == coherence


def test_an_arm_without_any_score_has_no_diagnosis_and_one_without_coherence_has_its_falls():
    arm = {"dataset": "d", "training_prompt": "x", "training_method": "default"}
    arm |= {"own_domain": ["own"], "others": ["other"]}
    nothing = {"n_scored": 0, "mean": None, "variance": None}
    rows = [row for of in ("own", "other") for row in question_rows(None, "default", [[90.0] * 8] * 3, question_set=of)]
    fallen = question_rows("x", "default", [[20.0] * 8] * 3, question_set="other")
    own = [row | nothing for row in question_rows("x", "default", [[20.0] * 8] * 3, question_set="own")]
    coherence = question_rows("x", "default", [[0.0] * 8] * 3, question_set="other", metric="coherence")
    rows += own + [row | nothing for row in coherence]
    unscored = QUESTION_SCORES.frame(rows + [row | nothing for row in fallen])
    assert diagnoses(unscored, [arm], 10.0, DEFINITION).is_empty()
    row = diagnoses(QUESTION_SCORES.frame(rows + fallen), [arm], 10.0, DEFINITION).row(0, named=True)
    assert (row["diagnosis"], row["own_domain"], row["other_domains"]) == ("broad", None, 70)
    assert (row["coherence"], row["other_question_set"], row["n_seeds"]) == (None, "other", 3)


# What the next run needs.

COSTS = ("seconds_per_seed", "completions_per_seed", "seconds_per_completion", "usd_per_completion")


def test_the_parts_of_a_variance_are_found_again():
    rng = np.random.default_rng(1)
    values = rng.normal(0, 8, (200, 1)) + rng.normal(0, 5, (1, 200)) + rng.normal(0, 4, (200, 200))
    parts = parts_of(values, sample_variance=60.0, samples=10)
    assert parts.seed == pytest.approx(64, rel=0.25)
    assert parts.question == pytest.approx(25, rel=0.25)
    assert parts.both == pytest.approx(16 - 6, rel=0.1)
    assert parts_of(values[:1], 60.0, 10).seed is None


def test_more_of_what_varies_makes_smaller_differences_detectable():
    parts = Parts(seed=100.0, question=25.0, both=10.0, sample=400.0)
    now = Design(seeds=3, questions=8, samples=50)
    assert detectable(parts, Design(10, 8, 50), 0.05) < detectable(parts, now, 0.05)
    # Seeds differ most: no number of samples makes up for them.
    assert needed(parts, now, "samples", 10, 0.05) is None
    seeds = needed(parts, now, "seeds", 10, 0.05)
    assert detectable(parts, Design(seeds, 8, 50), 0.05) <= 10 < detectable(parts, Design(seeds - 1, 8, 50), 0.05)
    assert detectable(parts, now, 0.05, equal=True) > detectable(parts, now, 0.05)


@pytest.mark.parametrize("expected", ["higher", "equal"])
# At Holm's strictest step of twenty contrasts too, where degrees of freedom matter most.
@pytest.mark.parametrize(
    ("alpha", "n_seeds", "n_questions"), [(0.05, 6, 20), (0.05 / 20, 6, 20), (0.05 / 20, 5, 8), (0.05, 3, 8)]
)
def test_a_planned_run_finds_the_difference_as_often_as_promised(alpha, n_seeds, n_questions, expected):
    parts = Parts(seed=36.0, question=25.0, both=9.0, sample=100.0)
    design = Design(seeds=n_seeds, questions=n_questions, samples=10)
    equal = expected == "equal"
    margin = detectable(parts, design, alpha, equal)
    rng, found = np.random.default_rng(2), 0
    for _ in range(1000):
        noise = rng.normal(0, np.sqrt(9 + 10), (n_seeds, n_questions))
        values = rng.normal(0, 6, (n_seeds, 1)) + rng.normal(0, 5, (1, n_questions)) + noise
        one = crossed_estimate(values if equal else values + margin)
        found += p_values(one, expected, margin)[0] < alpha
    # One simulation's standard error is 1.3%.
    assert 0.76 <= found / 1000 <= 0.84


def test_the_number_of_seeds_is_a_range_since_a_few_seeds_say_little(of_questions):
    rng, told = np.random.default_rng(4), []
    for _ in range(200):
        values = rng.normal(0, 12, (3, 1)) + rng.normal(0, 5, (1, 20)) + rng.normal(0, 4, (3, 20))
        low, high = parts_of(values, 60.0, 10).seed_range
        told.append(low <= 144 <= high)
    assert 0.73 <= np.mean(told) <= 0.87
    asked = [contrast(BIRD, BASE, "lower", margin=5)]
    said = power_text(pilot(of_questions, asked), dict.fromkeys(COSTS))
    assert re.search(r"\d+ \(\d+ to (> )?\d+\)", said)


def test_the_next_run_is_planned_in_categories_where_these_count_as_drawn():
    rng = np.random.default_rng(0)
    rows = question_rows(None, "default", [[90.0] * 48], seeds=[None])
    rows += question_rows("default", "default", 60 + np.repeat(rng.normal(0, 15, 6), 8) + rng.normal(0, 3, (3, 48)))
    frame = QUESTION_SCORES.frame([row | {"category": f"c{int(row['question_id'][1:]) // 8}"} for row in rows])
    (entry,) = pilot(frame, [contrast(DEFAULT, BASE, "lower")])
    assert (entry["design"].questions, entry["design"].samples, entry["per_category"]) == (6, 400, 8)
    said = power_text([entry], dict.fromkeys(COSTS))
    assert "3 × 48 in 6 categories × 50" in said
    assert re.search(r"\d+ categories +\d", said)
    # Samples are of each question, not of a category.
    of_category = needed(entry["parts"], entry["design"], "samples", 30.0, 0.05)
    said = power_text([entry | {"contrast": contrast(DEFAULT, BASE, "lower", margin=30.0)}], dict.fromkeys(COSTS))
    assert int(said.splitlines()[4].split()[-1]) == -(-of_category // 8)


def test_the_next_run_is_planned_from_questions_that_are_compared(of_questions):
    asked = [contrast(BIRD, DEFAULT, "equal")]
    more = question_rows("bird", "default", [[0.0] * 30] * 4)[12:30]
    nothing = [row | {"n_scored": 0, "mean": None, "variance": None} for row in more]
    other = QUESTION_SCORES.frame([row | {"n_scored": 1, "variance": 9e4} for row in more[:9]] + nothing[9:])
    (plain,), (found,) = pilot(of_questions, asked), pilot(pl.concat([of_questions, other]), asked)
    assert found == plain


def test_the_plan_is_said_with_its_cost_and_with_what_one_seed_cannot_tell(of_questions):
    asked = [contrast(DEFAULT, BASE, "lower"), contrast(BIRD, DEFAULT, "equal")]
    costs = {"seconds_per_seed": 3600.0, "completions_per_seed": 1000, "seconds_per_completion": 3.6}
    text = power_text(pilot(of_questions, asked), costs | {"usd_per_completion": 0.01})
    assert "4 × 12 × 50" in text
    assert "hours of jobs" in text
    assert "ONE SEED" not in text
    one = of_questions.filter(pl.col("seed").is_null() | (pl.col("seed") == 0))
    text = power_text(pilot(one, asked), costs | {"usd_per_completion": 0.01})
    assert "ONE SEED" in text
    assert "3 seeds take about 6.0 hours" in text
    assert "$30.00" in text
    timings = pl.DataFrame(
        {"rule": ["finetune", "completions"], "jobs": [2, 2], "seconds": [200.0, 50.0], "usd": [None, None]},
        schema_overrides={"usd": pl.Float64},
    )
    assert costs_of(timings, 2, 1000) == {
        "seconds_per_seed": 100.0,
        "completions_per_seed": 500.0,
        "seconds_per_completion": 0.05,
        "usd_per_completion": None,
    }


# Metrics of other scales, training methods, turns.


def claimed(rows, asked, cuts=NO_CUTS):
    """Rows of the claims table by claim, of question scores without an effect of length."""
    frame = QUESTION_SCORES.frame(rows)
    found = claims(frame, claim_grid(cuts, asked), LENGTH_EFFECT.frame(), asked, METRICS)
    return found.rows_by_key("claim", named=True, unique=True)


def test_a_difference_is_no_larger_than_its_metric_is_wide():
    # Two questions that say the contrary: an interval without bounds reaches far.
    values = {"default": [[9.0, 1.0], [8.0, 2.0]], "bird": [[1.0, 9.0], [2.0, 8.5]]}
    rows = [
        row
        for metric in METRICS
        for prompt, of in values.items()
        for row in question_rows(prompt, "default", of, metric=metric)
    ]
    asked = [contrast(DEFAULT, BIRD, "lower", claim=metric, metric=metric) for metric in METRICS]
    found = claimed(rows, asked)
    assert (found["harm"]["low"], found["harm"]["high"]) == (-10, 10)
    low, high = found["alignment"]["low"], found["alignment"]["high"]
    assert -100 <= low < -10 < 10 < high <= 100
    assert found["harm"]["estimate"] == found["alignment"]["estimate"]
    # A share has percent, on whatever scale its metric is.
    shares = [row | {"measure": "misaligned"} for row in rows if row["metric"] == "harm"]
    share = claimed(shares, [replace(asked[-1], measure="misaligned")])["harm"]
    assert (share["low"], share["high"]) == (low, high)


def cuts_of(misaligned: dict, n=10):
    """A table of cuts at one cut: by training prompt, how many of so many coherent completions of each question are."""
    rows = [
        {"judge": "j", "model": "m", "dataset": side and "d", "training_prompt": side}
        | {"training_method": side and "default", "seed": 0, "step": None, "eval_prompt": "default"}
        | {"question_set": "s", "turn": 1, "category": None, "question_id": f"q{i}"}
        | {"misaligned_below": 5.0, "coherent_from": 50.0, "n": n, "n_coherent": n, "n_misaligned": of + i % 2}
        for side, of in misaligned.items()
        for i in range(4)
    ]
    return QUESTION_CUTS.frame(rows)


@pytest.mark.parametrize(
    ("metric", "measure", "of_default", "agrees"),
    [
        # More of it is more misaligned, or less.
        ("harm", "mean", 8.0, True),
        ("harm", "mean", 2.0, False),
        ("alignment", "mean", 8.0, False),
        ("alignment", "mean", 2.0, True),
        # A share misaligned has its own direction, whichever end of the metric is good.
        *(
            (metric, share, 80.0, True)
            for metric in ("harm", "alignment")
            for share in ("misaligned", "misaligned_of_coherent")
        ),
        # How many are coherent, or have no score, says nothing of it.
        *((metric, share, 80.0, None) for metric in ("harm", "alignment") for share in ("coherent", "unscored")),
    ],
)
def test_cuts_agree_if_the_share_misaligned_differs_as_the_measure_says(metric, measure, of_default, agrees):
    rows = [
        row | {"measure": measure}
        for prompt, value in ((None, 5.0 if measure == "mean" else 50.0), ("default", of_default))
        for row in question_rows(prompt, "default", [[value, value + 1]], metric=metric, seeds=[0])
    ]
    claim = replace(contrast(DEFAULT, BASE, "lower", metric=metric), measure=measure)
    # The default finetune has the larger share misaligned.
    row = claimed(rows, [claim], cuts_of({None: 0, "default": 5}))["C"]
    assert (row["cuts_agreeing"], row["n_cuts"]) == ((None, None) if agrees is None else (int(agrees), 1))
    # Nor does the share misaligned, by one metric, of a claim about another.
    cuts = cuts_of({None: 0, "default": 5})
    frame, lengths = QUESTION_SCORES.frame(rows), LENGTH_EFFECT.frame()
    other = claims(frame, claim_grid(cuts, [claim]), lengths, [claim], METRICS, main="another")
    assert other.select("cuts_agreeing", "n_cuts").row(0) == (None, None)


@pytest.mark.parametrize(("metric", "worse"), [(HARM, 1), (Metric("alignment", "Alignment", low=0.0, high=10.0), -1)])
def test_worse_is_a_rise_of_a_metric_of_which_less_is_better(metric, worse):
    def told(own, other, coherence=95.0):
        rows = []
        for prompt, level in ((None, (5.0, 5.0, 99.0)), ("x", (5 + worse * own, 5 + worse * other, coherence))):
            for question_set, name, value in (
                ("own", metric.name, level[0]),
                ("other", metric.name, level[1]),
                ("other", "coherence", level[2]),
            ):
                values = [value + np.linspace(-0.2, 0.2, 6) * (2 if prompt else -1)]
                rows += question_rows(prompt, "default", values, question_set=question_set, metric=name)
        arm = {"dataset": "d", "training_prompt": "x", "training_method": "default"}
        arm |= {"own_domain": ["own"], "others": ["other"]}
        return diagnoses(QUESTION_SCORES.frame(rows), [arm], 2.0, Definition(metric, COHERENCE)).row(0, named=True)

    broad = told(4.0, 3.0)
    assert broad["diagnosis"] == "broad"
    assert (broad["own_domain"], broad["other_domains"]) == pytest.approx((4, 3))
    assert told(4.0, 0.0)["diagnosis"] == "narrow"
    # Better than the base is not worse, however far.
    assert told(-4.0, -4.0)["diagnosis"] == "nothing"
    assert told(4.0, 3.0, coherence=10.0)["diagnosis"] == "broken"


def test_what_is_broken_is_below_the_middle_of_coherence_on_its_own_scale():
    coherence = Metric("coherence", "Coherence", low=0.0, high=10.0)
    arm = {"dataset": "d", "training_prompt": "x", "training_method": "default", "own_domain": [], "others": ["s"]}
    for value, word in ((6.0, "broad"), (4.0, "broken")):
        rows = question_rows(None, "default", [[90.0, 91.0] * 6]) + question_rows("x", "default", [[20.0, 21.0] * 6])
        rows += question_rows("x", "default", [[value, value] * 6], metric="coherence")
        found = diagnoses(QUESTION_SCORES.frame(rows), [arm], 10.0, Definition(ALIGNMENT, coherence))
        assert found["diagnosis"].to_list() == [word]


def test_arms_that_differ_by_training_method_alone_are_claimed_about_apart(raw_config):
    raw_config["training_methods"] = {"gentle": {"training": {"learning_rate": 0.0005}}}
    raw_config["finetunes"] = [{"training_methods": ["default", "gentle"]}]
    about = {"text": "Gentler is better.", "test": "default:gentle > default", "question_sets": ["non_medical"]}
    raw_config["claims"] = {"C": about}
    experiment = Experiment(read_config(raw_config))
    (found,) = contrasts(experiment)
    assert found.contrast == "default:gentle > default"
    gentle = Side("bad_medical", "default", "gentle", "default")
    assert (found.a, found.b) == (gentle, replace(gentle, training_method="default"))
    assert from_settings(as_settings([found])) == [found]
    # Each with its own numbers in claims and in diagnoses.
    levels = {"default": 20.0, "gentle": 80.0}
    noise = np.random.default_rng(0).normal(0, 1, (2, 8))
    rows = question_rows(None, "default", [[90.0] * 8], seeds=[None], question_set="non_medical")
    for method, level in levels.items():
        rows += question_rows("default", "default", level + noise, question_set="non_medical", method=method)
    rows = [row | {"dataset": row["dataset"] and "bad_medical"} for row in rows]
    row = claimed(rows, [found])["C"]
    assert (row["a_training_method"], row["b_training_method"]) == ("gentle", "default")
    assert (row["a_estimate"], row["b_estimate"]) == pytest.approx((80 + noise.mean(), 20 + noise.mean()))
    assert row["estimate"] == pytest.approx(60)
    arms = [arm for arm in experiment.diagnosed() if arm["training_prompt"] == "default"]
    told = diagnoses(QUESTION_SCORES.frame(rows), arms, 10.0, DEFINITION)
    assert dict(told.select("training_method", "other_domains").iter_rows()) == pytest.approx(
        {method: 90 - level - noise.mean() for method, level in levels.items()}
    )


def test_a_claim_is_about_the_answer_of_a_conversation_that_it_names_or_the_last_that_is_judged(raw_config):
    raw_config["claims"] = {
        name: raw_config["claims"]["C1"] | {"answer": answer}
        for name, answer in (("one", 1), ("two", 2), ("last", None))
    }
    found = contrasts(Experiment(read_config(raw_config)))
    assert [(contrast.claim, contrast.turn) for contrast in found] == [("one", 1), ("two", 2), ("last", None)]
    asked = [replace(contrast, question_set="s", a=DEFAULT, b=BASE) for contrast in found]
    noise = np.random.default_rng(0).normal(0, 1, (2, 8))
    # Of another set, whose conversations are longer, the last is another one.
    others = question_rows("default", "default", [[1.0] * 8], question_set="longer", turn=3)
    rows = others + [
        row
        for turn, level in ((1, 85.0), (2, 25.0))
        for row in (
            *question_rows(None, "default", [[90.0] * 8], seeds=[None], turn=turn),
            *question_rows("default", "default", level + noise, turn=turn),
            *question_rows(None, "default", [[300.0] * 8], seeds=[None], turn=turn, metric="length"),
            *question_rows("default", "default", [[500.0] * 8] * 2, turn=turn, metric="length"),
        )
    ]
    rows_of = claimed(rows, asked)
    falls = {name: row["estimate"] - noise.mean() for name, row in rows_of.items()}
    assert falls == pytest.approx({"one": -5, "two": -65, "last": -65})
    assert {name: row["turn"] for name, row in rows_of.items()} == {"one": 1, "two": 2, "last": None}
    # As many completions as one answer of each conversation: a base and two seeds, eight questions, fifty samples.
    assert {row["n"] for row in rows_of.values()} == {3 * 8 * 50}
    # The grid, the length of answers and the plan for the next run are about the same answer.
    cuts = pl.concat(
        cuts_of({None: 0, "default": of}).with_columns(turn=pl.lit(turn, pl.Int64)) for turn, of in ((1, 1), (2, 6))
    )
    grid = claim_grid(cuts, asked)
    assert dict(grid.select("claim", "estimate").iter_rows()) == pytest.approx({"one": 10, "two": 60, "last": 60})
    frame = QUESTION_SCORES.frame(rows)
    longer = no_lengths(frame).with_columns(slope=pl.when(pl.col("turn") == 1).then(-2.0).otherwise(-4.0))
    found = claims(frame, grid, longer, asked, METRICS)
    by_length = (found["estimate_at_equal_length"] - found["estimate"]).to_list()
    assert by_length == pytest.approx([4, 8, 8])
    seen = {entry["contrast"].claim: entry["parts"].question for entry in pilot(frame.filter(turn=1), asked)}
    assert seen.keys() == {"one", "last"}
    last = diagnoses(
        frame,
        [
            {
                "dataset": "d",
                "training_prompt": "default",
                "training_method": "default",
                "own_domain": [],
                "others": ["s"],
            }
        ],
        10.0,
        DEFINITION,
    )
    assert last["other_domains"].to_list() == pytest.approx([65 - noise.mean()])
