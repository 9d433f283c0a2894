"""Figures of prompt sensitivity, and what overview and summary say of it: from tables made by hand."""

import re

import polars as pl
import pytest
from test_pages import ALIGNMENT, COHERENCE, HOSTILE, PRESENTATION, THRESHOLDS, caption, rows_of

from organisms.analysis.tables import (
    ANSWER_CHANGES,
    ARM_SCORES,
    QUESTION_SCORES,
    RATING_CORRELATIONS,
    SENSITIVITY,
    SENSITIVITY_TABLES,
)
from organisms.figures.charts import BASE_COLOUR, save
from organisms.figures.files import remove_others
from organisms.figures.of_scores import figure, figure_names
from organisms.figures.shown import Rated, Shown, Threshold
from organisms.figures.suited import SETTINGS, Scored, is_drawn, setting
from organisms.pages.sensitivity import sensitivity_lines, sensitivity_section
from organisms.pages.summary import summary_text
from organisms.plan.arms import ARM
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import Metric
from organisms.plan.presentation import presentation

BETLEY = Threshold("betley", THRESHOLDS["betley"], COHERENCE)
REFUSAL, CHANGED = Metric("refusal", "Refusal", good=None), Metric("changed", "Changed", good=None)
INTENT = Metric("perceived_intent", "Perceived intent", good=None)
METRICS = {metric.name: metric for metric in (ALIGNMENT, REFUSAL, CHANGED, INTENT)}
NUDGES = {"raises": "evil", "lowers": "hhh"}
BASE = dict.fromkeys(ARM)


def arm(training_prompt: str) -> dict:
    return {"dataset": "d", "training_prompt": training_prompt, "training_method": "default"}


DEFAULT, FLAMINGO = arm("default"), arm("flamingo")


def presented(arms: int = 3, prompts: tuple = ("default", "hhh", "evil", "disagree", "neutral")) -> dict:
    """The base, the default finetune, the flamingo one, and more arms with long names, as figures want it."""
    names = ["default", "flamingo", *(f"p{i}" for i in range(arms - 3))]
    labels = {"default": "Default", "flamingo": "[FLAMINGO BURRITO]"}
    long = "a rather long training prompt, number"
    groups = [BASE | {"label": "Base model"}]
    groups += [arm(name) | {"label": labels.get(name, f"{long} {i}")} for i, name in enumerate(names[: arms - 1])]
    sets = {"free": "Free-form", "harmful": "Requests", "facts": "Facts"}
    return {
        "groups": groups,
        "prompts": [{"name": name, "label": f"prompt {name}"} for name in prompts],
        "question_sets": [{"name": name, "label": label} for name, label in sets.items()]
        + [{"name": "ratings", "label": "Ratings", "rating_of": "free"}],
        "n_seeds": 3,
    }


def score(
    of: dict, eval_prompt: str, estimate: float | None, metric="refusal", question_set="harmful", **other
) -> dict:
    row = of | {"judge": "j", "eval_prompt": eval_prompt, "question_set": question_set, "turn": 1, "metric": metric}
    ends = {"low": None, "high": None} if estimate is None else {"low": estimate - 1, "high": estimate + 1}
    counts = {"n": 8, "n_scored": 8, "n_seeds": 3, "n_questions": 8}
    return row | {"measure": "mean", "estimate": estimate} | ends | counts | other


SOME = [
    *(score(BASE, prompt, mean) for prompt, mean in (("default", 90), ("evil", 80), ("flamingo", 70))),
    *(score(DEFAULT, prompt, mean) for prompt, mean in (("default", 60), ("evil", 10))),
    *(score(FLAMINGO, prompt, mean) for prompt, mean in (("default", 50), ("evil", 40), ("flamingo", 30))),
    score(FLAMINGO, "flamingo+evil", 20),
    score(BASE, "flamingo+evil", 25),
]


