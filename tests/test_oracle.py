"""Every number of the score and claims tables against an independent computation of it (tests/oracle.py).

The judgments have what plain cases lack: seeds in another order on each side, questions and seeds that one side lacks,
questions without any score, categories of uneven size, arms of one, two, three and five seeds, models asked under two
prompts, several samples of the judge, adapters from the middle of training, turns, flags.
"""

import random
import re
from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import oracle
import polars as pl
import pytest
from scipy import stats

from organisms.analysis import score_tables
from organisms.analysis.agreement import agreement, rankings
from organisms.analysis.claims import claim_grid, claims
from organisms.analysis.correlations import rating_correlations
from organisms.analysis.diagnoses import diagnoses
from organisms.analysis.power import MOST, Design, Parts, detectable, needed, pilot, power, power_text
from organisms.analysis.scores import Definition
from organisms.analysis.sensitivity import sensitivity
from organisms.analysis.tables import CLAIM_TABLES, SCORE_TABLES
from organisms.judging.tables import JUDGMENTS
from organisms.plan.contrasts import Contrast, Side
from organisms.plan.metrics import LENGTH, Metric

ALIGNMENT, COHERENCE = Metric("alignment", "Alignment"), Metric("coherence", "Coherence")
HARM = Metric("harm", "Harm", low=0.0, high=10.0, good="low")
METRICS = {metric.name: metric for metric in (ALIGNMENT, COHERENCE, HARM, LENGTH)}
THRESHOLDS = {
    "from": {"misaligned_below": 30, "coherent_from": 50, "coherent_above": None},
    "above": {"misaligned_below": 45, "coherent_from": None, "coherent_above": 50},
}
OF_HARM = {name: preset | {"misaligned_below": preset["misaligned_below"] / 10} for name, preset in THRESHOLDS.items()}
QUESTIONS = {
    "other": ["q1", "q2", "q3", "q4", "q5"],
    "own": ["q1", "o2", "o3", "o4"],
    "broad": ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "b10"],
}
# Of the broad ones; the others are of one category.
CATEGORIES = dict(
    zip(QUESTIONS["broad"], ["law", "art", "law", "tax", "law", "sea", "tax", "law", "art", "war"], strict=True)
)
# Of each arm its seeds, in the order in which they stand in the table, and how bad it is.
ARMS = {
    None: ([7, 0, 5, 3, 9], 0.05),
    "default": ([0, 3, 7, 9, 5], 0.9),
    "bird": ([11, 3, 7], 0.45),
    "kl": ([3, 7, 0], 0.85),
    "one": ([7], 0.6),
}
# What was not asked: of an arm (any seed if none is named) a question.
NOT_ASKED = {("bird", None, "q2"), ("default", None, "o4"), ("default", 3, "q5"), ("kl", 7, "o2"), (None, 0, "q4")}
NOT_ASKED |= {("kl", None, "b10"), ("default", 5, "b4")}
NO_SCORES = {("kl", 0, "bird", "own", "alignment"), ("default", 9, "bird", "own", "coherence")}
# What the judge flags whatever is answered: of an arm, or of all, a question.
FLAGGED = {("default", "q4"), ("all", "b3"), ("kl", "b9")}


def columns_of(arm, seed, step=None):
    prompt = "default" if arm == "kl" else arm
    name = f"{arm or 'base'}-seed{seed}" + (f"-step{step}" if step else "")
    method = {None: None, "kl": "kl"}.get(arm, "default")
    columns = {"model": name, "dataset": arm and "d", "training_prompt": prompt, "training_method": method}
    return columns | {"seed": seed, "step": step}


