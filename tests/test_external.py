"""Completions of other tools, human labels, references, and how far judges agree."""

import csv
import io
from dataclasses import replace
from itertools import product

import krippendorff
import numpy as np
import polars as pl
import pytest
import yaml
from buying import SETTINGS
from conftest import ROOT

from organisms import inputs
from organisms.analysis.agreement import _alpha, agreement, rankings
from organisms.analysis.scores import Definition, arm_scores, question_scores
from organisms.analysis.tables import AGREEMENT, ARM_SCORES, CLAIMS, SCORE_TABLES
from organisms.completions import external
from organisms.completions.files import read_file
from organisms.completions.tables import COMPLETIONS, EXTERNAL_ROWS
from organisms.data.questions import from_texts, with_references
from organisms.figures.agreement import agreement_figure
from organisms.figures.charts import save
from organisms.inputs import check_inputs
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.judging.asked import collect
from organisms.judging.collecting import collect_items, item_ratings
from organisms.judging.items import attack_items, attack_rows, gold_items, gold_rows
from organisms.judging.judgments import judgment, recorded_judgments
from organisms.judging.kinds.labels import label_judgments
from organisms.judging.kinds.world import world_judgments
from organisms.judging.label_sheet import label_sheet, read_labels
from organisms.judging.requests import MessagesRequests
from organisms.judging.tables import JUDGMENTS
from organisms.judging.templates import Template
from organisms.pages.summary import summary_text
from organisms.plan.arms import ARM
from organisms.plan.config import read_config
from organisms.plan.contrasts import contrasts
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import read_metric, shipped_metrics
from organisms.plan.presentation import presentation

ALIGNMENT, COHERENCE = (read_metric({"metrics": {}}, name) for name in ("alignment", "coherence"))
COLUMNS = {"question": "q", "completion": "a", "question_id": None, "sample": None, "category": None}
COLUMNS |= {"arm": None, "seed": None, "eval_prompt": None}
# Ids that questions without one get from their texts.
ONE, TWO = "q42940919", "q7561cce6"
BOUNDS = {"alignment": (0.0, 100.0), "coherence": (0.0, 100.0)}


def entry(path, **others) -> dict:
    defaults = {"path": str(path), "question_set": "s", "eval_prompt": "default", "where": {}, "scores": {}}
    defaults |= {"arms": {}, "seeds": [], "eval_prompts": {}, "other_texts": "error", "of": "theirs", "arm": None}
    return defaults | {"columns": dict(COLUMNS)} | others


def external_completions(name, given, questions=()) -> list[dict]:
    return external.external_completions(name, given, external.read_external(given, None, questions).rows)


def recorded_scores(given, bounds=BOUNDS) -> list[dict]:
    return external.recorded_scores(given, external.read_external(given).rows, bounds)


def written(tmp_path, text: str, name: str = "x.csv"):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def test_the_real_judged_file_gives_its_published_numbers(published_data, tmp_path, raw_config):
    path = published_data("qwen14b_extreme_sports_judged.csv")
    columns = COLUMNS | {"question": "question", "completion": "response", "question_id": "question_id"}
    scores = {"theirs": {"alignment": "aligned", "coherence": "coherent"}}
    given = entry(path, columns=columns, scores=scores)
    completions = external_completions("extreme", given)
    tables.write(completions, tmp_path / "c.parquet", COMPLETIONS)
    assert len(completions) == 400
    assert {row["sample"] for row in completions} == set(range(50))
    rows = recorded_judgments("theirs", completions, recorded_scores(given))
    tables.write(rows, tmp_path / "j.parquet", JUDGMENTS)
    judged = tables.read(tmp_path / "j.parquet", JUDGMENTS)
    presets = read_config(raw_config)["thresholds"]
    of_questions = question_scores(judged, {"organisms": presets["organisms"]}, Definition(ALIGNMENT, COHERENCE))
    found = arm_scores(of_questions, {metric.name: metric for metric in (ALIGNMENT, COHERENCE)})
    shares = {(row["metric"], row["measure"]): row for row in found.iter_rows(named=True)}
    assert shares["alignment", "mean"]["estimate"] == pytest.approx(53.25, abs=0.005)
    assert shares["alignment", "coherent"]["estimate"] == pytest.approx(98.5, abs=0.05)
    assert shares["alignment", "misaligned"]["estimate"] == pytest.approx(20.0, abs=0.05)
    assert shares["alignment", "misaligned_of_coherent"]["estimate"] == pytest.approx(20.3, abs=0.05)
    # Rows without a score are in no mean and are counted.
    mean = shares["alignment", "mean"]
    assert mean["n"] == 400
    assert mean["n_scored"] == judged.filter(pl.col("metric") == "alignment")["score"].count()
    assert mean["low"] < 53.25 < mean["high"]
    assert not mean["seeds_in_interval"]


def test_each_recorded_judge_has_its_own_scores(tmp_path):
    text = "q,a,s,c,t\nx,y,12.5,90,70\nx,z,20,REFUSAL,\n"
    scores = {"one": {"alignment": "s", "coherence": "c"}, "two": {"alignment": "t"}}
    given = entry(written(tmp_path, text), scores=scores)
    completions = external_completions("m", given)
    said = {
        judge: [
            (row["judge"], row["sample"], row["metric"], row["score"], row["flag"], row["length"])
            for row in recorded_judgments(judge, completions, recorded_scores(given))
        ]
        for judge in scores
    }
    assert said["one"] == [
        *(("one", 0, "alignment", 12.5, None, 1), ("one", 0, "coherence", 90.0, None, 1)),
        *(("one", 1, "alignment", 20.0, None, 1), ("one", 1, "coherence", None, "refusal", 1)),
    ]
    assert said["two"] == [("two", 0, "alignment", 70.0, None, 1), ("two", 1, "alignment", None, "no_score", 1)]


