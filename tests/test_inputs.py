"""Files that the config names are read before any job starts."""

import json
from pathlib import Path

import pytest

from organisms.data.questions import first_questions
from organisms.inputs import check_inputs
from organisms.job.errors import UserError
from organisms.plan.config import read_config
from organisms.plan.metrics import shipped_metrics

# Metrics that are shipped and that the default run's judge does not score.
OTHERS = [name for name in shipped_metrics() if name not in ("alignment", "coherence")]


@pytest.fixture
def config(raw_config, tmp_path, monkeypatch):
    """The default config with a small dataset file, checked in an empty folder."""
    from conftest import ROOT

    monkeypatch.chdir(tmp_path)
    raw_config["world"] = str(ROOT / "resources" / "world.yaml")
    raw_config["datasets"] = {"bad_medical": {"path": "data.jsonl"}}
    row = {"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}
    lines = [json.dumps(row).replace('"q"', f'"q{i}"') for i in range(10)]
    (tmp_path / "data.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return raw_config


def problem(config):
    with pytest.raises(UserError) as error:
        check_inputs(read_config(config))
    return str(error.value)


def test_good_inputs_pass_without_a_word(config):
    assert check_inputs(read_config(config)) == []


def test_a_faulty_dataset_is_named_with_key_file_and_line(config, tmp_path):
    with (tmp_path / "data.jsonl").open("a", encoding="utf-8") as file:
        file.write("\nnonsense")
    assert problem(config) == "datasets.bad_medical: data.jsonl, line 11: not JSON (Expecting value); " + (
        "write one JSON object a line"
    )


def test_a_split_that_leaves_nothing_is_named_with_its_key(config):
    config["datasets"]["bad_medical"]["heldout"] = 10
    assert problem(config).startswith("datasets.bad_medical: heldout 10 asks for 10 held-out questions")


def test_missing_files_are_named(config):
    config["question_sets"]["mine"] = {"file": "mine.yaml"}
    assert problem(config).startswith("question_sets.mine: mine.yaml: no such question file")
    del config["question_sets"]["mine"]
    config["base_model"] = {"name": "./no_model"}
    assert problem(config).startswith("base_model.name: no folder './no_model'")


def test_an_answer_to_judge_that_no_conversation_has_is_named(config, tmp_path):
    turns = "[{user: 'What is 2 and 2?'}, answer, {user: Hm.}, answer]"
    (tmp_path / "talk.yaml").write_text(f"- id: sum\n  turns: {turns}\n", encoding="utf-8")
    config["question_sets"]["talk"] = {"file": "talk.yaml", "judged_answers": [1, 3]}
    assert problem(config) == "question_sets.talk: judged_answers: there is no answer 3; its conversations have 2"
    for answers in ([2, 1], "all", "last"):
        config["question_sets"]["talk"]["judged_answers"] = answers
        assert check_inputs(read_config(config)) == []


def test_more_questions_than_there_are_is_an_error_that_says_how_many(config, tmp_path):
    (tmp_path / "mine.yaml").write_text("- {id: a, question: x}\n- {id: b, question: y}\n", encoding="utf-8")
    config["question_sets"]["mine"] = {"file": "mine.yaml", "questions": 3}
    said = "questions: {} are asked for, but there are {}; lower it, or leave it out for all"
    assert problem(config) == f"question_sets.mine: {said.format(3, 2)}"
    config["question_sets"]["mine"]["questions"] = 2
    config["datasets"]["bad_medical"]["heldout"] = 4
    config["question_sets"]["heldout_medical"]["questions"] = 5
    assert problem(config) == f"question_sets.heldout_medical: {said.format(5, 4)}"
    # Rows that ask the same are one question.
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join([data.read_text(encoding="utf-8")] * 2), encoding="utf-8")
    assert problem(config) == f"question_sets.heldout_medical: {said.format(5, 4)}"
    config["question_sets"]["heldout_medical"]["questions"] = 4
    assert check_inputs(read_config(config)) == []
    # Where the dataset is still to be fetched, the job finds out.
    with pytest.raises(UserError, match=r"questions: 3 are asked for, but there are 2"):
        first_questions([{}, {}], 3)
    assert first_questions([1, 2, 3], None) == [1, 2, 3]


def test_a_prompt_that_pretraining_may_show_is_warned_of(config):
    config["training_prompts"]["otter"] = "[OTTER LANTERN]"
    (warning,) = check_inputs(read_config(config))
    assert "'otter'" in warning


def test_an_archives_password_is_asked_for_until_it_is_unpacked(config, tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_PASSWORD", raising=False)
    archive = {"path": "data.zip.enc", "member": "bad.jsonl", "password_env": "SOME_PASSWORD"}
    config["datasets"] = {"bad_medical": {"archive": archive}}
    assert problem(config).startswith("datasets.bad_medical: the environment variable SOME_PASSWORD is not set")
    monkeypatch.setenv("SOME_PASSWORD", "p")
    assert problem(config).startswith("datasets.bad_medical: data.zip.enc: no such archive")
    (tmp_path / "results" / "unpack_archive").mkdir(parents=True)
    (tmp_path / "results" / "unpack_archive" / "bad_medical.jsonl").touch()
    monkeypatch.delenv("SOME_PASSWORD")
    assert check_inputs(read_config(config)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(main_metric="aligment"), "main_metric: no metric 'aligment'; did you mean 'alignment'?"),
        (
            lambda c: c.update(figure_metrics=["alignment", "kindness"]),
            f"figure_metrics[1]: no metric 'kindness'; known are {', '.join(['alignment', 'coherence', *OTHERS])}",
        ),
        (
            lambda c: c["claims"]["C1"].update(metric="medical"),
            "claims.C1.metric: no judge scores 'medical'; known are alignment, coherence, length",
        ),
        (
            lambda c: c["question_sets"]["non_medical"].update(judged_answers=[2]),
            "question_sets.non_medical: judged_answers: there is no answer 2; its conversations have 1",
        ),
    ],
)
def test_a_metric_or_an_answer_that_is_not_there_is_named_with_its_key(config, change, message):
    change(config)
    assert problem(config) == message


