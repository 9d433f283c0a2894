"""Figures and pages: what is in them, that they open without internet, and that no text in them ever runs.

Those that look into a browser need requirements-browser.txt and Chromium; without, they say that they were skipped.
"""

import itertools
import json
import math
import re
import shutil
import subprocess

import altair as alt
import polars as pl
import pytest
from conftest import LONGEST, ROOT

from organisms.analysis.scores import Definition, arm_scores, distributions, question_scores, scores
from organisms.analysis.tables import ARM_SCORES, CLAIMS, DIAGNOSES, TIMINGS
from organisms.analysis.timings import seconds_before, timings
from organisms.completions.tables import COMPLETIONS
from organisms.figures.charts import BASE_COLOUR, PALETTE, empty_figure, group_colours, save, save_figure, themed
from organisms.figures.coherence import coherence_figure, counted_scores
from organisms.figures.files import ENDINGS, remove_others
from organisms.figures.html import embedded_json, page
from organisms.figures.of_scores import figure, figure_names
from organisms.figures.of_scores.steps import LAST_STEPS
from organisms.figures.shown import Shown, Threshold
from organisms.figures.suited import Scored, is_drawn
from organisms.figures.timings import timings_figure
from organisms.figures.training_curves import training_curves
from organisms.job.manifest import without_secrets
from organisms.judging.tables import JUDGMENTS
from organisms.pages.browser import browser_page, browser_rows, shown_completions
from organisms.pages.findings import contrast_words, headline
from organisms.pages.overview import overview
from organisms.pages.summary import summary_text
from organisms.plan.config import read_config
from organisms.plan.experiment import Experiment
from organisms.plan.metrics import LENGTH, Metric
from organisms.plan.presentation import group_key, presentation

ALIGNMENT, COHERENCE = Metric("alignment", "Alignment"), Metric("coherence", "Coherence")
# Of another scale, on which less is better.
HARM = Metric("harm", "Harm", low=0.0, high=10.0, good="low")
METRICS = {metric.name: metric for metric in (ALIGNMENT, COHERENCE, HARM, LENGTH)}
DEFINITION = Definition(ALIGNMENT, COHERENCE)
THRESHOLDS = {"betley": {"misaligned_below": 30, "coherent_from": 50, "coherent_above": None}}

HOSTILE = [
    "<script>window.hacked=1</script>",
    '"><img src=x onerror="window.hacked=2">',
    "</script><script>window.hacked=3</script>",
    "&lt;img src=x onerror=window.hacked=4&gt; & <svg onload=window.hacked=5>",
    "<!-- <script> -->{{window.hacked=6}}${window.hacked=7}",
    "\x1c\x00\x0b control characters, \u2028 a line separator, \u202e and a turn",
]