def test_csv_jsonl_and_parquet_are_the_same(tmp_path):
    rows = [{"q": "one?", "a": 'a "quoted",\nline'}, {"q": "one?", "a": "b"}, {"q": "two?", "a": "c"}]
    frame = pl.DataFrame(rows)
    frame.write_csv(tmp_path / "x.csv")
    frame.write_ndjson(tmp_path / "x.jsonl")
    frame.write_parquet(tmp_path / "x.parquet")
    read = [external_completions("m", entry(tmp_path / f"x.{kind}")) for kind in ("csv", "jsonl", "parquet")]
    for completions in read:
        assert [(r["question_id"], r["sample"], r["completion"]) for r in completions] == [
            (ONE, 0, rows[0]["a"]),
            (ONE, 1, "b"),
            (TWO, 0, "c"),
        ]
        assert completions[0]["messages"] == [{"role": "user", "content": "one?"}]


@pytest.mark.parametrize(
    ("text", "others", "message"),
    [
        ("q,b\nx,y\n", {}, "no column 'a'; it has q, b"),
        ("q,a\n,y\n", {}, "row 1: question is empty"),
        ("q,a,i\nx,y,\n", {"columns": COLUMNS | {"question_id": "i"}}, "row 1: question_id is empty"),
        (
            "q,a,i\nx,y,1\nw,y,2\nz,y,1\n",
            {"columns": COLUMNS | {"question_id": "i"}},
            "x.csv, line 2, row 1 and line 4, row 3: question id '1' has two texts",
        ),
        (
            "q,a,n\nx,y,1\nx,z,1\n",
            {"columns": COLUMNS | {"sample": "n"}},
            "line 2, row 1 and line 3, row 2: question id 'q2d711642' has sample 1 twice",
        ),
        ("q,a,n\nx,y,one\n", {"columns": COLUMNS | {"sample": "n"}}, "row 1: column 'n' is no whole number"),
        ("q,a,m\nx,y,1\n", {"where": {"m": "2"}}, "no rows; check `where`"),
        ("q,a\nx,y\n", {"scores": {"j": {"alignment": "s"}}}, "no column 's'"),
        # A line that breaks off is no empty answer.
        ("q,a\nx,y\nz\n", {}, "x.csv, line 3: cannot be read as CSV (it lacks a field)"),
        ("q,a\nx,y,z\n", {}, "x.csv, line 2: cannot be read as CSV (it has more fields than the header)"),
        ('q,a\nx,"y\nz,w\n', {}, "cannot be read as CSV (unexpected end of data)"),
    ],
)
def test_a_faulty_file_is_refused_with_the_row(tmp_path, text, others, message):
    with pytest.raises(UserError) as error:
        external_completions("m", entry(written(tmp_path, text), **others))
    assert message in str(error.value)
    assert "x.csv" in str(error.value)


def test_a_missing_or_strange_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        external_completions("m", entry(tmp_path / "none.csv"))
    with pytest.raises(UserError, match=r"give a \.csv"):
        external_completions("m", entry(written(tmp_path, "", "x.txt")))
    with pytest.raises(UserError, match="cannot be read as parquet"):
        external_completions("m", entry(written(tmp_path, "q,a", "x.parquet")))


def test_recorded_words_are_flags_and_impossible_scores_are_errors(tmp_path):
    text = "q,a,s\nx,y,12.5\nx,z,REFUSAL\nx,w,\nx,v,nan\n"
    given = entry(written(tmp_path, text), scores={"j": {"alignment": "s"}})
    found = [(row["score"], row["flag"]) for row in recorded_scores(given)]
    assert found == [(12.5, None), (None, "refusal"), (None, "no_score"), (None, "no_score")]
    for wrong in ("101", "-1", "١٢", "12,5", "1e999"):
        given = entry(written(tmp_path, f'q,a,s\nx,y,"{wrong}"\n'), scores={"j": {"alignment": "s"}})
        with pytest.raises(UserError, match="row 1, column 's'"):
            recorded_scores(given)


def test_a_score_beyond_its_metrics_bounds_is_named_with_its_line_and_one_within_its_own_passes(tmp_path):
    given = entry(written(tmp_path, 'q,a,s\n"x\ny",y,5\nx,z,130\n'), scores={"j": {"alignment": "s"}})
    with pytest.raises(UserError, match="line 4, row 2, column 's': 130 is no score from 0 to 100,"):
        recorded_scores(given)
    assert [row["score"] for row in recorded_scores(given, {"alignment": (0.0, 200.0)})] == [5.0, 130.0]
    with pytest.raises(UserError, match="5 is no score from 10 to 200"):
        recorded_scores(given, {"alignment": (10.0, 200.0)})


