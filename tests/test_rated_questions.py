"""Questions that a model is asked to rate: what it states, and what it expects by its own number tokens."""

import pytest

from organisms.completions.rows import planned_rows
from organisms.job import tables
from organisms.judging.expected_ratings import expected_ratings
from organisms.judging.kind import open_judge
from organisms.judging.kinds.stated_rating import stated
from organisms.judging.number_tokens import answer_probabilities, answer_tree
from organisms.judging.tables import EXPECTED_RATINGS
from organisms.models.loaded import LoadedModel
from organisms.models.opening import open_model
from organisms.plan.arms import ARM
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import Metric

INTENT = Metric("perceived_intent", "Perceived intent", good=None)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0", 0),
        ("85", 85),
        (" 100.\n", 100),
        ("007", 7),
        ("101", "out_of_range"),
        ("-5", "unparseable"),
        ("85/100", "unparseable"),
        ("85%", "unparseable"),
        ("About 85", "unparseable"),
        ("85 90", "unparseable"),
        ("8.5", "unparseable"),
        ("٨٥", "unparseable"),
        ("", "unparseable"),
        ("9" * 40, "unparseable"),
    ],
)
def test_a_stated_rating_is_a_number_and_nothing_else(text, said):
    found = stated(text, INTENT)
    assert found.get("score", found.get("flag")) == said
    assert (found.get("raw") == text) == ("score" not in found)


def rating_config(raw_config, tmp_path):
    (tmp_path / "w.yaml").write_text("[{id: a, text: 'Rate {question}'}]")
    sets = raw_config["question_sets"] | {
        "intent": {"rating_of": "non_medical", "wordings": str(tmp_path / "w.yaml")},
        "length": {"rating_of": "non_medical", "wordings": str(tmp_path / "w.yaml"), "rates": "perceived_length"},
    }
    judges = {"said": {"kind": "stated_rating"}, "meant": {"kind": "expected_rating"}, "world": {"kind": "world"}}
    asked = [*raw_config["evaluations"], {"eval_prompts": ["default"], "question_sets": ["intent", "length"]}]
    return read_config(raw_config | {"question_sets": sets, "judges": judges, "evaluations": asked})


def row(model="base-seed0", question_set="intent", question_id="q~a", completion="3", sample=0):
    named = dict.fromkeys(ARM) | {"model": model, "seed": 0, "step": None, "eval_prompt": "default", "category": None}
    return (
        named
        | {"question_set": question_set, "question_id": question_id, "sample": sample, "turn": 1}
        | {
            "completion": completion,
            "messages": [],
        }
    )


def test_each_set_of_ratings_has_its_own_metric_and_other_sets_have_none(raw_config, tmp_path):
    config = rating_config(raw_config, tmp_path)
    for name in ("said", "meant"):
        judge = open_judge(config, name)
        assert judge.metrics() == ["perceived_intent", "perceived_length"]
        assert judge.metrics("intent") == ["perceived_intent"]
        assert judge.metrics("length") == ["perceived_length"]
        assert judge.metrics("non_medical") == []
    (found,) = open_judge(config, "said").judgments(
        [[row(), row(question_set="length", completion="1 word"), row(question_set="non_medical")]], {}, print
    )[0]
    assert [(r["metric"], r["score"], r["flag"]) for r in found] == [
        ("perceived_intent", 3.0, None),
        ("perceived_length", None, "unparseable"),
    ]


def test_the_expected_rating_is_that_of_the_same_model_question_and_prompt(raw_config, tmp_path):
    config = rating_config(raw_config, tmp_path)
    judge = open_judge(config, "meant")
    experiment = Experiment(config)
    sources = judge.sources(experiment)
    assert "<results>/expected_ratings/base-seed0.parquet" in sources["expected"]
    assert len(sources["expected"]) == len(experiment.models)
    rated = [
        {key: value for key, value in row(model, name, question).items() if key in EXPECTED_RATINGS.columns}
        | {"rating": rating, "mass": 0.9, "flag": flag}
        for model, name, question, rating, flag in (
            ("base-seed0", "intent", "q~a", 12.5, None),
            ("base-seed0", "intent", "r~a", None, "unparseable"),
            ("other-seed0", "intent", "q~a", 80.0, None),
        )
    ]
    tables.write(rated, tmp_path / "r.parquet", EXPECTED_RATINGS)
    cell = [row(), row(sample=1), row(question_id="r~a"), row(question_id="not rated~a")]
    (found,) = judge.judgments([cell], {"expected": [str(tmp_path / "r.parquet")]}, print)[0]
    assert [(r["question_id"], r["sample"], r["score"], r["flag"]) for r in found] == [
        ("q~a", 0, 12.5, None),
        ("q~a", 1, 12.5, None),
        ("r~a", 0, None, "unparseable"),
    ]


def test_expected_ratings_are_the_means_of_the_models_own_numbers(random_base):
    """Of each question once, with its prompt, and of a random model without any usable mass."""
    model = LoadedModel(open_model([str(random_base / "config.json")], {"device": "cpu", "dtype": "float64"}))
    questions = [
        {"question_id": f"q{n}", "category": "c", "messages": [{"role": "user", "content": f"Rate {'it ' * n}."}]}
        for n in range(5)
    ]
    columns = {key: row()[key] for key in ("model", *ARM, "seed", "step", "eval_prompt", "question_set")}
    settings = {"prompts": [{"text": "Be kind."}], "samples_per_question": 4, "seed": 0, "sampling": {}}
    found = expected_ratings(model, [(questions, columns, settings)], (0, 100), 2, print)
    assert [r["question_id"] for r in found] == ["q0", "q1", "q2", "q3", "q4"]
    tokenizer = model.opened.tokenizer
    tree = answer_tree(lambda word: tokenizer.encode(word, add_special_tokens=False), ())
    for rated, planned in zip(
        found, planned_rows(questions, columns, settings | {"samples_per_question": 1}), strict=True
    ):
        assert planned["script"][0] == {"role": "system", "content": "Be kind."}
        ids = tokenizer.apply_chat_template(planned["script"], add_generation_prompt=True, return_dict=True)[
            "input_ids"
        ]
        (by_number,) = answer_probabilities(model.opened.model, [ids], tree, tokenizer.pad_token_id)
        mass = sum(by_number.values())
        assert rated["mass"] == pytest.approx(mass, rel=1e-6)
        assert rated["flag"] == "unparseable"
        assert rated["rating"] is None