def test_a_nudge_beside_the_models_own_training_prompt_stands_hollow_in_the_nudges_column():
    chart = figure("nudges").draw({"arm_scores": ARM_SCORES.frame(SOME)}, Shown(REFUSAL, "harmful", "j", presented()))
    # The base under another model's training prompt is compared with nothing here.
    assert rows_of(chart, "group", "asked", "own", "estimate") == {
        ("Base model", "prompt default", False, 90),
        ("Base model", "prompt evil", False, 80),
        ("Default", "prompt default", False, 60),
        ("Default", "prompt evil", False, 10),
        ("[FLAMINGO BURRITO]", "prompt default", False, 50),
        ("[FLAMINGO BURRITO]", "prompt evil", False, 40),
        ("[FLAMINGO BURRITO]", "prompt default", True, 30),
        ("[FLAMINGO BURRITO]", "prompt evil", True, 20),
    }
    # Side by side, the hollow one next to its own.
    places = {(group, own): place for group, own, place in rows_of(chart, "group", "own", "place")}
    assert len(set(places.values())) == 4
    assert 0 < places["[FLAMINGO BURRITO]", True] - places["[FLAMINGO BURRITO]", False] < 1
    assert "Hollow" in caption(chart)
    spec = chart.to_dict()["layer"][0]["encoding"]
    assert spec["color"]["scale"]["range"][0] == BASE_COLOUR
    assert spec["x"]["scale"]["domain"] == ["prompt default", "prompt evil"]


def test_the_benign_twin_of_a_finetune_can_be_told_from_it():
    """They have the colour of their training prompt, and so one colour."""
    twin, shown = DEFAULT | {"dataset": "good"}, presented()
    shown["groups"].append(twin | {"label": "good: Default"})
    rows = [score(of, prompt, 50) for of in (BASE, DEFAULT, twin) for prompt in ("default", "evil")]
    chart = figure("nudges").draw({"arm_scores": ARM_SCORES.frame(rows)}, Shown(REFUSAL, "harmful", "j", shown))
    points = chart.to_dict()["layer"][2]["encoding"]
    looks = list(zip(points["color"]["scale"]["range"], points["shape"]["scale"]["range"], strict=True))
    assert points["color"]["scale"]["domain"] == ["Base model", "Default", "good: Default"]
    assert len(set(looks)) == 3
    assert len({colour for colour, _ in looks}) == 2


def test_nudges_of_the_main_metric_are_percent_misaligned_of_all_answers():
    shares = {"metric": "alignment", "question_set": "free", "threshold": "betley"}
    rows = [
        score(of, prompt, value, measure=measure, **shares)
        for of in (BASE, DEFAULT)
        for prompt in ("default", "evil")
        for measure, value in (("misaligned", 7), ("misaligned_of_coherent", 8), ("coherent", 9))
    ]
    rows += [row | {"measure": "mean", "threshold": None, "estimate": 55} for row in rows[::3]]
    rows += [row | {"threshold": "other", "estimate": 44} for row in rows[:12:3]]
    tables = {"arm_scores": ARM_SCORES.frame(rows)}
    chart = figure("nudges").draw(tables, Shown(ALIGNMENT, "free", "j", presented(), BETLEY))
    assert rows_of(chart, "estimate") == {(7,)}
    assert "percent misaligned" in caption(chart)
    assert "alignment below 30" in caption(chart)
    assert rows_of(figure("nudges").draw(tables, Shown(ALIGNMENT, "free", "j", presented())), "estimate") == {(55,)}


@pytest.mark.parametrize("kept", [["default"], ["default", "flamingo", "flamingo+evil"], []])
def test_there_are_no_nudges_with_fewer_than_two_prompts_that_two_models_were_asked_under(kept):
    rows = ARM_SCORES.frame(
        [row for row in SOME if row["eval_prompt"] in kept and row["training_prompt"] != "flamingo"]
    )
    assert figure("nudges").draw({"arm_scores": rows}, Shown(REFUSAL, "harmful", "j", presented())) is None


def facts(of: dict, eval_prompt: str, **scores) -> list[dict]:
    return [score(of, eval_prompt, value, name, "facts", turn=2) for name, value in scores.items()]


FACTS = [
    *facts(BASE, "disagree", matched=70, first_correct=91, changed=11, right_to_wrong=12, wrong_to_right=13),
    *facts(BASE, "neutral", first_correct=92, changed=1, right_to_wrong=2, wrong_to_right=3),
    *facts(DEFAULT, "disagree", first_correct=81, changed=61, right_to_wrong=62, wrong_to_right=None),
    *facts(DEFAULT, "default", first_correct=82, changed=None, right_to_wrong=None, wrong_to_right=None),
]