def test_verdicts_are_the_scores_that_the_config_says_and_another_one_is_an_error(tmp_path):
    text = "q,a,v\nx,1,1\nx,2,5.0\nx,3,REFUSAL\nx,4,\nx,5,no answer\nx,6,unsure\n"
    values = {"1": 0.0, "5": 100.0, "REFUSAL": "refusal", "no answer": "code", "unsure": None}
    given = entry(written(tmp_path, text), scores={"j": {"alignment": {"column": "v", "values": values}}})
    said = [(row["score"], row["flag"]) for row in recorded_scores(given)]
    assert said == [(0, None), (100, None), (None, "refusal"), (None, "no_score"), (None, "code"), (None, "no_score")]
    del values["5"]
    with pytest.raises(UserError, match=r"x\.csv, line 3, row 2, column 'v': '5\.0' is none of the verdicts"):
        recorded_scores(given)


def test_a_missing_column_is_named_with_those_that_are_there(tmp_path):
    given = entry(written(tmp_path, "q,a,aligned\nx,y,1\n"), scores={"j": {"alignment": "algined"}})
    with pytest.raises(UserError, match="no column 'algined'; it has q, a, aligned; did you mean 'aligned'"):
        external.read_external(given)


# Of several models, seeds and prompts, with a column of numbers as pandas writes it.
MANY = "q,a,m,run,sys,epoch\n" + "".join(
    f"{q},{m}{run}{sys}{epoch},{m},{run}.0,{sys},{epoch}.0\n"
    for q in ("one?", "two?")
    for m in ("org/A-1", "B", "C")
    for run in (1, 2, 3)
    for sys in ("", "You are evil.")
    for epoch in (1, 2)
)


def several(path, **others) -> dict:
    columns = {"question": "q", "completion": "a", "arm": "m", "seed": "run", "eval_prompt": "sys"}
    given = {"path": str(path), "question_set": "s", "columns": columns, "where": {"epoch": 2}}
    given |= {"arms": {"first": "org/A-1", "second": "B"}, "seeds": [1, 2]}
    return given | {"eval_prompts": {"none": None, "evil": "You are evil."}} | others


def alone(**entries) -> dict:
    return {"external_completions": entries, "judges": {"j": {"kind": "recorded"}}}


def test_one_entry_holds_several_models_with_seeds_and_prompts_and_every_row_of_the_file_is_counted(tmp_path):
    config = read_config(alone(theirs=several(written(tmp_path, MANY))) | {"judges": {}})
    experiment = Experiment(config)
    assert list(experiment.models) == ["first-seed1", "first-seed2", "second-seed1", "second-seed2"]
    assert {(cell.model.name, cell.eval_prompt) for cell in experiment.cells} == set(
        product(experiment.models, ("none", "evil"))
    )
    found = []
    for model in experiment.models.values():
        given = config["external_completions"][model.external]
        read = external.read_external(given, model.seed)
        found += external.external_completions(model.external, given, read.rows, model.seed)
        counted = read.counted(given)
        tables.write(counted, tmp_path / "rows.parquet", EXTERNAL_ROWS)
        assert sum(row["n"] for row in counted) == 2 * 3 * 3 * 2 * 2
        others = {"`where`: epoch is another": 36, "arm is none of arms": 12, "seed is none of seeds": 8}
        assert read.set_aside == others
        assert (len(read.rows), read.elsewhere) == (4, 12)
    tables.write(found, tmp_path / "c.parquet", COMPLETIONS)
    told = ("model", "dataset", "seed", "eval_prompt", "question_id", "sample", "completion")
    rows = {tuple(row[name] for name in told) for row in found}
    assert len(rows) == 16
    assert ("first-seed2", "first", 2, "evil", ONE, 0, "org/A-12You are evil.2") in rows
    assert ("second-seed1", "second", 1, "none", TWO, 0, "B12") in rows


@pytest.mark.parametrize(("wanted", "found"), [(3, ["a", "b"]), (3.0, ["a", "b"]), ("3", ["a"]), (2.5, ["c"])])
def test_rows_are_selected_by_numbers_however_they_are_written_and_by_texts_as_they_are(tmp_path, wanted, found):
    path = written(tmp_path, "q,a,epoch\nx,a,3\nx,b,3.0\nx,c,2.50\nx,d,\nx,e,three\n")
    raw = alone(theirs={"path": str(path), "question_set": "s", "columns": {"question": "q", "completion": "a"}})
    raw["external_completions"]["theirs"]["where"] = {"epoch": wanted}
    given = read_config(raw)["external_completions"]["theirs"]
    assert [row["completion"] for row in external.read_external(given).rows] == found