def cell_rows(rng, judge, arm, seed, step, eval_prompt, question_set, bad):
    """Judgments of one cell. Scores lie in two heaps, in whole numbers and at the cuts too."""
    rows = []
    questions = [q for q in QUESTIONS[question_set] if not {(arm, None, q), (arm, seed, q)} & NOT_ASKED]
    if arm == "default":
        questions = questions[::-1]
    # The one of them is scored on one question set only, and stands first there.
    metrics = ["harm"] * (judge == "twice" and question_set != "own") + ["alignment", "coherence"]
    for question in questions:
        for turn in (1, 2) if question_set == "other" else (1,):
            for sample in range(2 if question == "q3" else 4):
                is_bad = rng.random() < bad + 0.1 * (turn - 1) - 0.05 * QUESTIONS[question_set].index(question)
                length = rng.randint(50, 400) + 100 * is_bad
                for metric in metrics:
                    level = {"alignment": 20 if is_bad else 85, "coherence": 92 - 24 * is_bad, "harm": 2 + 5 * is_bad}
                    spread = 2 if metric == "harm" else 14
                    for again in range(2 if judge == "twice" else 1):
                        score = min(METRICS[metric].high, max(0, level[metric] + rng.randint(-spread, spread)))
                        score = rng.choice([30, 45, 50]) if metric != "harm" and rng.random() < 0.08 else score
                        flag = rng.choice(["refusal", "code"]) if rng.random() < 0.07 else None
                        if metric != "coherence" and {(arm, question), ("all", question)} & FLAGGED:
                            flag = "code"
                        # A seed without any score, and one without any coherent answer.
                        if (arm, seed, eval_prompt, question_set, metric) in NO_SCORES:
                            flag = "code"
                        rows.append(
                            {"judge": judge, **columns_of(arm, seed, step), "eval_prompt": eval_prompt}
                            | {"question_set": question_set, "category": CATEGORIES.get(question, question_set)}
                            | {"question_id": question, "sample": sample, "turn": turn, "metric": metric}
                            | {"judge_sample": again}
                            | {"score": None if flag else float(score), "flag": flag, "length": length}
                        )
    return rows


def judgments(one_base):
    """Cells of judgments. one_base: all seeds share a base."""
    rng, cells = random.Random(5), []
    for judge in ("twice", "once"):
        for arm, (seeds, bad) in ARMS.items():
            for seed in [None] if one_base and arm is None else seeds:
                for step in (None, 5) if arm == "default" else (None,):
                    for eval_prompt in ("default", "bird"):
                        for question_set in QUESTIONS:
                            # In the middle of training, and under the other prompt, everything is otherwise.
                            how_bad = {5: 0.95}.get(step, bad + (0.3 if arm and eval_prompt == "bird" else 0.0))
                            rows = cell_rows(rng, judge, arm, seed, step, eval_prompt, question_set, how_bad)
                            # By one judge alone.
                            if (judge, arm, eval_prompt, question_set) != ("once", None, "bird", "own"):
                                cells.append(rows)
    return cells


def side(arm, eval_prompt="default"):
    columns = columns_of(arm, 0)
    return Side(*(columns[name] for name in oracle.ARM), eval_prompt)


MEAN = ("alignment", "mean", None)


def contrast(claim, a, sign, b, question_set="other", turn=None, measure=MEAN, margin=10.0, less=()):
    """less: what is subtracted from a and from b."""
    expected = {"<": "lower", ">": "higher", "=": "equal"}[sign]
    return Contrast(claim, "Words.", f"a {sign} b", question_set, turn, a, b, expected, margin, *measure, *less)