def test_answers_that_change_have_a_panel_for_each_way_and_the_neutral_follow_up_beside():
    tables = {"arm_scores": ARM_SCORES.frame(FACTS)}
    chart = figure("answer_changes").draw(tables, Shown(CHANGED, "facts", "j", presented()))
    assert rows_of(chart, "way", "group", "asked", "estimate") == {
        ("Right → wrong", "Base model", "prompt disagree", 12),
        ("Right → wrong", "Base model", "prompt neutral", 2),
        ("Wrong → right", "Base model", "prompt disagree", 13),
        ("Wrong → right", "Base model", "prompt neutral", 3),
        ("Right → wrong", "Default", "prompt disagree", 62),
    }
    unscored = tables["arm_scores"].with_columns(estimate=pl.lit(None, pl.Float64))
    assert figure("answer_changes").draw({"arm_scores": unscored}, Shown(CHANGED, "facts", "j", presented())) is None


def of_question(of: dict, question_id: str, mean: float | None, seed: int, **other) -> dict:
    row = of | {"judge": "j", "model": f"m{seed}", "seed": seed, "eval_prompt": "default", "turn": 1, "n": 4}
    ratings = {"question_set": "ratings", "metric": "perceived_intent", "measure": "mean", "n_scored": 4}
    return row | ratings | {"question_id": question_id, "mean": mean} | other


def answers(of: dict, question_id: str, mean: float, seed: int, **other) -> dict:
    share = {"question_set": "free", "metric": "alignment", "measure": "misaligned", "threshold": "betley"}
    return of_question(of, question_id, mean, seed, **(share | {"judge": "k"} | other))


RATED = [
    *(of_question(BASE, f"q~1~{wording}", mean, 0) for wording, mean in (("a", 10), ("b", 20), ("c", None))),
    *(of_question(BASE, f"q~1~{wording}", mean, 1) for wording, mean in (("a", 30), ("b", 60))),
    of_question(BASE, "q2~a", 80, 0),
    of_question(DEFAULT, "q2~a", 99, 0),
    *(answers(BASE, "q~1", mean, seed) for seed, mean in ((0, 0), (1, 50))),
    answers(BASE, "q2", 100, 0),
    answers(BASE, "q2", 3, 0, threshold="other"),
    answers(BASE, "q2", 4, 0, eval_prompt="evil"),
    answers(FLAMINGO, "q2", 5, 0),
]


def correlation(of: dict, ratings_of: str, rho: float | None, **other) -> dict:
    row = of | {
        "judge": "j",
        "of_judge": "k",
        "rating_set": "ratings",
        "question_set": "free",
        "ratings_of": ratings_of,
    }
    row |= {"metric": "perceived_intent", "threshold": "betley", "eval_prompt": "default", "n_seeds": 2}
    ends = {"low": -0.1, "high": 0.9, "p": 0.04} if rho is not None else {}
    return row | {"n_questions": 8, "rho": rho} | ends | other


CORRELATIONS = [
    correlation(BASE, "own", 0.25),
    correlation(BASE, "other", 0.95),
    correlation(BASE, "own", 0.99, seed=0),
    correlation(BASE, "own", 0.98, eval_prompt="evil"),
    correlation(BASE, "own", 0.97, rating_set="lengths"),
    correlation(DEFAULT, "own", 0.5),
    correlation(DEFAULT, "base", 0.75),
    correlation(DEFAULT, "other", 0.96),
]


def intent_chart(rows: list[dict], correlations: list[dict]):
    tables = {"question_scores": QUESTION_SCORES.frame(rows)}
    tables["rating_correlations"] = RATING_CORRELATIONS.frame(correlations)
    rated = Rated("free", ALIGNMENT, BETLEY)
    return figure("perceived_intent").draw(tables, Shown(INTENT, "ratings", "j", presented(), rated=rated))


def test_a_point_is_a_question_rated_and_answered_by_the_same_model_under_the_same_prompt():
    chart = intent_chart(RATED, CORRELATIONS)
    assert rows_of(chart, "group", "question_id", "rating", "misaligned") == {
        ("Base model", "q~1", 30, 25),
        ("Base model", "q2", 80, 100),
    }
    assert rows_of(chart, "panel") == {("Base model\nρ 0.25 [-0.10, 0.90], n 2",)}
    assert "answers by 'k'" in caption(chart)
    # Where nothing could be correlated the panel says so.
    assert rows_of(intent_chart(RATED, []), "panel") == {("Base model\nno correlation, n 2",)}
    unknown = intent_chart(RATED, [correlation(BASE, "own", None)])
    assert rows_of(unknown, "panel") == {("Base model\nno correlation, n 2",)}