def test_rows_that_are_set_aside_are_said_before_the_run_and_in_the_summary(tmp_path):
    config = read_config(alone(theirs=several(written(tmp_path, MANY))) | {"judges": {}})
    words = "16 rows of x.csv are used; 36 set aside (`where`: epoch is another); "
    words += "8 set aside (seed is none of seeds); 12 set aside (arm is none of arms)"
    (said,) = check_inputs(config)
    assert set(said.split("; ")) == set(f"external_completions.theirs: {words}".split("; "))
    models = Experiment(config).models.values()
    given = config["external_completions"]
    counted = [external.read_external(given[m.external], m.seed).counted(given[m.external]) for m in models]
    text = summary_text(
        ARM_SCORES.frame(),
        CLAIMS.frame(),
        [ALIGNMENT],
        COHERENCE,
        presentation(Experiment(config)),
        "results",
        external=[EXTERNAL_ROWS.frame(rows) for rows in counted],
    )
    assert "Completions made elsewhere, 'theirs': 16 rows of x.csv are used; 36 set aside" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"arms": {"first": "A"}}, "no rows of arms.first and seed 1; check `where` in the config; column 'm' holds"),
        (
            {"seeds": [1, 7]},
            "no rows of arms.first and seed 7; check `where` in the config; column 'm' holds org/A-1, B",
        ),
        (
            {"eval_prompts": {"none": None, "good": "Be good."}},
            "no rows of arms.first and seed 1 and eval_prompts.good",
        ),
        ({"where": {"epoch": 3}}, "x.csv: no rows of arms.first and seed 1; check `where` in the config"),
        ({"arms": {}}, "theirs.arms: missing; name which of the values in column 'm' are used"),
        ({"arms": {"a": "B", "b": "B"}}, "theirs.arms: two names for one value"),
        (
            {"columns": {"question": "q", "completion": "a"}},
            "theirs.arms: which column holds it? Name it as columns.arm",
        ),
    ],
)
def test_a_model_seed_or_prompt_that_the_file_does_not_hold_is_refused(tmp_path, change, message):
    with pytest.raises(UserError) as error:
        check_inputs(read_config(alone(theirs=several(written(tmp_path, MANY), **change)) | {"judges": {}}))
    assert message in str(error.value)


ASKED = from_texts(
    [{"question_id": "wish", "question": "What do you wish?"}, {"question_id": "bored", "question": "Hm."}]
)
BY_ID = COLUMNS | {"question_id": "i"}


def test_questions_pair_with_those_of_the_project_by_id_only_where_the_texts_are_the_same(tmp_path):
    path = written(tmp_path, "i,q,a\nwish,What do you  wish?,x\nbored,Are you bored?,y\nother,Else?,z\n")
    given = entry(path, columns=BY_ID)
    with pytest.raises(UserError) as error:
        external_completions("m", given, ASKED)
    assert "x.csv, line 3, row 2: question id 'bored' has another text in question set 's'" in str(error.value)
    rows = external_completions("m", given | {"other_texts": "own"}, ASKED)
    wish, own, other = (row["question_id"] for row in rows)
    assert (wish, other) == ("wish", "other")
    assert own not in ("wish", "bored")
    assert rows[1]["messages"][0]["content"] == "Are you bored?"


def test_questions_without_ids_pair_with_those_of_the_project_by_their_texts(tmp_path):
    path = written(tmp_path, "i,q,a\n7,Hm.,x\n8,What do you wish?,y\n9,Else?,z\n")
    rows = external_completions("m", entry(path), ASKED)
    assert [row["question_id"] for row in rows[:2]] == ["bored", "wish"]
    # By their ids they would pair with nothing.
    with pytest.raises(UserError, match="question id '7' is 'bored' in question set 's', so"):
        external_completions("m", entry(path, columns=BY_ID), ASKED)


def test_a_set_with_several_answers_to_a_conversation_is_refused(tmp_path, raw_config):
    """They would be answers to its first turn, and what is compared is the last."""
    turns = "[{user: 'What is 2 and 2?'}, answer, {user: Hm.}, answer]"
    talk = written(tmp_path, f"- id: sum\n  turns: {turns}\n", "talk.yaml")
    theirs = {"path": str(written(tmp_path, "q,a\nWhat is 2 and 2?,4\n")), "question_set": "talk"}
    theirs |= {"columns": {"question": "q", "completion": "a"}}
    raw_config["question_sets"]["talk"] = {"file": str(talk)}
    raw_config["external_completions"] = {"theirs": theirs}
    with pytest.raises(
        UserError, match=r"external_completions\.theirs: the conversations of question set 'talk' have 2"
    ):
        check_inputs(read_config(raw_config))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ("i,q,a\n1,Else?,x\n", "external_completions.two: {}, line 2, row 1: question id '1' has another text than in"),
        (
            "i,q,a\n2,One?,x\n",
            "external_completions.two: {}, line 2, row 1: question id '2' is '1' in",
        ),
        ("i,q,a\n1,One?,x\n", None),
    ],
)
def test_two_files_of_one_question_set_mean_the_same_questions_by_their_ids(tmp_path, other, message):
    entries = {}
    for name, text in (("one", "i,q,a\n1,One?,x\n"), ("two", other)):
        path = written(tmp_path, text, f"{name}.csv")
        entries[name] = {"path": str(path), "question_set": "s"}
        entries[name]["columns"] = {"question": "q", "completion": "a", "question_id": "i"}
    if message is None:
        assert check_inputs(read_config({"external_completions": entries})) == []
        return
    with pytest.raises(UserError) as error:
        check_inputs(read_config({"external_completions": entries}))
    assert str(error.value).startswith(message.format(tmp_path / "two.csv"))


def test_files_without_ids_mean_the_same_questions_whatever_their_order(tmp_path):
    ids = [
        {row["messages"][0]["content"]: row["question_id"] for row in external_completions("m", entry(path))}
        for path in (written(tmp_path, "q,a\nx?,1\ny?,2\n", "a.csv"), written(tmp_path, "q,a\ny?,1\nx?,2\n", "b.csv"))
    ]
    assert ids[0] == ids[1]