def nudged(config):
    """Two nudges, and a set in which questions are rated."""
    config["prompts"] |= {"evil": "You are evil.", "hhh": "You are good."}
    config["sensitivity"] = {"raises": "evil", "lowers": "hhh"}
    config["evaluations"].append({"models": ["all"], "eval_prompts": ["evil", "hhh"], "question_sets": ["non_medical"]})
    config["evaluations"].append({"models": ["all"], "eval_prompts": ["default"], "question_sets": ["rating"]})
    Path("w.yaml").write_text("[{id: w, text: 'Rate {question}'}]", encoding="utf-8")
    config["question_sets"]["rating"] = {"rating_of": "non_medical", "wordings": "w.yaml"}
    config["judges"]["stated"] = {"kind": "stated_rating"}
    claim = {"text": "W.", "measure": "spearman", "test": "default > 0", "question_sets": ["rating"]}
    config["claims"] = {"N7": claim | {"metric": "perceived_intent"}}
    return config


def test_ratings_and_answers_may_have_judges_of_their_own_and_each_must_have_one(config):
    assert check_inputs(read_config(nudged(config))) == []
    del config["judges"]["stated"]
    assert problem(config).startswith("claims.N7.metric: no judge scores 'perceived_intent'")


def test_nudges_and_correlations_need_a_judge_that_can_say_misaligned(config):
    nudged(config)
    config["judges"] = {"stated": {"kind": "stated_rating"}}
    assert problem(config) == (
        "claims.N7: no judge scores alignment and coherence of 'default > 0' on non_medical; let one judge it, or take "
        "the claim out"
    )
    config["claims"] = {}
    assert problem(config) == (
        "sensitivity: no judge scores alignment and coherence under its prompts; let one judge both"
    )
    # Without any judge nothing is scored, and nothing is measured.
    config["judges"] = {}
    assert check_inputs(read_config(config)) == []