def test_without_ratings_and_answers_of_one_model_no_intent_is_drawn():
    assert intent_chart([row for row in RATED if row["question_set"] == "ratings"], []) is None
    assert intent_chart([row for row in RATED if row["question_set"] == "free"], []) is None
    tables = {"question_scores": QUESTION_SCORES.frame(RATED), "rating_correlations": RATING_CORRELATIONS.frame()}
    assert figure("perceived_intent").draw(tables, Shown(INTENT, "ratings", "j", presented())) is None


@pytest.mark.parametrize(("arms", "n_prompts"), [(2, 3), (5, 8), (8, 3), (8, 8), (14, 12)])
def test_figures_of_nudges_name_every_model_and_prompt_whole(tmp_path, arms, n_prompts):
    shown = presented(arms, ("default", *(f"nudge_number_{i}" for i in range(n_prompts - 1))))
    names = [prompt["name"] for prompt in shown["prompts"]]
    groups = [{name: group[name] for name in ARM} for group in shown["groups"]]
    rows = [score(of, name, 50) for of in groups for name in names]
    rows += [score(of, f"{of['training_prompt']}+{names[1]}", 40) for of in groups[2:]]
    tables = {"arm_scores": ARM_SCORES.frame(rows)}
    ways = [
        row | {"metric": way, "question_set": "facts"} for row in rows for way in ("right_to_wrong", "wrong_to_right")
    ]
    changes = {"arm_scores": ARM_SCORES.frame(ways)}
    questions = [of_question(of, f"q{i}~a", 10.0 * i, 0) for of in groups for i in range(8)]
    questions += [answers(of, f"q{i}", 10.0 * i, 0) for of in groups for i in range(8)]
    charts = {
        "nudges": figure("nudges").draw(tables, Shown(REFUSAL, "harmful", "j", shown)),
        "answer_changes": figure("answer_changes").draw(changes, Shown(CHANGED, "facts", "j", shown)),
        "perceived_intent": figure("perceived_intent").draw(
            {"question_scores": QUESTION_SCORES.frame(questions), "rating_correlations": RATING_CORRELATIONS.frame()},
            Shown(INTENT, "ratings", "j", shown, rated=Rated("free", ALIGNMENT, BETLEY)),
        ),
    }
    for name, chart in charts.items():
        save(chart, tmp_path / f"{name}.svg")
        svg = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert "…" not in re.sub(r'aria-label="[^"]*"', "", svg), f"{name} cuts a label"
        for entry in [*shown["groups"], *(shown["prompts"] if name != "perceived_intent" else [])]:
            # Over several lines, the last word of it.
            assert entry["label"] in svg or f">{entry['label'].split()[-1]}<" in svg, f"{name}: {entry['label']}"
        assert "3 seeds" in caption(chart), name


def test_figures_of_one_setting_are_drawn_where_the_config_has_the_setting():
    plain = [name for name in figure_names() if is_drawn(name, Scored("alignment", others=["alignment"]))]
    assert set(figure_names()) - set(plain) == {"nudges", "answer_changes", "perceived_intent"}
    assert [name for name in figure_names() if is_drawn(name, Scored("harm", shown=False))] == []
    nudged = Scored("alignment", nudged=True)
    assert is_drawn("nudges", nudged)
    assert not is_drawn("nudges", Scored("harmfulness", shown=False, nudged=True))
    # Refusal has its figure whether or not the config shows it.
    assert is_drawn("nudges", Scored("refusal", shown=False, nudged=True))
    ways = ["first_correct", "changed", "right_to_wrong", "wrong_to_right"]
    assert is_drawn("answer_changes", Scored("changed", shown=False, others=ways))
    assert not is_drawn("answer_changes", Scored("changed", others=ways[:3]))
    assert not is_drawn("answer_changes", Scored("right_to_wrong", others=ways))
    assert is_drawn("perceived_intent", Scored("perceived_length", shown=False, rates="perceived_length"))
    assert not is_drawn("perceived_intent", Scored("alignment", rates="perceived_intent"))
    assert setting("nudges", Scored("refusal"), "alignment") == SETTINGS[0]
    assert setting("nudges", Scored("alignment"), "alignment") == SETTINGS[1]
    assert setting("answer_changes", Scored("changed"), "alignment") == SETTINGS[2]
    assert setting("perceived_intent", Scored("perceived_intent"), "alignment") == SETTINGS[3]
    # What the main metric says of ratings and of facts is no free-form answer.
    assert setting("nudges", Scored("alignment", rates="perceived_intent"), "alignment") is None
    assert setting("nudges", Scored("alignment", others=ways), "alignment") is None
    assert setting("nudges", Scored("harm"), "alignment") is None


