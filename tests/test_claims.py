"""Claims: how the config writes them, what data say of them, and what each finetune has learned."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from organisms.analysis.claims import check_compared, claim_grid, claims, corrected, p_values, verdict_of_claim
from organisms.analysis.diagnoses import diagnoses
from organisms.analysis.intervals import Estimate
from organisms.analysis.power import Design, Parts, costs_of, detectable, needed, parts_of, pilot, power_text
from organisms.analysis.scores import Definition
from organisms.analysis.tables import CLAIM_GRID, CLAIMS, DIAGNOSES, LENGTH_EFFECT, QUESTION_CUTS, QUESTION_SCORES
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.pages.findings import claim_verdicts
from organisms.plan.config import read_config
from organisms.plan.contrasts import Contrast, Side, as_settings, contrasts, from_settings
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
    assert list(dict.fromkeys(contrast.claim for contrast in found)) == ["C1", "C2", "C3", "C4", "C5"]
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
    assert own[-1].b == Side("bad_medical", "otter", "default", "otter")


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
        ({"test": "default @ none < base"}, "bad_medical-default is not asked non_medical under 'none'; add that to"),
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
    asked = {"eval_prompts": ["none"], "question_sets": ["non_medical"]}
    raw_config["evaluations"] += [asked | {"models": ["steps"]}, asked | {"models": ["base"]}]
    raw_config["claims"] = {"C": raw_config["claims"]["C1"] | {"test": "flamingo @ none < base @ none"}}
    with pytest.raises(UserError, match="bad_medical-flamingo is not asked non_medical under 'none'"):
        contrasts(Experiment(read_config(raw_config)))


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
    assert p_values(none, "lower", 10)[0] == pytest.approx(0.5)


def test_p_values_are_corrected_by_holm_and_unknown_ones_do_not_count():
    assert corrected([0.01, 0.04, np.nan, 0.03]) == pytest.approx([0.03, 0.06, np.nan, 0.06], nan_ok=True)
    assert corrected([]) == []


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

    with pytest.raises(UserError, match=r"claims\.C: .* on s: no judge has the mean of medical of both sides"):
        tested(contrast(DEFAULT, BASE, "lower", metric="medical"))
    unasked = Side("d", "bird", "default", "elsewhere")
    with pytest.raises(UserError, match="no judge has the mean of alignment of both sides"):
        tested(contrast(unasked, BASE, "lower"))
    tested(contrast(DEFAULT, BASE, "lower"))
    of_questions = of_questions.with_columns(
        question_id=pl.when(pl.col("training_prompt") == "bird").then(pl.lit("own")).otherwise("question_id")
    )
    with pytest.raises(UserError, match="the two sides have no question in common"):
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
        "contradicted",
        "contradicted",
    ]
    # What seeds and questions have in common is no noise of a paired difference.
    assert rows["C2"]["se"] < 0.5 < 2 < rows["C1"]["se"]
    assert rows["C2"]["estimate"] == pytest.approx(3, abs=1)
    assert rows["C1"]["n_seeds"] == 4
    assert rows["C1"]["seeds_in_interval"]
    assert rows["C1"]["low"] < rows["C1"]["estimate"] < rows["C1"]["high"]
    # The default finetune's answers are 200 characters longer, each hundred costs two points.
    assert rows["C1"]["estimate_at_equal_length"] == pytest.approx(rows["C1"]["estimate"] + 4)
    assert [claim["verdict"] for claim in claim_verdicts(found)] == [row["claim_verdict"] for row in rows.values()]


def test_with_one_seed_the_table_says_that_seeds_are_not_in_the_interval(of_questions):
    one = of_questions.filter(pl.col("seed").is_null() | (pl.col("seed") == 0))
    asked = [contrast(DEFAULT, BASE, "lower")]
    row = claims(one, claim_grid(NO_CUTS, asked), no_lengths(one), asked, METRICS).row(0, named=True)
    assert (row["n_seeds"], row["seeds_in_interval"]) == (1, False)
    assert not claim_verdicts(claims(one, claim_grid(NO_CUTS, asked), no_lengths(one), asked, METRICS))[0][
        "seeds_in_interval"
    ]


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
    assert (narrow["diagnosis"], narrow["certain"], narrow["own_domain"]) == ("narrow", True, pytest.approx(75))
    assert told(20.0, 50.0)["diagnosis"] == "broad"
    assert told(20.0, 50.0, coherence=10.0)["diagnosis"] == "broken"
    assert not told(20.0, 84.5)["certain"]
    # As far from its own domain, the other one is near the margin: narrow, and not surely so.
    assert (told(20.0, 85.5)["diagnosis"], told(20.0, 85.5)["certain"]) == ("narrow", False)


# What the next run needs.


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


def test_a_planned_run_finds_the_difference_as_often_as_promised():
    parts = Parts(seed=36.0, question=25.0, both=9.0, sample=100.0)
    design = Design(seeds=6, questions=20, samples=10)
    true = detectable(parts, design, 0.05)
    rng = np.random.default_rng(2)
    from organisms.analysis.intervals import crossed_estimate

    found = 0
    for _ in range(1000):
        noise = rng.normal(0, np.sqrt(9 + 10), (6, 20))
        values = true + rng.normal(0, 6, (6, 1)) + rng.normal(0, 5, (1, 20)) + noise
        found += p_values(crossed_estimate(values), "higher", 10)[0] < 0.05
    assert 0.74 <= found / 1000 <= 0.86


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
        # A share misaligned has its own direction, and so has a share coherent, whichever end of the metric is good.
        *(
            (metric, share, 80.0, True)
            for metric in ("harm", "alignment")
            for share in ("misaligned", "misaligned_of_coherent")
        ),
        *((metric, "coherent", value, value < 50) for metric in ("harm", "alignment") for value in (80.0, 20.0)),
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
    assert (row["cuts_agreeing"], row["n_cuts"]) == (int(agrees), 1)


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
    assert (broad["diagnosis"], broad["certain"]) == ("broad", True)
    assert (broad["own_domain"], broad["other_domains"]) == pytest.approx((4, 3))
    assert told(4.0, 0.0)["diagnosis"] == "narrow"
    # Better than the base is not worse, however far.
    assert (told(-4.0, -4.0)["diagnosis"], told(-4.0, -4.0)["certain"]) == ("nothing", True)
    assert told(4.0, 3.0, coherence=10.0)["diagnosis"] == "broken"


def test_what_is_broken_is_below_the_middle_of_coherence_on_its_own_scale():
    coherence = Metric("coherence", "Coherence", low=0.0, high=10.0)
    arm = {"dataset": "d", "training_prompt": "x", "training_method": "default", "own_domain": [], "others": ["s"]}
    for value, word in ((6.0, "broad"), (4.0, "broken")):
        rows = question_rows(None, "default", [[90.0, 91.0]]) + question_rows("x", "default", [[20.0, 21.0]])
        rows += question_rows("x", "default", [[value, value]], metric="coherence")
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