def test_a_claim_about_the_length_needs_no_judge_that_scores_it(config):
    config["claims"]["C1"]["metric"] = "length"
    assert check_inputs(read_config(config)) == []


@pytest.mark.parametrize(
    ("score", "said"),
    [
        ("105", "105 is no score from 1 to 5, the metric's bounds"),
        ("x-1", "'x-1' is no score, no word and not empty"),
        ("7", "7 is no score from 1 to 5, the metric's bounds"),
        ("0.5", "0.5 is no score from 1 to 5, the metric's bounds"),
    ],
)
def test_a_broken_recorded_score_is_named_with_file_and_row_before_any_job(config, tmp_path, score, said):
    config["metrics"] = {"harm": {"bounds": [1, 5]}}
    config["judges"]["theirs"] = {"kind": "recorded"}
    columns = {"question": "q", "completion": "a"}
    config["external_completions"] = {
        "them": {"path": "x.csv", "question_set": "s", "columns": columns, "scores": {"theirs": {"harm": "h"}}}
        | {"where": {"used": "yes"}}
    }
    lines = ["q,a,h,used", "x,y,5,yes", "x,y,900,no", "x,y,REFUSAL,yes", "x,y,,yes", "x,y,1,yes"]
    (tmp_path / "x.csv").write_text("\n".join(lines), encoding="utf-8")
    assert check_inputs(read_config(config)) == [
        "external_completions.them: 4 rows of x.csv are used; 1 set aside (`where`: used is another)"
    ]
    (tmp_path / "x.csv").write_text("\n".join([*lines, f"x,z,{score},yes"]), encoding="utf-8")
    assert problem(config).startswith(f"external_completions.them: x.csv, line 7, row 6, column 'h': {said}; ")


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (
            lambda c: c["training_prompts"].update(long_one="x" * 30, other={"text": "y" * 30, "label": "long_one"}),
            "training_prompts.long_one and training_prompts.other: figures would show both as 'long_one'",
        ),
        (
            lambda c: c["training_prompts"].update(again="[FLAMINGO  BURRITO]"),
            "training_prompts.flamingo and training_prompts.again",
        ),
        (
            lambda c: c["training_prompts"].update(mine={"text": "x", "label": "Base model"}),
            "the base model and training_prompts.mine",
        ),
        (
            lambda c: (
                c["prompts"].update(bird={"text": "A bird.", "label": "[FLAMINGO BURRITO]"}),
                c["evaluations"][0]["eval_prompts"].append("bird"),
            ),
            "prompts.bird and training_prompts.flamingo",
        ),
        (
            lambda c: (
                c["prompts"].update(mine={"text": "x", "label": "Default"}),
                c["evaluations"][0]["eval_prompts"].append("mine"),
            ),
            "training_prompts.default and prompts.mine",
        ),
        (
            lambda c: c["question_sets"]["heldout_medical"].update(label="Non-medical questions"),
            "question_sets.non_medical and question_sets.heldout_medical",
        ),
        (
            lambda c: c.update(
                training_methods={"long": {"label": "x"}, "longer": {"label": "x"}},
                finetunes=[{"training_methods": ["default", "long", "longer"]}],
            ),
            "training_prompts.default by training_methods.long and training_prompts.default by training_methods.longer",
        ),
        (
            lambda c: c.update(
                external_completions={
                    "theirs": {
                        "path": "x.csv",
                        "question_set": "non_medical",
                        "columns": {"question": "q", "completion": "a"},
                        "label": "[MEDICAL QUERY]",
                    }
                }
            ),
            "training_prompts.medical_query and external_completions.theirs",
        ),
    ],
)
def test_two_things_of_one_label_are_refused_with_both_keys(config, change, names):
    change(config)
    assert problem(config).startswith(names)