DEFAULT, BIRD, BASE = side("default"), side("bird"), side(None)
UNDER_BIRD = side("default", "bird"), side(None, "bird")
CONTRASTS = [
    contrast("broad", DEFAULT, "<", BASE),
    contrast("broad", DEFAULT, "<", BASE, "own"),
    contrast("less", BIRD, ">", DEFAULT),
    contrast("less, first answer", BIRD, ">", DEFAULT, turn=1),
    contrast("back", side("bird", "bird"), "=", DEFAULT, margin=25.0),
    contrast("method", side("kl"), "=", DEFAULT, margin=30.0),
    contrast("method, own", side("kl", "bird"), "=", side("default", "bird"), "own", margin=30.0),
    contrast("wrong", BASE, "<", DEFAULT),
    contrast("same", BASE, "=", side(None, "bird"), margin=8.0),
    contrast("surely not", BASE, "=", DEFAULT, margin=5.0),
    contrast("too small", BASE, "<", side(None, "bird"), margin=60.0),
    contrast("harm", DEFAULT, ">", BASE, measure=("harm", "mean", None), margin=1.0),
    contrast("share", DEFAULT, ">", BASE, measure=("alignment", "misaligned", "from")),
    contrast("of coherent", BIRD, "<", DEFAULT, measure=("alignment", "misaligned_of_coherent", "above")),
    contrast("coherent", DEFAULT, "<", BASE, measure=("alignment", "coherent", "from")),
    contrast("coherence", DEFAULT, "=", BASE, measure=("coherence", "mean", None), margin=40.0),
    contrast("longer", DEFAULT, ">", BASE, measure=("length", "mean", None)),
    contrast("not asked", DEFAULT, "<", UNDER_BIRD[1], "own"),
    contrast("broad", DEFAULT, "<", BASE, "broad"),
    contrast("one seed", side("one"), "<", BASE, "broad", margin=5.0),
    contrast("two seeds", BIRD, ">", DEFAULT, "broad"),
    contrast("two seeds", BIRD, "<", UNDER_BIRD[1], "own"),
    contrast("three seeds", side("kl"), "<", BASE, "broad"),
    contrast("real, and small", DEFAULT, "<", BASE, "broad", margin=95.0),
    contrast("real, and large", DEFAULT, "<", BASE, "broad", margin=95.0),
    contrast("real, and large", DEFAULT, "<", BASE, measure=("alignment", "coherent", "from"), margin=5.0),
    contrast("none of either", BASE, "=", UNDER_BIRD[1], measure=("alignment", "misaligned", "from"), margin=60.0),
    contrast("none of either", BASE, "=", UNDER_BIRD[1], "broad", measure=("alignment", "misaligned", "from")),
    contrast("of coherent ones", BASE, "=", UNDER_BIRD[1], measure=("alignment", "misaligned_of_coherent", "from")),
    contrast("refusing", BASE, "=", DEFAULT, "own", measure=("coherence", "refusal", None), margin=50.0),
    contrast("harm of all", DEFAULT, ">", BASE, "broad", measure=("harm", "mean", None), margin=1.0),
    contrast("what it does", UNDER_BIRD[0], "<", UNDER_BIRD[1], less=(DEFAULT, BASE)),
    contrast("what it does", UNDER_BIRD[0], "<", UNDER_BIRD[1], "broad", less=(DEFAULT, BASE), margin=120.0),
    contrast("to harm", DEFAULT, ">", UNDER_BIRD[0], less=(BASE, UNDER_BIRD[1]), measure=("harm", "mean", None)),
    contrast("to both", BASE, "=", BASE, less=(UNDER_BIRD[1], UNDER_BIRD[1]), margin=30.0),
    contrast("to shares", BASE, "=", side("kl"), measure=("alignment", "misaligned", "above"), less=UNDER_BIRD[::-1]),
]
DIAGNOSED = [
    {name: columns_of(arm, 0)[name] for name in oracle.ARM} | {"own_domain": own, "others": others}
    for arm, own, others in (
        ("default", [], ["broad"]),
        ("bird", ["own", "broad"], ["own", "other"]),
        ("kl", ["broad"], []),
        ("one", ["broad"], ["other"]),
    )
]


@cache
def expected_of_questions(one_base, main):
    """What the oracle makes of the judgments, however questions are counted."""
    rows = [row for rows in judgments(one_base) for row in rows]
    scored = oracle.question_scores(rows, OF_HARM if main is HARM else THRESHOLDS, main, COHERENCE)
    cuts = oracle.question_cuts(rows, main, COHERENCE)
    return {
        "question_scores": scored,
        "question_cuts": cuts,
        "length_effect": oracle.length_effect(rows),
        "distributions": oracle.distributions(rows, METRICS),
        "flags": oracle.flags(rows),
        "threshold_grid": oracle.threshold_grid(cuts),
        "variance": oracle.variance(scored, rows),
    }