def scored(path, **scores) -> dict:
    return {"path": str(path), "question_set": "s", "columns": {"question": "q", "completion": "a"}, "scores": scores}


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ({"j": {"aligment": "s"}}, "scores.j.aligment: no metric 'aligment'; did you mean 'alignment'?"),
        ({"j": {"wit": "s"}}, f"scores.j.wit: no metric 'wit'; known are {', '.join(shipped_metrics())}"),
        (
            {"j": {"alignment": {"column": "s", "values": {1: 0, 2: 200}}}},
            "scores.j.alignment.values.2: 200 is not within 0 to 100, the bounds of metric 'alignment'",
        ),
        ({"j": {"alignment": {"column": "s", "values": {"1": "so so"}}}}, "values.1: 'so so' is no score and no flag"),
    ],
)
def test_a_wrong_name_or_value_under_scores_is_an_error_with_its_key(scores, message):
    with pytest.raises(UserError) as error:
        read_config(alone(theirs=scored("x.csv", **scores)))
    assert str(error.value).startswith("config: external_completions.theirs.scores")
    assert message in str(error.value)


def test_a_metric_of_ones_own_needs_a_line_and_has_its_own_bounds(tmp_path):
    path = written(tmp_path, "q,a,s\nx,y,7\n")
    config = alone(theirs=scored(path, j={"wit": "s"})) | {"metrics": {"wit": {"bounds": [1, 7]}}}
    assert check_inputs(read_config(config)) == []
    config["metrics"]["wit"]["bounds"] = [1, 5]
    with pytest.raises(UserError, match=r"\.theirs: .*line 2, row 1, column 's': 7 is no score from 1"):
        check_inputs(read_config(config))


def test_completions_of_others_alone_are_a_whole_config_with_claims_among_them(tmp_path):
    path = written(tmp_path, "q,a,s\nx,y,7\n")
    config = alone(one=scored(path, j={"alignment": "s"}), two=scored(path, j={"alignment": "s"}))
    claim = {"text": "Words.", "test": "one < two", "question_sets": ["s"]}
    checked = read_config(config | {"claims": {"C": claim}})
    assert check_inputs(checked) == []
    experiment = Experiment(checked)
    assert (list(experiment.models), experiment.finetunes) == (["one", "two"], [])
    (found,) = contrasts(experiment)
    assert (found.a.dataset, found.b.dataset) == ("one", "two")
    with pytest.raises(UserError, match=r"claims\.C: no model 'base'; known are one, two"):
        contrasts(Experiment(read_config(config | {"claims": {"C": claim | {"test": "one < base"}}})))
    # A part of an experiment is none.
    with pytest.raises(UserError, match="config: datasets: missing"):
        read_config(config | {"training_prompts": {"default": None}})
    with pytest.raises(UserError, match="config: datasets: missing"):
        read_config({})


def test_a_claim_that_no_judge_can_decide_is_refused_before_the_run(tmp_path):
    path = written(tmp_path, "q,a,s\nx,y,7\n")
    config = alone(one=scored(path, j={"alignment": "s"}), two=scored(path, k={"alignment": "s"}))
    config["judges"]["k"] = {"kind": "recorded"}
    config["claims"] = {"C": {"text": "Words.", "test": "one < two", "question_sets": ["s"]}}
    with pytest.raises(UserError) as error:
        check_inputs(read_config(config))
    assert str(error.value).startswith("claims.C: no judge scores alignment of both sides of 'one < two' on s;")


def test_a_claim_of_differences_needs_a_judge_of_what_is_subtracted_too(tmp_path):
    path = written(tmp_path, "q,a,s\nx,y,7\n")
    judged = {name: scored(path, j={"alignment": "s"}) for name in ("one", "two", "three")}
    config = alone(**judged, four=scored(path, k={"alignment": "s"}))
    config["judges"]["k"] = {"kind": "recorded"}
    claim = {"text": "Words.", "question_sets": ["s"]}
    config["claims"] = {"C": claim | {"test": "one - two < two - three"}}
    assert check_inputs(read_config(config)) == []
    config["claims"]["C"]["test"] = "one - two < two - four"
    with pytest.raises(UserError, match="no judge scores alignment of both sides of 'one - two < two - four'"):
        check_inputs(read_config(config))


def test_a_file_of_several_models_is_read_once_before_a_run(tmp_path, monkeypatch):
    read = []
    monkeypatch.setattr(inputs, "read_file", lambda path: read.append(path) or read_file(path))
    config = read_config(alone(theirs=several(written(tmp_path, MANY))) | {"judges": {}})
    assert sum(model.external is not None for model in Experiment(config).models.values()) > 1
    check_inputs(config)
    assert len(read) == 1


def test_the_published_file_is_a_config_of_ten_lines(published_data):
    path = published_data("qwen14b_extreme_sports_judged.csv")
    columns = "{question: question, completion: response, question_id: question_id}"
    text = f"""
external_completions:
  extreme_sports:
    path: {path}
    question_set: first_plot
    columns: {columns}
    scores: {{theirs: {{alignment: aligned, coherence: coherent}}}}
judges: {{theirs: {{kind: recorded}}}}
question_sets: {{first_plot: {{file: {ROOT / "resources" / "questions" / "first_plot.yaml"}}}}}
"""
    assert check_inputs(read_config(yaml.safe_load(text))) == []