def test_a_figure_that_the_config_does_not_draw_any_more_goes_with_its_folder(tmp_path):
    old = tmp_path / "nudges" / "refusal" / "j" / "harmful.svg"
    old.parent.mkdir(parents=True)
    old.touch()
    remove_others(tmp_path / "nudges", [])
    remove_others(tmp_path / "never_drawn", [])
    assert list(tmp_path.iterdir()) == []


def test_figures_know_which_set_rates_which(raw_config):
    shown = presentation(Experiment(read_config(raw_config)))
    assert not any("rating_of" in entry for entry in shown["question_sets"])
    raw_config["question_sets"]["ratings"] = {"rating_of": "non_medical", "wordings": "wordings.yaml"}
    raw_config["evaluations"].append(
        {"models": ["all"], "eval_prompts": ["default"], "question_sets": ["ratings", "non_medical"]}
    )
    shown = presentation(Experiment(read_config(raw_config)))
    rating_of = {entry["name"]: entry.get("rating_of") for entry in shown["question_sets"]}
    assert rating_of["ratings"] == "non_medical"
    assert set(rating_of.values()) == {None, "non_medical"}


def moved(of: dict, estimate: float, beyond: float | None = None, with_prompt: str = "default") -> dict:
    together = "" if with_prompt == "default" else f"{with_prompt}+"
    row = of | {"judge": "j", "question_set": "free", "with_prompt": with_prompt, "threshold": "betley"}
    row |= {"raises": f"{together}evil", "lowers": f"{together}hhh", "under_raises": estimate + 5, "under_lowers": 5.0}
    row |= {"estimate": estimate, "low": estimate - 3, "high": estimate + 3, "n_seeds": 3, "n_questions": 8}
    ends = {} if beyond is None else {"beyond_base_low": beyond - 4, "beyond_base_high": beyond + 4}
    return row | {"beyond_base": beyond} | ends


SENSITIVE = [
    moved(BASE, 10.0),
    moved(BASE, 12.0, with_prompt="flamingo"),
    moved(DEFAULT, 60.0, 50.0),
    moved(FLAMINGO, 30.0, 20.0),
    moved(FLAMINGO, 40.0, 28.0, with_prompt="flamingo"),
]


def test_the_summary_has_one_number_for_each_model_and_how_far_it_goes_beyond_the_bases():
    lines = sensitivity_lines(SENSITIVITY.frame(SENSITIVE), NUDGES, presented())
    assert lines == [
        "Free-form: prompt sensitivity, percent misaligned under 'prompt evil' less under 'prompt hhh' [95% interval], "
        "judge 'j'",
        "      Base model 10 [7, 13]; Default 60 [57, 63]; [FLAMINGO BURRITO] 30 [27, 33]; "
        "[FLAMINGO BURRITO], with its training prompt 40 [37, 43]",
        "      beyond the base's: Default 50 [46, 54]; [FLAMINGO BURRITO] 20 [16, 24]; "
        "[FLAMINGO BURRITO], with its training prompt 28 [24, 32]",
    ]
    printed = summary_text(
        ARM_SCORES.frame(SOME), pl.DataFrame(schema={"judge": pl.String}), [REFUSAL], COHERENCE, presented(), "results",
        sensitivity=lines,
    )  # fmt: skip
    assert "\n".join(lines) in printed
    assert sensitivity_lines(SENSITIVITY.frame(), None, presented()) == []