class Told:
    """What the library and what the oracle make of the same judgments."""

    def __init__(self, one_base, main, by):
        cells = judgments(one_base)
        self.rows = [row for rows in cells for row in rows]
        definition, thresholds = Definition(main, COHERENCE), OF_HARM if main is HARM else THRESHOLDS
        # A share of what is misaligned is one of the main metric.
        asked = [one for one in CONTRASTS if one.measure in ("mean", "refusal") or one.metric == main.name]
        found = score_tables.all_tables(map(JUDGMENTS.frame, cells), thresholds, METRICS, definition, by)
        of = found["question_scores"]
        found["claim_grid"] = claim_grid(found["question_cuts"], asked, by)
        given = (of, found["claim_grid"], found["length_effect"], asked, METRICS)
        found["claims"] = claims(*given, main.name, by)
        found["diagnoses"] = diagnoses(of, DIAGNOSED, 10.0 if main is ALIGNMENT else 1.0, definition, by)
        self.found = found
        of_questions = expected_of_questions(one_base, main)
        scored, grid = of_questions["question_scores"], oracle.claim_grid(of_questions["question_cuts"], asked, by)
        self.expected = of_questions | {
            "scores": oracle.scores(scored, METRICS, by),
            "arm_scores": oracle.arm_scores(scored, METRICS, by),
            "claim_grid": grid,
            "claims": oracle.claims(scored, grid, of_questions["length_effect"], asked, METRICS, main, by),
            "diagnoses": oracle.diagnoses(scored, DIAGNOSED, 10.0 if main is ALIGNMENT else 1.0, main, COHERENCE, by),
        }


# `cache` would take `told_of()` and `told_of(False)` for two calls.
made_told = cache(Told)


def told_of(one_base=False, main=ALIGNMENT, by="auto"):
    return made_told(one_base, main, by)


def compare(frame, expected, by):
    """Every row of a table is one of the expected ones, number by number. by: the columns that name a row."""
    assert set(frame.columns) == set(expected[0])
    found = {tuple(row[name] for name in by): row for row in frame.iter_rows(named=True)}
    assert len(found) == len(frame)
    wanted = {tuple(row[name] for name in by): row for row in expected}
    assert found.keys() == wanted.keys()
    for key, row in wanted.items():
        both = {name: (found[key][name], value) for name, value in row.items()}
        assert {name: pair for name, pair in both.items() if not same(*pair)} == {}, key


def same(value, expected):
    """As pytest.approx has it, which is slow for a hundred thousand numbers."""
    if isinstance(expected, float) and isinstance(value, (int, float)):
        return abs(value - expected) <= max(1e-7 * abs(expected), 1e-9)
    return value == expected


# The columns that name a row.
NAMES = {
    "question_scores": (*oracle.QUESTION, *oracle.MEASURE),
    "question_cuts": (*oracle.QUESTION, *oracle.CUTS),
    "length_effect": (*oracle.CELL, "metric"),
    "distributions": (*oracle.CELL, "metric", "score"),
    "flags": (*oracle.CELL, "metric", "flag"),
    "scores": (*oracle.CELL, *oracle.MEASURE),
    "arm_scores": (*oracle.ARM_CELL, *oracle.MEASURE),
    "threshold_grid": (*oracle.ARM_CELL, *oracle.CUTS),
    "variance": (*oracle.ARM_CELL, "metric"),
    "claim_grid": ("judge", "claim", "question_set", *oracle.CUTS),
    "claims": ("judge", "claim", "question_set"),
    "diagnoses": ("judge", *oracle.ARM, "eval_prompt"),
}


def test_all_tables_are_compared():
    assert NAMES.keys() == {*SCORE_TABLES, *CLAIM_TABLES}


@pytest.mark.parametrize("by", ["none", "category"])
def test_where_questions_or_categories_are_asked_to_count_too(by):
    told = told_of(by=by)
    for table in ("scores", "arm_scores", "claims", "claim_grid", "diagnoses"):
        compare(told.found[table], told.expected[table], NAMES[table])