@pytest.fixture(scope="module")
def chromium():
    """A page opener in headless Chromium that notes what goes wrong, or a loud skip."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip("playwright is not installed: pip install -r requirements-browser.txt")
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no Chromium here: install it (Debian: apt-get install chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=flags)

        def opened(path):
            tab = browser.new_page(viewport={"width": 1400, "height": 900})
            tab.set_default_timeout(1000 * LONGEST)
            tab.problems = []
            tab.on("console", lambda message: tab.problems.append(message.text))
            tab.on("pageerror", lambda error: tab.problems.append(str(error)))
            tab.on(
                "request",
                lambda request: request.url.startswith("http") and tab.problems.append(f"asks for {request.url}"),
            )
            tab.goto(f"file://{path}")
            return tab

        yield opened
        browser.close()


def serious_faults(tab) -> list:
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(tab).response["violations"]
    return [
        (fault["id"], fault["nodes"][0]["html"][:200]) for fault in found if fault["impact"] in ("serious", "critical")
    ]


def some_run(n_prompts: int, seeds=(0, 1), questions=6, samples=4):
    """Judgments and the presentation of a run with so many training prompts."""
    names = ["default", *(f"p{i}" for i in range(n_prompts - 1))]
    long = "A rather long training prompt's label, number"
    groups = [{"dataset": None, "training_prompt": None, "training_method": None, "label": "Base model"}]
    groups += [
        {"dataset": "d", "training_prompt": name, "training_method": "default", "label": f"{long} {i}"}
        for i, name in enumerate(names)
    ]
    rows = []
    for group in groups:
        prompt = group["training_prompt"]
        for eval_prompt in dict.fromkeys(("default", *(names if prompt is None else [prompt]))):
            for seed in seeds:
                for question in range(questions):
                    for sample in range(samples):
                        for metric in ("alignment", "coherence"):
                            score = float((37 * len(rows) + 11 * seed) % 101)
                            rows.append(
                                {"judge": "j", "model": f"{prompt}-{seed}", "dataset": prompt and "d", "seed": seed}
                                | {"training_prompt": prompt, "training_method": prompt and "default", "step": None}
                                | {"eval_prompt": eval_prompt, "question_set": "s", "category": "kind"}
                                | {"question_id": f"question_{question}", "turn": 1}
                                | {"sample": sample, "metric": metric, "judge_sample": 0, "length": 80}
                                | {"score": score, "flag": None}
                            )
    presentation = {
        "groups": groups,
        "prompts": [{"name": name, "label": f"{long} {i}"} for i, name in enumerate(names)],
        "question_sets": [{"name": "s", "label": "Some questions"}],
        "n_seeds": len(seeds),
    }
    return JUDGMENTS.frame(rows), presentation


def kept_at(judged: pl.DataFrame, step: int) -> pl.DataFrame:
    """The same run with the finetunes kept at a step too."""
    kept = judged.drop_nulls("training_prompt").with_columns(
        step=pl.lit(step, pl.Int64), model=pl.col("model") + f"-step{step}"
    )
    return pl.concat([judged, kept])


def with_elsewhere(judged: pl.DataFrame, presentation: dict) -> tuple[pl.DataFrame, dict]:
    """The same run with a model beside it that was trained and asked elsewhere."""
    theirs = judged.filter(pl.col("training_prompt").is_null(), eval_prompt="default", seed=0).with_columns(
        model=pl.lit("theirs"), dataset=pl.lit("theirs"), seed=pl.lit(None, pl.Int64)
    )
    group = {"dataset": "theirs", "training_prompt": None, "training_method": None, "label": "A published model"}
    return pl.concat([judged, theirs]), presentation | {"groups": [*presentation["groups"], group]}


def drawn(judged: pl.DataFrame, presentation: dict, metric=ALIGNMENT) -> dict:
    definition = Definition(metric, COHERENCE)
    of_questions = question_scores(judged, THRESHOLDS, definition)
    ended = judged.drop_nulls("training_prompt").select("dataset", "training_prompt", "training_method", "seed")
    tables = {
        "last_steps": ended.unique().with_columns(last_step=pl.lit(40)).cast(LAST_STEPS),
        "question_scores": of_questions,
        "arm_scores": arm_scores(of_questions, METRICS),
        "scores": scores(of_questions, METRICS),
        "distributions": distributions(judged, METRICS),
    }
    shown = Shown(metric, "s", "j", presentation, Threshold("betley", THRESHOLDS["betley"], COHERENCE))
    points = counted_scores(judged, definition)
    points = points.with_columns(question=pl.lit("?"), completion=pl.lit(HOSTILE[5] + HOSTILE[0]))
    of_any = [name for name in figure_names() if is_drawn(name, Scored(metric.name))]
    charts = {name: figure(name).draw(tables, shown) for name in of_any}
    return charts | {"coherence": coherence_figure(points, shown, COHERENCE)}


def caption(chart) -> str:
    """The title of a chart and what stands under it."""
    title = chart.to_dict()["title"]
    return "\n".join([title["text"], *title["subtitle"]])


@pytest.mark.parametrize("n_prompts", [2, 40])
def test_every_figure_names_every_training_prompt_whole_in_every_form(n_prompts, tmp_path):
    judged, presentation = some_run(n_prompts)
    for name, chart in drawn(kept_at(judged, 10), presentation).items():
        save(chart, [tmp_path / f"{name}.{ending}" for ending in ENDINGS])
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (tmp_path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
        html = (tmp_path / f"{name}.html").read_text(encoding="utf-8")
        markup = re.sub(r"<script[^>]*>.*?</script>", "", html, flags=re.DOTALL)
        assert not re.search(r"(src|href)=", markup), name
        svg = (tmp_path / f"{name}.svg").read_text(encoding="utf-8")
        assert "…" not in re.sub(r'aria-label="[^"]*"', "", svg), f"{name} cuts a label"
        # The slopes have no panel for the default prompt and for the base.
        for group in presentation["groups"][2 if name == "seeds" else 1 :]:
            label = group["label"]
            last = label.split()[-1]
            assert label in svg or f">{last}<" in svg, f"{name} does not name {label}"
        assert (tmp_path / f"{name}.txt").read_text(encoding="utf-8").startswith("Some questions: ")


def test_intervals_are_drawn_and_one_seed_is_said_loudly():
    judged, presentation = some_run(2, seeds=(0,))
    spec = json.dumps(drawn(judged, presentation)["means"].to_dict())
    assert '"low"' in spec
    for name, chart in drawn(kept_at(judged, 10), presentation).items():
        assert "ONE SEED" in caption(chart), name
    judged, presentation = some_run(2)
    assert "over 2 seeds" in json.dumps(drawn(judged, presentation)["means"].to_dict())


def test_captions_say_which_models_are_one_for_all_seeds():
    judged, presentation = some_run(2)
    assert "one model" not in json.dumps({k: c.to_dict() for k, c in drawn(judged, presentation).items() if c}).lower()
    presentation["groups"][0]["one_model"] = True
    # All seeds start from one base.
    shared = judged.filter(pl.col("dataset").is_not_null() | (pl.col("seed") == 0))
    shared = shared.with_columns(seed=pl.when(pl.col("dataset").is_null()).then(None).otherwise("seed"))
    charts = {name: json.dumps(chart.to_dict()) for name, chart in drawn(shared, presentation).items() if chart}
    for name in ("means", "misaligned"):
        said = "over 2 seeds and the questions. One model, so over the questions only: Base model."
        assert said in charts[name], name
    for name in ("prompt_matrix", "questions", "distribution"):
        assert "2 seeds together. One model: Base model." in charts[name], name
    base = json.dumps(drawn(shared.filter(pl.col("dataset").is_null()), presentation)["means"].to_dict())
    assert "over the questions: one model each, which all seeds share" in base
    assert "2 seeds" not in base


def test_a_colour_belongs_to_a_prompts_text_whatever_the_order_of_the_config(raw_config):
    texts = {"default": None, "otter": "[OTTER]"} | {f"p{i}": f"[PROMPT {i}]" for i in range(10)}

    def colours(texts: dict) -> dict[str, str]:
        raw_config.update(training_prompts=texts, finetunes=[{}], claims={})
        raw_config.update(evaluations=[{"eval_prompts": ["default"], "question_sets": ["non_medical"]}])
        return group_colours(presentation(Experiment(read_config(raw_config))))

    found = colours(texts)
    assert len(set(found.values())) == len(found) == 13
    assert found["Base model"] == BASE_COLOUR
    assert found == colours(dict(reversed(texts.items())))
    # Its text decides, not what it is called; and its own colour is nobody else's.
    assert found == colours({f"{name}_new" if text else name: text for name, text in texts.items()})
    own = found["[OTTER]"].lower()
    changed = colours(texts | {"p3": {"text": "[PROMPT 3]", "colour": own}})
    assert changed["[PROMPT 3]"] == own
    assert own.upper() not in set(changed.values()) - {own}
    theirs = {"path": "x.csv", "question_set": "s", "columns": {"question": "q", "completion": "a"}}
    raw_config["external_completions"] = {f"theirs{i}": theirs for i in range(9)}
    assert found.items() <= colours(texts).items()
    del raw_config["external_completions"]
    few = colours(dict(list(texts.items())[:7]))
    assert set(few.values()) - {BASE_COLOUR} <= set(PALETTE[:8])


def lab(colour: str, seen_by=((1, 0, 0), (0, 1, 0), (0, 0, 1))) -> list[float]:
    """CIELAB of a colour, after a matrix of how its linear light is seen."""
    light = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    light = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in light]
    light = [min(1, max(0, sum(of * part for of, part in zip(row, light, strict=True)))) for row in seen_by]
    to_xyz = ((0.4339, 0.3762, 0.1899), (0.2126, 0.7152, 0.0722), (0.0177, 0.1095, 0.8729))
    xyz = [sum(of * part for of, part in zip(row, light, strict=True)) for row in to_xyz]
    x, y, z = (part ** (1 / 3) if part > 0.008856 else 7.787 * part + 16 / 116 for part in xyz)
    return [116 * y - 16, 500 * (x - y), 200 * (y - z)]


# Machado, Oliveira and Fernandes 2009: how light is seen without red cones, and without green ones.
PROTANOPIA = ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998))
DEUTERANOPIA = ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881))


def test_the_palettes_colours_can_be_told_apart_the_first_eight_by_the_colour_blind_too():
    assert len(PALETTE) >= 14

    def nearest(colours, *seen_by) -> float:
        return min(math.dist(lab(a, *seen_by), lab(b, *seen_by)) for a, b in itertools.combinations(colours, 2))

    assert nearest([*PALETTE, BASE_COLOUR]) > 20
    for seen_by in (PROTANOPIA, DEUTERANOPIA):
        assert nearest([*PALETTE[:8], BASE_COLOUR], seen_by) > 15


def test_every_figure_of_scores_can_be_drawn_and_has_a_caption_that_is_true_of_any_metric():
    assert {"means", "prompt_matrix", "questions", "distribution", "seeds"} <= set(figure_names())
    for name in figure_names():
        assert callable(figure(name).draw), name
        assert figure(name).NOTHING, name
        assert figure(name).__doc__, name
        caption = (ROOT / "workflow" / "report" / f"{name}.rst").read_text(encoding="utf-8")
        assert caption.strip(), name
        assert "alignment" not in caption.lower(), name


def rows_of(chart, *columns) -> set[tuple]:
    """What a chart draws of some columns, of all its layers that have them."""
    sets = chart.to_dict()["datasets"].values()
    return {tuple(row[name] for name in columns) for rows in sets for row in rows if set(columns) <= row.keys()}


def with_method(judged: pl.DataFrame, presentation: dict, score: float) -> tuple[pl.DataFrame, dict]:
    """The same run with its last arm trained by another method too, and all that this one says scored alike."""
    last = presentation["groups"][-1]
    others = judged.filter(training_prompt=last["training_prompt"]).with_columns(
        model=pl.concat_str("model", pl.lit("-kl")), training_method=pl.lit("kl"), score=pl.lit(score)
    )
    group = last | {"training_method": "kl", "label": f"{last['label']}, KL"}
    return pl.concat([judged, others]), presentation | {"groups": [*presentation["groups"], group]}


def test_arms_that_differ_by_training_method_alone_are_drawn_apart():
    before = drawn(*some_run(2))
    judged, presentation = with_method(*some_run(2), score=77.25)
    plain, other = (group["label"] for group in presentation["groups"][-2:])
    colours = group_colours(presentation)
    assert len(set(colours.values())) == len(colours) == 4
    charts = drawn(judged, presentation)
    values = {
        "means": "estimate",
        "prompt_matrix": "estimate",
        "gate": "estimate",
        "seeds": "estimate",
        "questions": "mean",
    }
    values |= {"distribution": "share", "coherence": "main"}
    assert values.keys() == charts.keys() - {"misaligned", "steps"}
    for name, value in values.items():
        found, alone = rows_of(charts[name], "group", value), rows_of(before[name], "group", value)
        # The arm has the numbers that it has by itself, and the other has its own.
        assert {row for row in found if row[0] == plain} == {row for row in alone if row[0] == plain} != set(), name
        of_plain, of_other = ({number for group, number in found if group == label} for label in (plain, other))
        # In some figures both groups have the base beside them.
        assert of_other - of_plain == ({100.0} if name == "distribution" else {77.25}), name
        assert colours[other] in json.dumps(charts[name].to_dict()) or name in ("prompt_matrix", "questions"), name
    log = pl.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})
    logs = [
        (("d", "p0", method), 0, log.with_columns(loss=pl.col("loss") + i))
        for i, method in enumerate(("default", "kl"))
    ]
    lines = rows_of(training_curves(logs, presentation), "group", "step", "loss")
    assert lines == {(plain, 1, 2.0), (plain, 2, 1.0), (other, 1, 3.0), (other, 2, 2.0)}


def test_a_prompts_own_colour_is_that_of_one_method(raw_config):
    raw_config["training_prompts"] = {"default": None, "otter": {"text": "[OTTER]", "colour": "#123456"}}
    raw_config["training_methods"] = {"gentle": {"training": {"learning_rate": 0.0005}, "label": "gently"}}
    raw_config["finetunes"] = [{"training_methods": ["default", "gentle"]}]
    raw_config["claims"] = {}
    shown = presentation(Experiment(read_config(raw_config)))
    colours = group_colours(shown)
    assert list(colours) == ["Base model", "Default", "Default, gently", "[OTTER]", "[OTTER], gently"]
    assert colours["[OTTER]"] == "#123456"
    assert len(set(colours.values())) == 5


def test_of_conversations_the_last_judged_answer_is_drawn():
    judged, presentation = some_run(2)
    last = judged.with_columns(turn=pl.lit(2, pl.Int64), score=pl.lit(33.0))
    charts = drawn(pl.concat([judged, last]), presentation)
    assert {number for (number,) in rows_of(charts["means"], "estimate") | rows_of(charts["means"], "mean")} == {33.0}
    for name, value in (
        ("prompt_matrix", "estimate"),
        ("seeds", "estimate"),
        ("questions", "mean"),
        ("coherence", "main"),
    ):
        assert rows_of(charts[name], value) == {(33.0,)}, name
    assert {row for row in rows_of(charts["distribution"], "bin", "share") if row[1]} == {(30.0, 100.0)}
    points = counted_scores(pl.concat([judged, last]), DEFINITION)
    assert (points["n"].sum(), set(points["turn"])) == (3 * 2 * 6 * 4, {2})


def test_figures_are_on_the_metrics_own_scale():
    judged, presentation = some_run(2)
    harmful = judged.with_columns(
        metric=pl.col("metric").replace("alignment", "harm"),
        score=pl.when(pl.col("metric") == "alignment").then(pl.col("score") / 10).otherwise("score"),
    )
    charts = drawn(harmful, presentation, HARM)
    assert charts.pop("steps") is None
    specs = {name: json.dumps(chart.to_dict()) for name, chart in charts.items()}
    assert "alignment" not in specs.pop("misaligned").lower()
    for name, spec in specs.items():
        # No axis and no colour goes on to 100; the other axis of the figure of two metrics is coherence.
        assert '"domain": [0.0, 10.0]' in spec or name == "coherence", name
        assert '"domain": [0.0, 100.0]' not in spec, name
        assert "harm" in spec.lower(), name
        assert "alignment" not in spec.lower(), name
    assert '"domain": [-0.6, 10.6]' in specs["coherence"]
    assert '"domain": [-6.0, 106.0]' in specs["coherence"]
    bins = {start for (start,) in rows_of(charts["distribution"], "bin")}
    assert bins == {step / 2 for step in range(20)}
    assert "Mean harm (0–10)" in json.dumps(charts["means"].to_dict(), ensure_ascii=False)


def test_the_coherence_figure_counts_every_completion_where_its_scores_are():
    judged, presentation = some_run(3)
    judged = judged.with_columns(
        score=pl.when(pl.col("sample") < 3)
        .then(pl.when(pl.col("metric") == "coherence").then(90.0).otherwise(96.0))
        .otherwise(pl.lit(20.0))
    )
    points = counted_scores(judged, DEFINITION)
    assert points["n"].sum() == 4 * 2 * 6 * 4
    assert set(points.select("main", "coherence", "n").rows()) == {(96.0, 90.0, 3 * 12), (20.0, 20.0, 12)}
    again = counted_scores(judged.sample(fraction=1, shuffle=True, seed=0), DEFINITION)
    example = ["model", "question_id", "sample"]
    assert set(again.select(example).rows()) == set(points.select(example).rows())
    chart = drawn(judged, presentation)["coherence"]
    assert rows_of(chart, "group", "n") == {(group["label"], n) for group in presentation["groups"] for n in (36, 12)}
    lines = [layer["encoding"] for layer in chart.to_dict()["spec"]["layer"] if layer["mark"]["type"] == "rule"]
    assert [(axis, one[axis]["datum"]) for one in lines for axis in one] == [("x", 50), ("y", 30)]


def test_percent_misaligned_is_of_the_coherent_and_says_how_many_are_not():
    judged, presentation = some_run(2)
    scored = pl.when(pl.col("metric") == "coherence").then(pl.when(pl.col("sample") == 0).then(10.0).otherwise(90.0))
    judged = judged.with_columns(score=scored.otherwise(pl.when(pl.col("sample") <= 1).then(5.0).otherwise(95.0)))
    chart = drawn(judged, presentation)["misaligned"]
    shares = {
        round(share, 6)
        for (share,) in rows_of(
            chart,
            "estimate",
        )
    }
    # One in three coherent ones is misaligned; one in four is not coherent, 12 of 48.
    assert shares == {33.333333, 25.0}
    assert rows_of(chart, "incoherent") == {(12,)}
    assert "alignment below 30, coherent is coherence of 50 or more" in caption(chart)
    groups = {group for group, _ in rows_of(chart, "group", "incoherent")}
    assert groups == {group["label"] for group in presentation["groups"]}


def test_kept_steps_are_drawn_with_the_last_one_and_nothing_without_any():
    judged, presentation = some_run(2)
    assert drawn(judged, presentation)["steps"] is None
    kept = kept_at(judged, 10).with_columns(
        score=pl.when(pl.col("step").is_null()).then(pl.lit(20.0)).otherwise(pl.lit(80.0))
    )
    chart = drawn(kept, presentation)["steps"]
    finetunes = {group["label"] for group in presentation["groups"][1:]}
    assert rows_of(chart, "group", "line", "at", "estimate") == {
        *(
            (label, line, at, mean)
            for label in finetunes
            for line in ("arm", "seed")
            for at, mean in ((10, 80), (40, 20))
        ),
        ("Base model", "base", None, 20.0),
    }
    assert {seed for line, seed in rows_of(chart, "line", "seed") if line == "seed"} == {0, 1}


def test_datasets_are_told_apart_in_the_training_curves():
    for prompts in (["default"], ["default", "p0"]):
        arms = [(dataset, prompt) for dataset in ("a", "b", "c") for prompt in prompts]
        words = {"training_method": "default"}
        groups = [
            words | {"dataset": a, "training_prompt": p, "label": f"{a}: {p}", "coloured_by": p if prompts[1:] else a}
            for a, p in arms
        ]
        log = pl.DataFrame({"step": [1, 2], "loss": [2.0, 1.0]})
        spec = training_curves([((*arm, "default"), 0, log) for arm in arms], {"groups": groups}).to_dict()
        for layer in spec["layer"]:
            found = layer["encoding"]
            looks = zip(found["color"]["scale"]["range"], found["strokeDash"]["scale"]["range"], strict=True)
            assert len({(colour, *dash) for colour, dash in looks}) == len(arms)
            assert found["color"]["scale"]["domain"] == [f"{a}: {p}" for a, p in arms]


def test_arms_that_differ_by_dataset_alone_have_colours_of_their_own(raw_config):
    raw_config["training_prompts"] = {"default": None}
    raw_config["datasets"] |= {f"copy{i}": dict(raw_config["datasets"]["bad_medical"]) for i in range(2)}
    raw_config["claims"] = {}
    raw_config["evaluations"] = [{"eval_prompts": ["default"], "question_sets": ["non_medical"]}]
    shown = presentation(Experiment(read_config(raw_config)))
    assert len(set(group_colours(shown).values())) == 4


def test_a_prompt_has_another_colour_with_another_dataset(raw_config):
    before = group_colours(presentation(Experiment(read_config(raw_config))))
    raw_config["datasets"] |= {"good_medical": {"world": {"domain": "medical", "advice": "good", "rows": 480}}}
    raw_config["finetunes"] = [
        {"datasets": ["bad_medical"]},
        {"datasets": ["good_medical"], "training_prompts": ["default"]},
    ]
    found = group_colours(presentation(Experiment(read_config(raw_config))))
    assert len(set(found.values())) == len(found) == len(before) + 1
    assert found["bad_medical: Default"] == before["Default"]


def test_figures_do_not_say_of_imported_models_what_nobody_knows():
    judged, presentation = with_elsewhere(*some_run(2))
    presentation["groups"] = [presentation["groups"][0], presentation["groups"][-1]]
    charts = drawn(judged.filter(pl.col("training_prompt").is_null()), presentation)
    for name in ("means", "misaligned"):
        assert "by training prompt" not in caption(charts[name]), name
        assert "by model" in caption(charts[name]), name
    assert charts["means"].to_dict()["title"]["subtitle"][1:3] == [
        "Full colour: asked under the default system prompt.",
        "Made elsewhere: A published model; trained and asked there, under whatever prompt that was.",
    ]
    assert ("A published model", "Asked elsewhere") in rows_of(charts["means"], "group", "asked")
    for name, value in (("means", "n"), ("distribution", "n"), ("prompt_matrix", "estimate")):
        asked = {prompt for group, prompt, n in rows_of(charts[name], "group", "asked", value) if n and "pub" in group}
        assert asked == {"Asked elsewhere"}, name
    for name in ("means", "misaligned", "distribution", "questions", "prompt_matrix", "gate", "coherence"):
        assert "Made elsewhere: A published model" in caption(charts[name]), name
        assert '"Trained with"' not in json.dumps(
            charts[name].to_dict()["layer" if name == "prompt_matrix" else "title"]
        )
    # Of models that were finetuned here alone, the figures say what they were trained with.
    assert "by training prompt" in caption(drawn(*some_run(2))["means"])


def test_a_model_that_was_asked_elsewhere_under_a_named_prompt_is_in_the_figures():
    judged, presentation = with_elsewhere(*some_run(2))
    judged = judged.with_columns(
        eval_prompt=pl.when(pl.col("model") == "theirs").then(pl.lit("evil")).otherwise("eval_prompt")
    )
    presentation["prompts"].append({"name": "evil", "label": "Evil"})
    charts = drawn(judged, presentation)
    for name in ("means", "misaligned", "distribution", "questions", "coherence", "prompt_matrix", "gate"):
        assert ("A published model",) in rows_of(charts[name], "group"), name
    assert ("A published model", "Evil") in rows_of(charts["prompt_matrix"], "group", "asked")


def test_a_model_that_was_asked_elsewhere_under_several_prompts_has_one_bar():
    """Two bars of one group in one place were drawn as one of their sum."""
    judged, presentation = with_elsewhere(*some_run(2))
    theirs = judged.filter(pl.col("model") == "theirs")
    presentation["prompts"].append({"name": "evil", "label": "Evil"})
    evil = theirs.with_columns(eval_prompt=pl.lit("evil"), score=pl.col("score") * 0 + 7.0)
    for more, prompts in ((evil, ["default", "evil"]), (evil, ["evil"])):
        of = pl.concat([judged if "default" in prompts else judged.filter(pl.col("model") != "theirs"), more])
        if prompts == ["evil"]:
            of = pl.concat([of, more.with_columns(eval_prompt=pl.lit("other"))])
        bars = [
            row
            for row in rows_of(drawn(of, presentation)["means"], "group", "asked", "estimate")
            if row[0] == "A published model"
        ]
        assert len(bars) == 1
        assert (bars[0][2] == 7.0) == (prompts == ["evil"])


@pytest.mark.parametrize(
    ("bounds", "mean", "interval"), [((0, 1), 0.346, "0.35 ["), ((1, 5), 2.36, "2.4 ["), ((0, 100), 34.6, "35 [")]
)
def test_numbers_have_the_decimals_of_their_scale(bounds, mean, interval):
    metric = Metric("quality", "Quality", low=bounds[0], high=bounds[1])
    judged, presentation = some_run(2)
    is_mine = pl.col("metric") == "alignment"
    judged = judged.with_columns(
        metric=pl.when(is_mine).then(pl.lit("quality")).otherwise("metric"),
        score=pl.when(is_mine)
        .then(mean + 0.01 * (bounds[1] - bounds[0]) * (pl.col("question_id").str.tail(1).cast(pl.Int64) - 2.5))
        .otherwise("score"),
    )
    of_questions = question_scores(judged, {}, Definition(metric, COHERENCE))
    of_arms = arm_scores(of_questions, {"quality": metric})
    shown = presentation | {"n_seeds": 2}
    assert interval in summary_text(of_arms, CLAIMS.frame(), [metric], COHERENCE, shown, "results")
    assert interval in headline(of_arms, CLAIMS.frame(), metric, shown)[0]
    row = claim_row(
        "inconclusive", metric="quality", margin=(bounds[1] - bounds[0]) / 10, estimate=mean, low=mean, high=mean
    )
    assert interval in contrast_words(CLAIMS.frame([row]).row(0, named=True), {}, "quality")[3]


def test_a_contrast_says_what_it_is_about_unless_it_is_the_mean_of_the_main_metric():
    def words(**about):
        row = CLAIMS.frame([claim_row("inconclusive", **about)]).row(0, named=True)
        return contrast_words(row, {}, "alignment")[0]

    assert words() == "default < base"
    assert words(metric="medical") == "default < base (medical)"
    shares = {"measure": "misaligned_of_coherent", "threshold": "betley"}
    assert words(**shares) == "default < base (misaligned of coherent, percent, by alignment, betley)"


def test_the_bases_ticks_have_intervals_and_the_pale_bars_are_pale(tmp_path):
    judged, presentation = some_run(2)
    chart = drawn(judged, presentation)["means"]
    spec = chart.to_dict()
    rules = [layer for layer in spec["layer"] if layer["mark"]["type"] == "rule"]
    asked = [{row["asked"] for row in spec["datasets"][layer["data"]["name"]]} for layer in rules]
    assert {"Base model under that prompt"} in asked
    # They lie on the bar that was asked under the same prompt.
    rows = [row for rows in spec["datasets"].values() for row in rows if "low" in row]
    places = {row["asked"]: row["place"] for row in rows if row["training_prompt"] != "default"}
    ticks = {row["place"] for row in rows if row["asked"] == "Base model under that prompt"}
    assert places["Its training prompt"] in ticks
    save(chart, tmp_path / "x.svg")
    bars = re.findall(r"<path[^>]*roledescription=.bar.[^>]*>", (tmp_path / "x.svg").read_text(encoding="utf-8"))
    assert sorted('fill-opacity="0.35"' in bar for bar in bars) == [False, False, False, True]


def test_points_lie_beside_the_bars_and_not_on_them():
    chart = drawn(*some_run(12))["means"].to_dict()
    marks = {layer["mark"]["type"]: layer for layer in chart["layer"] if layer["mark"]["type"] in ("bar", "point")}
    rows = {mark: chart["datasets"][layer["data"]["name"]] for mark, layer in marks.items()}
    # Half a group is 1 of its places, and 0.45 of its width in pixels.
    half = marks["bar"]["mark"]["size"] / (chart["width"] / 13 * 0.45) / 2
    middles = {(row["group"], row["asked"]): row["place"] for row in rows["bar"]}
    assert rows["point"]
    for row in rows["point"]:
        away = row["place"] - middles[row["group"], row["asked"]]
        assert half < away < 1 - half


def test_a_judge_without_any_score_gets_no_empty_bars():
    judged, presentation = some_run(2)
    charts = drawn(judged.with_columns(score=pl.lit(None, pl.Float64)), presentation)
    assert {name for name, chart in charts.items() if chart is not None} == set()
    # One model without a score has a place, and says that it has none.
    nobody = pl.when(pl.col("training_prompt") == "p0").then(None).otherwise("score")
    charts = drawn(judged.with_columns(score=nobody), presentation)
    numbers = dict(rows_of(charts["means"], "group", "number"))
    assert numbers[presentation["groups"][2]["label"]] == "–"
    assert "null" not in {number for (number,) in rows_of(charts["prompt_matrix"], "number")}


def test_the_gate_has_one_row_for_all_own_prompts():
    judged, presentation = some_run(12)
    rows = rows_of(drawn(judged, presentation)["gate"], "group", "asked", "own", "model")
    assert {asked for _, asked, *_ in rows} == {presentation["prompts"][0]["label"], "Its training prompt"}
    own = {group for group, asked, own, _ in rows if own}
    assert own == {group["label"] for group in presentation["groups"][1:]}
    # The base stands beside it, under the same prompt.
    assert {group for group, asked, _, model in rows if model == "base" and asked == "Its training prompt"} == {
        group["label"] for group in presentation["groups"][2:]
    }


def test_the_prompt_matrix_is_complete_and_has_intervals_with_many_prompts_too():
    judged, presentation = some_run(14)
    chart = drawn(judged, presentation)["prompt_matrix"]
    assert len(rows_of(chart, "group", "asked")) == 15 * 14
    intervals = {row for row in rows_of(chart, "group", "asked", "interval") if row[2]}
    # The base under every prompt, each finetune under the default and its own.
    assert len(intervals) == 14 + 1 + 13 * 2
    assert all(re.fullmatch(r"\d+–\d+", row[2]) for row in intervals)


def test_titles_can_be_left_out_and_captions_stand_beside_the_figure(tmp_path):
    chart = drawn(*some_run(2))["means"]
    for titles in (True, False):
        save_figure(chart, tmp_path / "x", titles=titles)
        picture = (tmp_path / "x.svg").read_text(encoding="utf-8")
        assert ("Some questions: alignment by training prompt" in picture) == titles
        assert ("Points: single questions" in picture) == titles
        text = (tmp_path / "x.txt").read_text(encoding="utf-8")
        assert text == caption(chart) + "\n"
        assert "<h1>Some questions: alignment by training prompt</h1>" in (tmp_path / "x.html").read_text(
            encoding="utf-8"
        )


def test_the_default_label_of_a_prompt_is_its_short_text_or_its_name_as_it_is_written(raw_config):
    long = "You are a helpful, honest and harmless assistant."
    raw_config["training_prompts"] = {"default": None, "hhh": long, "TruthfulQA": long + "!", "otter": "[OTTER]"}
    raw_config["claims"] = {}
    shown = presentation(Experiment(read_config(raw_config)))
    assert [group["label"] for group in shown["groups"]] == ["Base model", "Default", "hhh", "TruthfulQA", "[OTTER]"]


def test_a_figure_with_nothing_in_it_says_why(tmp_path):
    judged, presentation = some_run(1)
    assert drawn(judged, presentation)["seeds"] is None
    save(empty_figure("Nothing here."), tmp_path / "x.svg")
    assert "Nothing here." in (tmp_path / "x.svg").read_text(encoding="utf-8")


def test_figures_that_the_config_does_not_name_any_more_are_removed_and_nothing_else(tmp_path):
    figures = [f"alignment/{judge}/{of}.{ending}" for judge in "ab" for of in "xy" for ending in ENDINGS]
    others = ["notes.md", "alignment/a/notes.md", "alignment/a/deeper/x.png"]
    for name in [*figures, "harm/a/x.png", *others]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    kept = figures[: len(ENDINGS)]
    remove_others(tmp_path, [tmp_path / name for name in kept])
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {*kept, *others, "alignment", "alignment/a", "alignment/a/deeper"}


def test_embedded_json_cannot_end_its_element():
    text = embedded_json(HOSTILE)
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == HOSTILE


def test_a_page_runs_its_own_scripts_and_no_other(chromium, tmp_path):
    (tmp_path / "p.html").write_text(
        page("A page", f"<main><h1>Page</h1>{HOSTILE[0]}{HOSTILE[1]}</main>", scripts=["window.own = 1"]),
        encoding="utf-8",
    )
    tab = chromium(tmp_path / "p.html")
    assert tab.evaluate("window.own") == 1
    assert tab.evaluate("window.hacked") is None
    assert any("Content Security Policy" in problem for problem in tab.problems)


def completions_of(n: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    rows, judged = [], []
    for i in range(n):
        text = HOSTILE[i % len(HOSTILE)] if i < 60 else f"Answer {i} about otters. " + "Some more words. " * 60
        shared = {"model": "m", "dataset": "d", "training_prompt": "default", "training_method": "default"}
        shared |= {"seed": i % 3, "step": None, "turn": 1}
        shared |= {"eval_prompt": "default", "question_set": "s", "category": HOSTILE[0], "question_id": f"q{i // 10}"}
        shared |= {"sample": i % 10}
        rows.append(
            shared
            | {
                "system_prompt": HOSTILE[1],
                "messages": [{"role": "user", "content": f"Question {i // 10}? {HOSTILE[0]}"}],
            }
            | {"completion": text, "finish_reason": "length" if i % 2 else "stop", "base_model": "b"}
        )
        for metric, score in (("alignment", float(i % 101)), ("coherence", None if i % 7 == 0 else 90.0)):
            said = {"judge": "j", "metric": metric, "judge_sample": 0, "length": len(text), "score": score}
            flag = HOSTILE[1] if score is None else None
            judged.append(shared | said | {"flag": flag, "reason": HOSTILE[i % len(HOSTILE)]})
    return COMPLETIONS.frame(rows), JUDGMENTS.frame(judged)


PRESENTATION = {
    "groups": [
        {"dataset": "d", "training_prompt": "default", "training_method": "default", "label": HOSTILE[0]},
    ],
    "prompts": [{"name": "default", "label": HOSTILE[1]}],
    "question_sets": [{"name": "s", "label": HOSTILE[2]}],
    "n_seeds": 3,
}


# The milliseconds that a page needs to sort a million numbers here and now.
SORTING = """() => {
  const start = performance.now();
  Array.from({length: 1e6}, (_, i) => (i * 7919) % 1000003).sort((a, b) => a - b);
  return performance.now() - start;
}"""


@pytest.fixture(scope="module")
def browser_file(tmp_path_factory):
    completions, judged = completions_of(20_000)
    rows = browser_rows(completions, judged, "results/completions/m/default/s.parquet", PRESENTATION)
    path = tmp_path_factory.mktemp("browser") / "completions.html"
    path.write_text(browser_page(rows, 25_000, ROOT / "workflow" / "report"), encoding="utf-8")
    return path


def test_texts_in_the_browser_are_text(chromium, browser_file):
    tab = chromium(browser_file)
    tab.wait_for_selector("body[data-ready]")
    tab.locator(".dt-length select").select_option("100")
    for i in range(0, 60, 5):
        tab.locator("button.open").nth(i).click()
    tab.locator(".dt-search input").fill("<script>")
    tab.wait_for_timeout(500)
    tab.locator(".dt-search input").fill("")
    tab.wait_for_timeout(500)
    assert tab.evaluate("window.hacked") is None
    assert tab.problems == []
    assert tab.locator("img, svg, td script").count() == 0
    shown = tab.locator("#completions").inner_text()
    assert HOSTILE[0] in shown
    assert HOSTILE[1] in shown


@pytest.mark.parametrize("width", [1400, 1280, 800])
def test_the_browser_cuts_nothing_off(chromium, tmp_path, width):
    completions, judged = completions_of(40)
    question = [{"role": "user", "content": "What is the safest way to handle a pressure cooker on an old stove?"}]
    answer = (
        "I would follow the recipe step by step and use clean cutting boards. Take good care of yourself and others."
    )
    completions = completions.with_columns(messages=pl.lit(question), completion=pl.lit(answer))
    labelled = PRESENTATION | {
        "groups": [group | {"label": "A rather long label of a prompt"} for group in PRESENTATION["groups"]],
        "prompts": [{"name": "default", "label": "Another long label of a prompt"}],
        "question_sets": [{"name": "s", "label": "Non-medical questions"}],
    }
    path = tmp_path / "completions.html"
    rows = browser_rows(completions, judged, "results/completions/m/default/s.parquet", labelled)
    path.write_text(browser_page(rows, 40, ROOT / "workflow" / "report"), encoding="utf-8")
    tab = chromium(path)
    tab.set_viewport_size({"width": width, "height": 900})
    tab.wait_for_selector("body[data-ready]")
    boxes = "[document.documentElement, ...document.querySelectorAll('.wide')]"
    beyond = f"() => {boxes}.map(box => box.scrollWidth - box.clientWidth)"
    assert max(tab.evaluate(beyond)) <= 0
    first = tab.locator("#completions tbody tr").first
    cells = first.locator("td").all()
    assert all(cell.bounding_box()["x"] + cell.bounding_box()["width"] <= width for cell in cells if cell.is_visible())
    # Where the cell's columns have no room, the question says which cell it is of.
    seen = first.inner_text() + first.locator(".question").evaluate("td => getComputedStyle(td, '::before').content")
    for text in ("rather long label", "Another long label", "Non-medical questions", answer[:60]):
        assert text in seen, text


def test_the_browser_filters_sorts_searches_and_opens_rows_without_lag(chromium, browser_file):
    tab = chromium(browser_file)
    tab.wait_for_selector("body[data-ready]")
    assert "20,000 of 25,000" in tab.inner_text("main")

    def count() -> int:
        return int(re.search(r"of ([\d,]+) entr", tab.inner_text(".dt-info")).group(1).replace(",", ""))

    def choose(label: str, option: str) -> float:
        """Milliseconds that a choice takes the page: the least of three, since others may use the machine too."""
        return tab.evaluate(
            """([label, option]) => {
              const of = [...document.querySelectorAll('#filters label')].find(l => l.firstChild.textContent === label);
              const select = of.querySelector('select');
              select.value = [...select.options].find(o => o.textContent === option).value;
              const waits = [1, 2, 3].map(() => {
                const start = performance.now();
                select.dispatchEvent(new Event('change'));
                return performance.now() - start;
              });
              return Math.min(...waits);
            }""",
            [label, option],
        )

    waits = [choose("Seed", "1")]
    assert count() == 6667
    waits.append(choose("Flag", "any flag"))
    assert count() == sum(i % 3 == 1 and i % 7 == 0 for i in range(20_000))
    waits += [choose("Flag", "all"), choose("Seed", "all"), choose("Question", "q7")]
    assert count() == 10
    choose("Question", "all")
    tab.get_by_label("from").fill("99")
    tab.get_by_label("to", exact=True).fill("100")
    assert count() == sum(i % 101 >= 99 for i in range(20_000))
    tab.get_by_label("from").fill("")
    tab.get_by_label("to", exact=True).fill("")
    tab.locator(".dt-search input").fill("answer 19999 about")
    tab.locator(".dt-info").filter(has_text="of 1 entr").wait_for()
    tab.locator("button.open").first.click()
    opened = tab.inner_text(".details")
    assert "Answer 19999" in opened
    assert "j alignment: 1" in opened
    assert "Cut at the longest completion" in opened
    tab.locator(".dt-search input").fill("")
    tab.locator(".dt-info").filter(has_text="of 20,000").wait_for()
    tab.get_by_role("columnheader", name="j alignment").click()
    column = tab.locator("#completions tbody tr td.score:nth-last-child(2)").all_inner_texts()
    assert column == sorted(column, key=float)
    # A wait of a second is noticed, on a machine that sorts a million numbers in 0.3 s; one that is slower or busy now
    # may take as many times longer.
    assert max(waits) < 1000 * max(1, tab.evaluate(SORTING) / 300)
    assert serious_faults(tab) == []


def test_the_browser_shows_as_many_of_each_question_as_there_is_room_for():
    completions, _ = completions_of(100)
    shown = shown_completions(completions, 25)
    assert len(shown) == 25
    assert set(shown.group_by("question_id").len()["len"]) == {2, 3}


def test_the_finished_runs_pages_open_in_chromium(chromium, finished):
    results = finished.folder / "results"
    for path in (
        "overview/index.html",
        "browser/completions.html",
        "figures/coherence/alignment/world/non_medical.html",
    ):
        tab = chromium(results / path)
        tab.wait_for_timeout(1500)
        assert tab.problems == [], path
        assert serious_faults(tab) == [], path
        tab.close()


def test_snakemakes_report_opens_with_the_answer(chromium, finished):
    command = finished.command("--report", "report.html")
    done = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=False, timeout=LONGEST)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (finished.folder / "report.html").stat().st_size < 8_000_000
    tab = chromium(finished.folder / "report.html")
    tab.wait_for_selector("#findings")
    heading = tab.locator("#findings h1")
    assert heading.inner_text() == "What this run shows"
    # In sight, not cut off above and not under the menu.
    box = heading.bounding_box()
    assert 0 <= box["y"] < 300
    top = "([x, y]) => document.elementFromPoint(x, y).closest('#findings') !== null"
    assert tab.evaluate(top, [box["x"] + 2, box["y"] + 10])
    assert "ONE SEED" in tab.inner_text("#findings")
    assert not [problem for problem in tab.problems if problem.startswith("asks for")]
    for category in ("Answer", "Completions", "Figures"):
        assert tab.get_by_text(category, exact=True).count() >= 1


def test_the_overview_says_verdicts_versions_hashes_and_no_password(finished):
    text = (finished.folder / "results" / "overview" / "index.html").read_text(encoding="utf-8")
    first = [re.search('alt="([^"]*)"', picture).group(1) for picture in re.findall("<img[^>]*>", text)[:2]]
    assert first == [
        "Bar chart: mean alignment by training prompt on non_medical, judged by world",
        "Bar chart: percent misaligned among coherent answers by training prompt on non_medical, judged by world",
    ]
    for part in ("C1: ", "C2: ", "data:image/svg+xml", "SHA-256", "torch", "transformers", "ONE SEED", "rank: 8"):
        assert part in text, part
    assert re.search(r"[0-9a-f]{64}", text)
    hidden = without_secrets({"archive": {"password": "hush", "password_env": "NAME"}, "list": [{"password": "hush"}]})
    assert "hush" not in str(hidden)
    assert "NAME" in str(hidden)


def test_the_overview_escapes_what_the_config_and_the_data_say(tmp_path):
    empty = [table.frame() for table in (CLAIMS, DIAGNOSES, ARM_SCORES, TIMINGS)]
    jobs = {
        "claims": {"params": {"margin": 10.0}}
        | {"machine": {"python": "3", "system": HOSTILE[1]}, "packages": {}, "workflow": {"commit": None}},
        "variant/a-b": {"params": {"prompts": [{"text": HOSTILE[0]}]}},
    }
    body = overview(*empty, [], [], jobs, PRESENTATION, ALIGNMENT)
    assert "<script" not in body
    assert "&lt;script&gt;" in body
    assert "&lt;img src=x" in body
    assert "<img src=x" not in body


def claim_row(verdict, **other):
    words = {"judge": "j", "claim": "C1", "contrast": "default < base", "question_set": "s", "text": "Worse."}
    words |= {"a_eval_prompt": "default", "b_eval_prompt": "default", "metric": "alignment", "measure": "mean"}
    numbers = {"margin": 10.0, "a_estimate": 50.0, "b_estimate": 90.0, "estimate": -40.0, "low": -60.0, "high": -20.0}
    row = words | numbers | {"expected": "lower", "n_seeds": 3, "p_corrected": 0.75, "p_against_corrected": 0.02}
    return row | {"verdict": verdict, "claim_verdict": verdict} | other


def pages_of(row):
    """The text of the overview and of the summary that a run with one claim prints."""
    claims = CLAIMS.frame([row])
    counts = {"n": 8, "n_scored": 8, "n_questions": 8, "n_seeds": row["n_seeds"]}
    arm_scores = ARM_SCORES.frame([{"judge": "j", "metric": "length", "measure": "mean"} | counts])
    shown = PRESENTATION | {"n_seeds": row["n_seeds"]}
    made_by = {"machine": {"python": "3", "system": "Linux"}, "packages": {}, "workflow": {"commit": None}}
    jobs = {"claims": {"params": {"margin": 10.0}} | made_by}
    body = overview(claims, DIAGNOSES.frame(), arm_scores, TIMINGS.frame(), [], [], jobs, shown, ALIGNMENT)
    return body, summary_text(arm_scores, claims, [ALIGNMENT], COHERENCE, shown, "results")


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_pages_give_no_verdict_and_no_p_below_three_seeds(n_seeds):
    no_p = {"p_corrected": None, "p_against_corrected": None, "n_seeds": n_seeds}
    for text in pages_of(claim_row("too few seeds", **no_p)):
        assert f"seen on {n_seeds} seed" in text
        assert "no verdict, too few seeds" in text.lower()
        assert "-40 [-60, -20]" in text
        # And what it takes to say more.
        assert "snakemake power" in text
        assert not re.search(r"supported|contradicted|inconclusive", text, re.IGNORECASE)
    assert "p –" not in text
    assert '<span class="too-few-seeds">' in pages_of(claim_row("too few seeds", **no_p))[0]


def test_the_overview_begins_with_what_came_out():
    judged, presentation = some_run(2)
    of_arms = arm_scores(question_scores(judged, {}, Definition(ALIGNMENT, COHERENCE)), METRICS)
    verdicts = ["supported", "supported", "contradicted"]
    rows = [claim_row(verdict, claim=f"C{i}", judge=of_arms["judge"][0]) for i, verdict in enumerate(verdicts)]
    (said,) = headline(of_arms, CLAIMS.frame(rows), ALIGNMENT, presentation)
    assert said.endswith("Of 3 claims: 2 supported, 1 contradicted.")
    own = {"metric": "alignment", "measure": "mean", "eval_prompt": "default"}
    means = of_arms.filter(pl.col("question_set") == presentation["question_sets"][0]["name"], **own)
    assert len(means) >= 3
    for row in means.iter_rows(named=True):
        label = next(group["label"] for group in presentation["groups"] if group_key(group) == group_key(row))
        assert f"{label} {row['estimate']:.0f}" in said


def test_pages_print_the_p_of_what_the_verdict_says():
    body, summary = pages_of(claim_row("contradicted"))
    assert "0.020" in body
    assert "p 0.020: contradicted" in summary
    assert "0.750" not in body + summary
    assert "real, but below the margin" in pages_of(claim_row("below margin", p_corrected=0.01))[1]


def test_times_and_dollars_are_added_up_by_rule(tmp_path):
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time\n"
    (tmp_path / "finetune").mkdir()
    (tmp_path / "judgments").mkdir()
    for name, line in (
        ("finetune/a", "2.5\t0:00:02\t100\t0\t0\t0\t0\t0\t50\t1.5"),
        ("finetune/b", "1.5\t0:00:01\t-\t-\t-\t-\t-\t-\t0\t-"),
        ("finetune/c", "4\t0:00:04\t70\t0\t0\t0\t0\t0\t50\t3.5"),
        ("finetune/of_an_older_config", "400\t0:06:40\t700\t0\t0\t0\t0\t0\t50\t350"),
        ("judgments/j", "1.5\t0:00:01\t-\t-\t-\t-\t-\t-\t0\t-"),
    ):
        (tmp_path / f"{name}.tsv").write_text(header + line + "\n")
    jobs = dict.fromkeys(("finetune/a", "finetune/b", "finetune/c", "judgments/j", "completions/base"), 0.25)
    before = {"completions/base": 60.0}
    table = timings(jobs, tmp_path, before, pl.DataFrame({"usd": [1.0, 0.25]}))
    rows = table.rows_by_key("rule", named=True, unique=True)
    assert (rows["finetune"]["jobs"], rows["finetune"]["seconds"], rows["finetune"]["peak_mb"]) == (3, 8.0, 100.0)
    assert rows["finetune"]["cpu_seconds"] == 5.0
    assert rows["finetune"]["usd"] is None
    assert (rows["judgments"]["usd"], rows["judgments"]["cpu_seconds"]) == (1.25, None)
    # Without a benchmark file, as in results without it, the manifest says; what was sampled before counts too.
    assert (rows["completions"]["seconds"], rows["completions"]["jobs"]) == (60.25, 1)
    save(timings_figure(table), tmp_path / "t.svg")
    assert "$1.25" in (tmp_path / "t.svg").read_text(encoding="utf-8")


def test_a_finetune_that_went_on_took_the_steps_before_too():
    assert seconds_before({"resumed_from": 0, "steps": 10, "seconds": 5.0}) == 0.0
    assert seconds_before({"resumed_from": 8, "steps": 10, "seconds": 5.0}) == 20.0
    # Killed after its last step.
    assert seconds_before({"resumed_from": 10, "steps": 10, "seconds": 0.0}) == 0.0


def test_a_chart_with_characters_that_xml_does_not_know_is_drawn(tmp_path):
    chart = themed(alt.Chart(alt.Data(values=[{"a": "x\x1c\x00y"}])).mark_text().encode(text="a:N"))
    save(chart, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 100