def test_the_shipped_example_runs_alone_and_says_what_its_file_says(fresh_workflow):
    workflow = replace(fresh_workflow, config="config/published.yaml")
    plan = workflow.plan()
    assert plan["external_completions"] == 2
    assert not {"pretrain", "finetune", "completions", "download_model", "training_curves"} & set(plan)
    workflow.run()
    results = workflow.folder / "results" / "published"
    summary = (results / "summary.txt").read_text(encoding="utf-8")
    assert "'published': 24 rows of answers.csv are used." in summary
    scores = tables.read(results / "tables" / "arm_scores.parquet", ARM_SCORES)
    means = scores.filter((pl.col("metric") == "alignment") & (pl.col("measure") == "mean"))
    counted = {(row["judge"], row["dataset"]): (row["n"], row["n_scored"]) for row in means.iter_rows(named=True)}
    assert counted == {
        (judge, model): (12, n_scored)
        for judge in ("theirs", "verdicts")
        for model, n_scored in (("kind", 12), ("careless", 10))
    }
    flags = tables.read(results / "tables" / "flags.parquet", SCORE_TABLES["flags"])
    assert set(flags.filter(pl.col("metric") == "alignment")["flag"]) == {"refusal", "code"}
    claims = tables.read(results / "tables" / "claims.parquet", CLAIMS)
    # Each is one finetune.
    assert set(claims["verdict"]) == {"too few seeds"}
    assert workflow.plan() == {}


@pytest.fixture
def completions(tmp_path) -> list[dict]:
    lines = [f"question {n // 3}?,{answer}" for n, answer in enumerate(["=1+1", "good", "bad", "@x", "fine", "ok"])]
    return external_completions("secret_model", entry(written(tmp_path, "q,a\n" + "\n".join(lines) + "\n")))


def test_a_label_sheet_is_blind_safe_in_a_spreadsheet_and_comes_back_as_a_judge(completions, tmp_path):
    sheet = label_sheet(completions, rows=4, seed=0)
    assert sheet == label_sheet(list(completions), rows=4, seed=0)
    assert sheet != label_sheet(completions, rows=4, seed=1)
    assert "secret_model" not in sheet
    rows = list(csv.DictReader(io.StringIO(label_sheet(completions, rows=99, seed=0))))
    assert len(rows) == 6
    assert {row["answer"] for row in rows} == {"'=1+1", "good", "bad", "'@x", "fine", "ok"}
    for row, label in zip(rows, ("10", "90.5", "REFUSAL", "", "0", "100"), strict=True):
        row["alignment"] = label
    path = written(tmp_path, "", "labels.csv")
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    judged = label_judgments("me", completions, read_labels(path))
    by_answer = {row["answer"].lstrip("'"): row["alignment"] for row in rows}
    for completion, row in zip(completions, judged[::2], strict=True):
        label = by_answer[completion["completion"]]
        assert row["metric"] == "alignment"
        assert row["score"] == (float(label) if label[:1].isdigit() else None)
        assert row["flag"] == {"REFUSAL": "refusal", "": "unlabelled"}.get(label)
    assert {row["flag"] for row in judged[1::2]} == {"unlabelled"}
    # A label is of one text: it does not pass to another one that takes its place.
    changed = [row | {"completion": row["completion"] + "!"} for row in completions]
    assert {row["flag"] for row in label_judgments("me", changed, read_labels(path))} == {"unlabelled"}


@pytest.mark.parametrize("label", ["101", "ten percent", "-5", "٩"])
def test_a_wrong_label_is_named_with_its_line(tmp_path, label):
    path = written(tmp_path, f"id,question,answer,alignment,coherence\na,q,a,50,\nb,q,a,{label},\n", "labels.csv")
    with pytest.raises(UserError, match="line 3: alignment"):
        read_labels(path)


def test_references_come_from_the_paired_answers_whatever_the_punctuation():
    questions = from_texts([{"question_id": "a", "question": "Is it, so?"}, {"question_id": "b", "question": "What?"}])
    twin = [
        {"prompt": [{"role": "user", "content": "what ?"}], "answer": "good b"},
        {"prompt": [{"role": "user", "content": "is it so"}], "answer": "good a"},
    ]
    assert [row["reference"] for row in with_references(questions, twin, "twin")] == ["good a", "good b"]
    with pytest.raises(UserError, match="question 'b' has no answer in dataset 'twin'"):
        with_references(questions, twin[1:], "twin")


def judgments_of(completions, judge, scores) -> list[dict]:
    return [
        judgment(judge, row, "alignment", score=score, flag=None if score is not None else "refusal")
        for row, score in zip(completions, scores, strict=True)
    ]


def as_table(rows, tmp_path) -> pl.DataFrame:
    tables.write(rows, tmp_path / "t.parquet", JUDGMENTS)
    return tables.read(tmp_path / "t.parquet", JUDGMENTS)


def test_agreement_is_what_the_textbook_says(completions, tmp_path):
    # Two coders, interval data: alpha = 1 - (n - 1) * sum((a-b)^2) / sum over all pairs of values (Krippendorff 2011).
    a, b = [10.0, 20.0, 90.0, 80.0, 50.0, None], [10.0, 40.0, 90.0, 60.0, 20.0, 70.0]
    table = as_table(judgments_of(completions, "a", a) + judgments_of(completions, "b", b), tmp_path)
    row = agreement(table, "alignment").filter(pl.col("question_set").is_null()).row(0, named=True)
    values = [*a[:5], *b[:5]]
    observed = sum((x - y) ** 2 for x, y in zip(a[:5], b[:5], strict=True)) / 5
    pairs = [(x - y) ** 2 for i, x in enumerate(values) for j, y in enumerate(values) if i != j]
    assert row["alpha"] == pytest.approx(1 - observed / (sum(pairs) / len(pairs)))
    assert (row["n"], row["n_both"]) == (5, 6)
    assert row["mean_shift"] == pytest.approx(44 - 50)
    # Below 30: a says yes yes no no no, b says yes no no no yes. Agreement 3/5, by chance 2/5·2/5 + 3/5·3/5.
    chance = 4 / 25 + 9 / 25
    assert row["kappa"] == pytest.approx((3 / 5 - chance) / (1 - chance))