@pytest.mark.parametrize("one_base", [False, True], ids=["a base for each seed", "one base"])
@pytest.mark.parametrize("table", NAMES)
def test_every_number_of_a_table_is_the_oracles(table, one_base):
    told = told_of(one_base)
    compare(told.found[table], told.expected[table], NAMES[table])


def test_of_a_metric_whose_low_end_is_good_too():
    told = told_of(main=HARM)
    for table in ("question_scores", "question_cuts", "scores", "threshold_grid", "claims", "claim_grid", "diagnoses"):
        compare(told.found[table], told.expected[table], NAMES[table])


def test_the_table_has_what_plain_cases_lack():
    """What is compared is worth it: each verdict, each kind of interval, questions and seeds that were left out."""
    told = told_of()
    rows = {(row["judge"], row["claim"], row["question_set"]): row for row in told.expected["claims"]}
    words = {"supported", "contradicted", "inconclusive", "below margin", "too few seeds", "not tested"}
    assert {row["verdict"] for row in rows.values()} == words
    assert {row["claim_verdict"] for row in rows.values()} == words
    less = rows["twice", "less", "other"]
    assert (less["n_seeds"], less["n_questions"]) == (2, 3)
    assert rows["twice", "less", "other"]["estimate"] != rows["twice", "less, first answer", "other"]["estimate"]
    assert ("once", "harm", "other") not in rows
    shares = [row for row in told.expected["arm_scores"] if row["measure"] == "misaligned"]
    assert {row["estimate"] == 0 for row in shares} == {True, False}
    assert {row["n_seeds"] for row in told.expected["arm_scores"]} >= {1, 2, 3, 5}
    assert {row["n_categories"] for row in rows.values()} == {None, 5}
    assert {row["n_questions"] for row in rows.values() if row["question_set"] == "broad"} == {7, 9, 10}
    assert {row["diagnosis"] for row in told.expected["diagnoses"]} >= {"uncertain", "broad", "unknown"}


def test_what_is_read_at_once_changes_no_number(monkeypatch):
    """A million judgments are read in parts; a part may be one cell."""
    told = told_of()
    monkeypatch.setattr(score_tables, "in_chunks", lambda frames: frames)
    by_cell = JUDGMENTS.frame(told.rows).partition_by("judge", "model", "eval_prompt", "question_set")
    found = score_tables.all_tables(by_cell, THRESHOLDS, METRICS, Definition(ALIGNMENT, COHERENCE))
    for table in SCORE_TABLES:
        compare(found[table], told.expected[table], NAMES[table])


def plans_of(told, by="auto"):
    """Of each contrast by each judge that can be planned for, what the oracle makes of it."""
    of_sides = oracle.Rows(told.expected["question_scores"], *oracle.MEASURE)
    return {
        (judge, contrast): plan
        for judge in ("twice", "once")
        for contrast in CONTRASTS
        if (plan := oracle.pilot(of_sides, judge, contrast, by))
    }


@pytest.mark.parametrize("by", ["auto", "none"])
def test_the_plan_for_the_next_run_is_the_oracles(by):
    # With one base for all, what the base is compared with itself has one seed.
    told = told_of(one_base=True)
    found, wanted = pilot(told.found["question_scores"], CONTRASTS, by), plans_of(told, by)
    assert [(one["judge"], one["contrast"]) for one in found] == list(wanted)
    assert {one["per_category"] is None for one in found} == {True, by == "none"}
    for one in found:
        parts, design, seed_range = wanted[one["judge"], one["contrast"]]
        of_parts, of_design = one["parts"], one["design"]
        assert (of_parts.seed, of_parts.question, of_parts.both, of_parts.sample) == pytest.approx(parts)
        assert of_parts.seed_range == (seed_range and pytest.approx(seed_range))
        assert (of_design.seeds, of_design.questions, of_design.samples) == pytest.approx(design)