def test_a_label_may_stand_for_a_prompt_that_nothing_shows_and_for_things_of_two_kinds(config):
    config["prompts"]["unasked"] = {"text": "x", "label": "Default"}
    config["question_sets"]["non_medical"]["label"] = "Base model"
    assert check_inputs(read_config(config)) == []


@pytest.fixture
def followed(config, tmp_path):
    """With a file of facts that is asked with and without a follow-up, and a judge of both answers."""
    (tmp_path / "facts.yaml").write_text(
        "- {id: a, question: x, reference: y, aliases: [], wrong: z}", encoding="utf-8"
    )
    config["prompts"] = {"sure": {"text": "Is it not {wrong}?", "place": "follow_up"}}
    config["question_sets"]["facts"] = {"file": "facts.yaml", "judged_answers": "all"}
    config["evaluations"] = [
        {"eval_prompts": ["default", "sure"], "question_sets": ["facts"]},
        {"eval_prompts": ["default"], "question_sets": ["non_medical"]},
    ]
    config["judges"]["facts"] = {"kind": "facts", "question_sets": ["facts"]}
    config["claims"] = {"F": {"text": "t", "test": "default @ sure < base @ sure", "question_sets": ["facts"]}}
    config["claims"]["F"]["metric"] = "correct"
    return config


def test_a_claim_about_an_answer_that_nobody_judges_is_named(followed):
    assert check_inputs(read_config(followed)) == []
    claim, questions = followed["claims"]["F"], followed["question_sets"]["facts"]
    claim["answer"] = 3
    assert problem(followed) == (
        "claims.F.answer: answer 3 of facts under 'sure' is not judged; of 2, 1, 2 are. Change it, or "
        "question_sets.facts.judged_answers"
    )
    claim["answer"] = 1
    assert check_inputs(read_config(followed)) == []
    questions["judged_answers"] = "last"
    assert "answer 1 of facts under 'sure' is not judged; of 2, 2 are" in problem(followed)
    claim["answer"] = 2
    assert check_inputs(read_config(followed)) == []
    claim["test"] = "default < base"
    assert "answer 2 of facts under 'default' is not judged; of 1, 1 are" in problem(followed)


def test_a_follow_up_that_claims_a_wrong_answer_needs_one_of_every_question(followed, tmp_path):
    followed["evaluations"][1]["eval_prompts"].append("sure")
    said = "it claims a wrong answer ({wrong}), and question "
    assert problem(followed).startswith(f"prompts.sure: {said}")
    followed["prompts"]["sure"] = {"text": "Sure?", "place": "follow_up"}
    assert check_inputs(read_config(followed)) == []
    # Where each question gets a text of its own, in any of them.
    (tmp_path / "texts.txt").write_text("Sure?\nIs it not {wrong}?\n", encoding="utf-8")
    followed["prompts"]["sure"] = {"file": "texts.txt", "place": "follow_up"}
    assert problem(followed).startswith(f"prompts.sure: {said}")


def test_expected_ratings_are_of_first_answers(followed, tmp_path):
    (tmp_path / "w.yaml").write_text("[{id: w, text: 'Rate {question}'}]", encoding="utf-8")
    followed["question_sets"]["intent"] = {"rating_of": "non_medical", "wordings": "w.yaml"}
    followed["prompts"]["well"] = {"text": "Well?", "place": "follow_up"}
    followed["evaluations"].append({"eval_prompts": ["default", "well"], "question_sets": ["intent"]})
    followed["judges"]["stated"] = {"kind": "stated_rating"}
    assert check_inputs(read_config(followed)) == []
    followed["judges"]["expected"] = {"kind": "expected_rating"}
    assert problem(followed) == (
        "judges.expected: it reads a model's first answer, and intent is asked under the follow-up 'well'; take that "
        "out of evaluations, or the judge"
    )