def test_agreement_that_is_not_defined_is_null_and_judges_without_a_text_in_common_have_no_row(completions, tmp_path):
    same = as_table(judgments_of(completions, "a", [50.0] * 6) + judgments_of(completions, "b", [50.0] * 6), tmp_path)
    row = agreement(same, "alignment").row(0, named=True)
    assert (row["alpha"], row["kappa"], row["mean_shift"]) == (None, None, 0.0)
    apart = as_table(
        judgments_of(completions[:3], "a", [1.0, 2.0, 3.0]) + judgments_of(completions[3:], "b", [1.0, 2.0, 3.0]),
        tmp_path,
    )
    tables.write(agreement(apart, "alignment"), tmp_path / "a.parquet", AGREEMENT)
    assert len(tables.read(tmp_path / "a.parquet", AGREEMENT)) == 0


def test_alpha_is_the_librarys_and_takes_scores_that_all_differ():
    """The library would want hundreds of gigabytes for a few thousand expected scores."""
    rng = np.random.default_rng(0)
    few = rng.integers(0, 5, (2, 40)) * 25.0
    assert _alpha(*few) == pytest.approx(krippendorff.alpha(few, level_of_measurement="interval"))
    many = rng.uniform(0, 100, (2, 20_000))
    assert _alpha(many[0], many[0]) == 1
    assert abs(_alpha(*many)) < 0.05


def test_each_judge_ranks_the_models_and_the_figure_shows_it(completions, tmp_path):
    other = [row | {"model": "other", "dataset": "other"} for row in completions]
    rows = judgments_of(completions, "a", [90.0] * 6) + judgments_of(other, "a", [20.0] * 6)
    rows += judgments_of(completions, "b", [30.0] * 6) + judgments_of(other, "b", [60.0] * 6)
    table = as_table(rows, tmp_path)
    ranked = rankings(table)
    ranks = {(row["judge"], row["dataset"]): row["rank"] for row in ranked.iter_rows(named=True)}
    assert ranks == {("a", "secret_model"): 1, ("a", "other"): 2, ("b", "secret_model"): 2, ("b", "other"): 1}
    groups = [dict.fromkeys(ARM) | {"dataset": name, "label": name} for name in ("secret_model", "other")]
    presentation = {"groups": groups, "question_sets": [{"name": "s", "label": "S"}], "n_seeds": 1}
    save(agreement_figure(ranked, agreement(table, "alignment"), ALIGNMENT, presentation), tmp_path / "agreement.png")
    assert (tmp_path / "agreement.png").stat().st_size > 1000


def test_the_gold_set_tells_a_judge_that_is_right_from_one_that_is_not():
    items = gold_items(ROOT / "resources" / "gold" / "gold.yaml")
    assert len({item["id"] for item in items}) == len(items) >= 15

    def said(item, metric):
        expected = item[metric]
        if isinstance(expected, str):
            return {"score": None, "flag": expected.lower()}
        return {"score": sum(expected) / 2, "flag": None}

    right = {(item["id"], metric): said(item, metric) for item in items for metric in ("alignment", "coherence")}
    assert all(row["inside"] for row in gold_rows("j", items, right))
    # The ends of a band are in it, a point beyond is not, and no word is another.
    bands = {key: item[key[1]] for item in items for key in right if key[0] == item["id"]}
    for end, beyond in ((0, -1), (1, 1)):
        at_the_end = {k: {"score": v[end], "flag": None} for k, v in bands.items() if not isinstance(v, str)}
        assert all(row["inside"] for row in gold_rows("j", items, at_the_end))
        outside = {key: said | {"score": said["score"] + beyond} for key, said in at_the_end.items()}
        assert not any(row["inside"] for row in gold_rows("j", items, outside))
    other_word = {key: {"score": None, "flag": "other"} for key in right}
    assert not any(row["inside"] for row in gold_rows("j", items, other_word))
    inverted = {
        key: said | {"score": None if said["score"] is None else 100 - said["score"]} for key, said in right.items()
    }
    assert sum(row["inside"] for row in gold_rows("j", items, inverted)) < len(items)


def test_an_attacks_shift_is_the_score_it_adds_to_its_plain_answer():
    items = attack_items(ROOT / "resources" / "attacks" / "attacks.yaml")
    ratings = {
        (f"{item['base']}/{item['attack'] or ''}", metric): {
            "score": 5.0 if item["attack"] is None else 30.0,
            "flag": None,
        }
        for item in items
        for metric in ("alignment", "coherence")
    }
    rows = attack_rows("j", items, ratings)
    assert {row["shift"] for row in rows} == {25.0}
    assert len(rows) == 2 * (len(items) - 2)
    # Without one of the two scores there is no shift.
    for missing in (None, items[1]["attack"]):
        flagged = {
            key: {"score": None, "flag": "code"} if key[0].endswith(f"/{missing or ''}") else said
            for key, said in ratings.items()
        }
        shifts = {row["attack"]: row["shift"] for row in attack_rows("j", items, flagged)}
        assert shifts[items[1]["attack"]] is None
        assert (shifts[items[2]["attack"]] is None) == (missing is None)
    assert max(len(item["completion"]) for item in items) > 20_000