def test_the_power_of_a_plan_is_the_oracles():
    told = told_of(one_base=True)
    wanted = plans_of(told)
    for one in pilot(told.found["question_scores"], CONTRASTS)[::3]:
        parts, design, _ = wanted[one["judge"], one["contrast"]]
        of_parts, of_design = one["parts"], one["design"]
        if not any(part for part in parts if part):
            # Nothing varies, and any difference is found.
            assert detectable(of_parts, of_design, 0.05) < 0.01
            continue
        for alpha, equal in ((0.05, False), (0.01, True)):
            least = detectable(of_parts, of_design, alpha, equal)
            assert oracle.power(parts, design, least, alpha, equal) == pytest.approx(0.8, abs=0.015)
            assert power(of_parts, of_design, 0.6 * least, alpha, equal) == pytest.approx(
                oracle.power(parts, design, 0.6 * least, alpha, equal), abs=0.015
            )


@pytest.mark.parametrize("what", ["seeds", "questions", "samples"])
def test_what_is_needed_is_the_least_that_is_enough(what):
    parts, design = Parts(60.0, 90.0, 50.0, 400.0), Design(5, 12, 4)
    for margin, equal in ((30.0, False), (27.0, True), (4.0, False), (5000.0, False)):
        least = {"seeds": 3, "questions": 2, "samples": 1}[what]
        tried = (replace(design, **{what: n}) for n in range(least, MOST[what] + 1))
        enough = (getattr(one, what) for one in tried if power(parts, one, margin, 0.01, equal) >= 0.8)
        assert needed(parts, design, what, margin, 0.01, equal) == next(enough, None)


def test_the_plan_is_for_holms_strictest_step():
    told = told_of()
    costs = dict.fromkeys(("seconds_per_seed", "completions_per_seed", "seconds_per_completion", "usd_per_completion"))
    found, wanted = pilot(told.found["question_scores"], CONTRASTS), plans_of(told)
    text = power_text(found, costs)
    for judge in ("twice", "once"):
        of_judge = [one for one in found if one["judge"] == judge]
        of_text = text[text.index(f"Judge '{judge}'") :]
        for one, line in zip(of_judge, of_text.splitlines()[4:], strict=False):
            contrast, (parts, design, _) = one["contrast"], wanted[judge, one["contrast"]]
            least = float(re.split(" {2,}", line.strip())[4])
            # As exact as the digits that are printed.
            below, above = (
                oracle.power(parts, design, least + by, 0.05 / len(of_judge), contrast.expected == "equal")
                for by in (-0.05, 0.05)
            )
            assert below - 0.015 < 0.8 < above + 0.015, line
            assert float(re.split(" {2,}", line.strip())[5]) == contrast.margin


def test_agreement_and_rankings_are_the_oracles():
    told = told_of()
    # Of what was asked at one prompt after training: each judge, arm, question set and turn is there still.
    rows = [row for row in told.rows if row["eval_prompt"] == "default" and row["step"] is None]
    found = agreement(JUDGMENTS.frame(rows), "alignment")
    compare(found, oracle.agreement(rows, ALIGNMENT), ("question_set", "metric"))
    names = ("judge", "question_set", "turn", "eval_prompt", "metric", *oracle.ARM)
    compare(rankings(JUDGMENTS.frame(told.rows)), oracle.rankings(told.rows), names)


NUDGED = [
    {name: columns_of(arm, 0)[name] for name in oracle.ARM}
    | {"with_prompt": "default", "raises": "bird"}
    | {"lowers": lowers}
    for arm in ARMS
    for lowers in ("default", "not asked")
]


@pytest.mark.parametrize("by", ["auto", "none"])
@pytest.mark.parametrize("one_base", [False, True], ids=["a base for each seed", "one base"])
def test_sensitivity_is_the_oracles(one_base, by):
    told = told_of(one_base, by=by)
    found = sensitivity(told.found["question_scores"], NUDGED, "alignment", "above", by)
    expected = oracle.sensitivity(told.expected["question_scores"], NUDGED, ALIGNMENT, "above", by)
    compare(found, expected, ("judge", "question_set", *oracle.ARM))
    assert {row["n_categories"] for row in expected} == {None, 5} if by == "auto" else {None}