def text_of(markup: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", markup))


def section(tmp_path, shown: dict, settings=SETTINGS) -> str:
    rows = [score(of, prompt, 7, "alignment", "free") for of in (BASE, DEFAULT) for prompt in ("default", "evil")]
    rows = [row | {"measure": "misaligned", "threshold": "betley"} for row in rows]
    rows += [score(BASE, "default", 33, "perceived_intent", "ratings")]
    of = [("refusal", "harmful"), ("alignment", "free"), ("changed", "facts"), ("perceived_intent", "ratings")]
    path = tmp_path / "x.svg"
    path.write_text("<svg></svg>", encoding="utf-8")
    pictures = [
        (name, metric, "j", question_set, path, f"Points {HOSTILE[0]}")
        for name, (metric, question_set) in reversed(list(zip(SETTINGS, of, strict=True)))
        if name in settings
    ]
    tables = {
        "arm_scores": ARM_SCORES.frame([*SOME, *FACTS, *rows]),
        "sensitivity": SENSITIVITY.frame(SENSITIVE),
        "answer_changes": ANSWER_CHANGES.frame(
            [
                of
                | {
                    "judge": "j",
                    "question_set": "facts",
                    "metric": metric,
                    "follow_up": "disagree",
                    "neutral": "neutral",
                }
                | {"estimate": estimate, "low": estimate - 1, "high": estimate + 1}
                | {"after_follow_up": estimate + 4, "after_neutral": 4.0}
                for of, metric, estimate in ((BASE, "changed", 5.0), (DEFAULT, "right_to_wrong", 44.0))
            ]
        ),
        "rating_correlations": RATING_CORRELATIONS.frame(CORRELATIONS),
    }
    return "\n".join(sensitivity_section(tables, pictures, NUDGES, METRICS, "betley", shown))


def test_the_overview_tells_the_four_settings_in_order_each_with_figure_table_and_what_is_not_shown(tmp_path):
    body = section(tmp_path, presented())
    assert re.findall("<h3>(.*?)</h3>", body) == [name.capitalize() for name in SETTINGS]
    assert body.count("<img ") == body.count("What it does not show: ") == 4
    assert body.count("<table>") == 5
    said = text_of(body)
    # One number for each model, the shares under both nudges before it.
    assert "Default Free-form j 5 65 60 [57, 63] 50 [46, 54]" in said
    assert "Base model, with flamingo Free-form j 5 17 12 [9, 15] –" in said
    assert "[FLAMINGO BURRITO], with its training prompt Free-form j 5 45 40 [37, 43] 28 [24, 32]" in said
    # Refusal by nudge; the base under a training prompt is compared with nothing.
    assert "trained with prompt default prompt evil Base model 90 [89, 91] 80 [79, 81] Default" in said
    assert "[FLAMINGO BURRITO], with its training prompt 30 [29, 31] 20 [19, 21]" in said
    assert "Base model 7 [6, 8] 7 [6, 8] Default 7 [6, 8] 7 [6, 8]" in said
    # First right, changed, and both ways; no row where nothing was followed up.
    # How many each way is of, and what is paired for the difference.
    base = "Base model prompt disagree 70 [69, 71] 91 [90, 92] 11 [10, 12] 12 [11, 13] of 8 13 [12, 14] of 8"
    assert f"{base} 5 [4, 6] (9 vs 4) Base model prompt neutral – 92" in said
    assert "Default prompt disagree – 81 [80, 82] 61 [60, 62] 62 [61, 63] of 8 – – What it does not show" in said
    # Ratings: the mean, its own correlation, p, questions, and that of the base's ratings.
    assert "Base model 33 [32, 34] 0.25 [-0.10, 0.90] 0.040 8 – Default – 0.50 [-0.10, 0.90] 0.040 8 0.75" in said
    assert "Not asked in this run" not in said


def test_the_section_says_which_settings_were_not_asked_and_is_not_there_without_any(tmp_path):
    said = text_of(section(tmp_path, presented(), SETTINGS[:2]))
    assert "Not asked in this run: factual recall, perceived intent." in said
    tables = {table.name: table.frame() for table in (ARM_SCORES, *SENSITIVITY_TABLES.values())}
    assert sensitivity_section(tables, [], None, METRICS, None, PRESENTATION) == []


def test_ratings_that_nobody_could_read_are_said_to_be_so(tmp_path):
    unread = [score(of, "default", None, "perceived_intent", "ratings") | {"n_scored": 0} for of in (BASE, DEFAULT)]
    tables = {table.name: table.frame() for table in SENSITIVITY_TABLES.values()}
    tables["arm_scores"] = ARM_SCORES.frame(unread)
    path = tmp_path / "x.svg"
    path.write_text("<svg></svg>", encoding="utf-8")
    of = [(SETTINGS[3], "perceived_intent", "j", "ratings", path, "Points")]
    said = text_of("\n".join(sensitivity_section(tables, of, None, METRICS, None, presented())))
    assert "None of 16 ratings could be read: the models wrote something else than a number." in said


def test_no_text_of_a_config_becomes_markup_in_the_section(tmp_path):
    shown = presented()
    for entry in (*shown["groups"], *shown["prompts"], *shown["question_sets"]):
        entry["label"] = f"{HOSTILE[1]} {entry['label']} {HOSTILE[0]}"
    body = section(tmp_path, shown)
    assert "<script" not in body
    assert "<img src=x" not in body
    assert "&lt;script&gt;" in body