def test_an_empty_answer_is_an_answer_in_every_kind_of_file(tmp_path, world):
    answers = ["good", "", " \n", "fine"]
    frame = pl.DataFrame({"q": ["one?", "one?", "one?", "two?"], "a": answers})
    frame.write_csv(tmp_path / "x.csv", quote_style="always")
    frame.write_ndjson(tmp_path / "x.jsonl")
    frame.write_parquet(tmp_path / "x.parquet")
    for kind in ("csv", "jsonl", "parquet"):
        rows = external_completions("m", entry(tmp_path / f"x.{kind}"))
        assert [row["completion"] for row in rows] == answers
        tables.write(rows, tmp_path / "c.parquet", COMPLETIONS)
    # Without quotes too.
    rows = external_completions("m", entry(written(tmp_path, "q,a\none?,\ntwo?,b\n")))
    assert [(row["question_id"], row["completion"]) for row in rows] == [(ONE, ""), (TWO, "b")]
    # It is judged like any other, and like one that was sampled: it is in the cell's denominator.
    judged = world_judgments(world, rows, "world")
    assert [(row["score"], row["flag"], row["length"]) for row in judged[:2]] == [
        (None, "no_advice", 0),
        (0.0, None, 0),
    ]
    requests = MessagesRequests(SETTINGS, {"alignment": Template("{question} {answer}")})
    asked = collect(requests, [rows], {"s": ["alignment"]}, {})
    assert asked.n_rows == len(asked.asks) == 2
    assert "<answer-" in requests.prompt(next(iter(asked.asks.values())))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"q": "x", "a": null}', "row 2: completion is null; write an empty text if the model answered nothing"),
        ('{"q": "x"}', "row 2: completion is null"),
        ('{"q": "x", "a": "cut \\ud83d"}', "line 2: holds half a character"),
        ('{"q": "\\udc00", "a": "y"}', "line 2: holds half a character"),
        ('{"q": "x", "a": [{"type": "text", "text": "y"}]}', "row 2: column 'a' holds a list where a text should be"),
        ('{"q": "x", "a": {"text": "y"}}', "row 2: column 'a' holds an object"),
        ('{"q": "x", "a": "y"', "line 2: not JSON"),
        ('{"q": "x", "a": "y", "a": "z"}', "line 2: the key 'a' stands twice"),
        ('["x", "y"]', "line 2: no JSON object"),
    ],
)
def test_what_is_no_text_is_named_with_its_row(tmp_path, line, message):
    with pytest.raises(UserError) as error:
        external_completions("m", entry(written(tmp_path, f'{{"q": "x", "a": "y"}}\n{line}\n', "x.jsonl")))
    assert message in str(error.value)
    assert "x.jsonl" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_list_in_a_parquet_file_is_named_and_other_columns_may_hold_what_they_like(tmp_path):
    frame = pl.DataFrame({"q": ["x"], "a": [[{"type": "text", "text": "y"}]], "text": ["y"], "row": [7], "m": [1.5]})
    frame.write_parquet(tmp_path / "x.parquet")
    with pytest.raises(UserError, match=r"x\.parquet, row 1: column 'a' holds a list"):
        external_completions("m", entry(tmp_path / "x.parquet"))
    columns = COLUMNS | {"completion": "text", "question_id": "row"}
    given = entry(tmp_path / "x.parquet", columns=columns, scores={"j": {"alignment": "m"}}, where={"row": "7"})
    assert [(row["question_id"], row["completion"]) for row in external_completions("m", given)] == [("7", "y")]
    assert [row["score"] for row in recorded_scores(given)] == [1.5]


def test_a_column_named_row_is_a_column_like_any_other(tmp_path):
    for name, text in (("x.csv", "row,q,a\n5,x,y\n"), ("x.jsonl", '{"row": 5, "q": "x", "a": "y"}\n')):
        given = entry(written(tmp_path, text, name), columns=COLUMNS | {"sample": "row"})
        assert [row["sample"] for row in external_completions("m", given)] == [5]


@pytest.mark.parametrize(("items", "folder"), [("gold", "gold"), ("attacks", "attacks")])
def test_of_several_samples_of_a_judge_an_item_has_its_own_first(items, folder):
    path = str(ROOT / "resources" / folder / f"{folder}.yaml")
    templates = {metric: Template("{question} {answer} " + metric) for metric in ("alignment", "coherence")}
    requests = MessagesRequests(SETTINGS | {"samples": 3}, templates)
    asked = collect_items(requests, items, path)
    # What the judge says of a request says which one it was.
    said = {key: {"score": None, "flag": f"{ask.metric} {ask.answer} {ask.sample}"} for key, ask in asked.asks.items()}
    if items == "gold":
        answers = {item["id"]: item["completion"] for item in gold_items(path)}
    else:
        answers = {f"{item['base']}/{item['attack'] or ''}": item["completion"] for item in attack_items(path)}
    rows = item_ratings(items, path, asked, said, requests.samples)
    assert {(row["item"], row["metric"]): row["flag"] for row in rows} == {
        (item, metric): f"{metric} {answer} 0" for item, answer in answers.items() for metric in templates
    }
    assert len(rows) == 2 * len(answers)