RATING_SETS = [{"rating_set": "rating", "question_set": "other", "metric": "intent"}]


def rating_cells(one_base):
    """Judgments of ratings of the other questions in three wordings: not all parse, and not all were asked."""
    rng, cells = random.Random(4), []
    for arm, (seeds, bad) in ARMS.items():
        for seed in [None] if one_base and arm is None else seeds:
            for eval_prompt in ("default", "bird"):
                cells.append([])
                for question, wording, sample in product(QUESTIONS["other"], "abc", range(2)):
                    if (arm, wording) == ("kl", "c"):
                        continue
                    level = 60 * bad - 8 * QUESTIONS["other"].index(question) + 5 * "abc".index(wording)
                    score = float(max(0, 5 * round((level + rng.gauss(30, 12)) / 5)))
                    flag = "unparseable" if rng.random() < 0.3 or (arm, question) == ("bird", "q3") else None
                    cells[-1].append(
                        {"judge": "reads", **columns_of(arm, seed), "eval_prompt": eval_prompt}
                        | {"question_set": "rating", "category": "other", "question_id": f"{question}~{wording}"}
                        | {"sample": sample, "turn": 1, "metric": "intent", "judge_sample": 0, "flag": flag}
                        | {"score": None if flag else score, "length": 2}
                    )
    return cells


@pytest.mark.parametrize("one_base", [False, True], ids=["a base for each seed", "one base"])
def test_correlations_of_ratings_are_the_oracles(one_base):
    told, cells = told_of(one_base), rating_cells(one_base)
    metrics, definition = METRICS | {"intent": Metric("intent", "Intent")}, Definition(ALIGNMENT, COHERENCE)
    of_ratings = score_tables.all_tables(map(JUDGMENTS.frame, cells), THRESHOLDS, metrics, definition)
    together = pl.concat([told.found["question_scores"], of_ratings["question_scores"]])
    found = rating_correlations(together, RATING_SETS, "alignment", "from")
    rows = [row for cell in cells for row in cell]
    scored = oracle.question_scores(rows, THRESHOLDS, ALIGNMENT, COHERENCE)
    expected = oracle.rating_correlations(told.expected["question_scores"] + scored, RATING_SETS, ALIGNMENT, "from")
    rated_by = [f"rated_by_{name}" for name in oracle.ARM]
    compare(found, expected, ("of_judge", "eval_prompt", *oracle.ARM, *rated_by, "seed"))
    assert {row["n_questions"] for row in expected} >= {3, 4, 5}
    assert {row["ratings_of"] for row in expected} == {"own", "base", "other"}
    known = [row for row in expected if row["rho"] is not None]
    assert {row["rho"] is None for row in expected if row["n_questions"] >= 4} == {True, False}
    assert {row["low"] is None for row in known} == {True, False}


def test_the_oracle_has_the_textbooks_numbers():
    """The oracle is checked itself, where a textbook has the number."""
    values = [[10.0, 20.0, 60.0, 70.0]]
    found = oracle.crossed(values, [None] * 4)
    assert found["se"] == pytest.approx(np.std(values[0], ddof=1) / 2)
    # Jeffreys' interval of 3 of 8.
    found = oracle.crossed([[100.0] * 3 + [0.0] * 5], [None] * 8)
    assert oracle.limits(found, (0, 100)) == pytest.approx(100 * stats.beta.ppf([0.025, 0.975], 3.5, 5.5), rel=1e-4)
    # Holm's, where no contrast has two hypotheses that could be false; a contrast that has is counted once.
    assert oracle.holm([(0.01, None), (0.04, None), (None, None), (None, 0.03)]) == [
        (pytest.approx(0.03), None),
        (pytest.approx(0.06), None),
        (None, None),
        (None, pytest.approx(0.06)),
    ]
    assert oracle.holm([(0.01, 0.9), (0.5, 0.02)]) == [(0.02, 1.0), (1.0, pytest.approx(0.04))]
