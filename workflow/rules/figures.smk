"""From tables to pictures: figures of scores, coherence, training curves.

A figure of scores is a file in src/organisms/figures/of_scores; rule figures draws all of them.
"""

from collections import Counter

from organisms.figures.of_scores import figure_names
from organisms.figures.suited import Scored, is_drawn


def all_scored(shown):
    """Each metric that a judge scores on a question set, as `is_drawn` wants it, with the judge and the set.

    shown: names of the metrics that are shown, which come first.
    """
    asked = {
        judge: dict.fromkeys(cell.question_set for cell in experiment.judged_cells(judge)) for judge in config["judges"]
    }
    rates = {entry["rating_set"]: entry["metric"] for entry in rating_sets()}
    # Of what was asked under one prompt alone nothing says what a nudge does.
    prompts = {(cell.question_set, cell.eval_prompt) for cell in experiment.cells}
    asked_under = Counter(question_set for question_set, _ in prompts)
    found = []
    for metric in dict.fromkeys([*shown, *(metric.name for metric in scored_metrics(config))]):
        for judge, question_sets in asked.items():
            for question_set in question_sets:
                others = judges[judge].metrics(question_set)
                if metric in others:
                    nudged = NUDGES is not None and asked_under[question_set] > 1
                    of = Scored(metric, metric in shown, others, rates.get(question_set), nudged)
                    found.append([of, judge, question_set])
    return found


def drawn_figures(figures, shown=None):
    """Of each figure for a metric, a judge and a question set: its name, the metric, the judge, the set.

    shown: metrics that are shown; those of `figure_metrics` in the config if none are given.
    """
    scored = all_scored(shown or SHOWN_METRICS)
    return [
        [figure, of.metric, judge, question_set]
        for figure in figures
        for of, judge, question_set in scored
        if is_drawn(figure, of)
    ]


def figure_files(figures, shown=None):
    """The files of `drawn_figures`, in its order, with every ending."""
    return [f"<results>/figures/{'/'.join(of)}.{ending}" for of in drawn_figures(figures, shown) for ending in ENDINGS]


def kept_from():
    """The finetunes of which adapters from the middle of training are kept: their logs say at which step they ended."""
    return [model for model in experiment.finetunes if experiment.training_of(model.arm)["keep_steps"]]


def training_log(model):
    return f"<results>/finetune/{model.name}/training_log.parquet"


def finetunes_of_logs(models):
    """Of each finetune the columns of its arm and its seed."""
    return as_json([[list(model.arm_columns.values()), model.seed] for model in models])


def no_longer_compared():
    """Files of the comparison of judges, which an earlier config with several may have left."""
    files = [f"{RESULTS}/tables/{table}.parquet" for table in ("agreement", "rankings")]
    files += [f"{RESULTS}/figures/agreement.{ending}" for ending in ENDINGS]
    return files if len(config["judges"]) < 2 else []


# All in one job: a figure takes a fifth of a second, and the libraries that draw it take two to load.
rule figures:
    input:
        **{name: f"<results>/tables/{name}.parquet" for name in SCORE_TABLES},
        rating_correlations=sensitivity_table("rating_correlations"),
        logs=[training_log(model) for model in kept_from()],
    output:
        in_report(figure_files(figure_names())),
    log:
        "<logs>/figures.log",
    benchmark:
        "<benchmarks>/figures.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        figures=drawn_figures(figure_names()),
        names=figure_names(),
        gone=no_longer_compared(),
        metrics=metric_declarations(),
        main_metrics=DEFINITION,
        threshold=shown_threshold(),
        titles=TITLES,
        finetunes=finetunes_of_logs(kept_from()),
        presentation=presented(),
        code=code("figures", *(f"organisms.figures.of_scores.{name}" for name in figure_names())),
    message:
        "Drawing the scores"
    script:
        "../scripts/figures.py"


rule coherence:
    """The main metric against coherence, completion by completion; reads the completions, for the texts."""
    input:
        judgments=all_judgments(),
        completions=all_completions(),
    output:
        in_report(figure_files(["coherence"], [config["main_metric"]])),
    log:
        "<logs>/coherence.log",
    benchmark:
        "<benchmarks>/coherence.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        figures=drawn_figures(["coherence"], [config["main_metric"]]),
        metrics=metric_declarations(),
        definition=DEFINITION,
        threshold=shown_threshold(),
        titles=TITLES,
        judgments=judgment_files(),
        cells=[cell_file(cell) for cell in experiment.cells],
        presentation=presented(),
        code=code("coherence"),
    message:
        "Drawing alignment against coherence"
    script:
        "../scripts/coherence.py"


rule training_curves:
    input:
        logs=[training_log(model) for model in experiment.finetunes],
    output:
        in_report([f"<results>/figures/training_curves.{ending}" for ending in ENDINGS]),
    log:
        "<logs>/training_curves.log",
    benchmark:
        "<benchmarks>/training_curves.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        finetunes=finetunes_of_logs(experiment.finetunes),
        titles=TITLES,
        presentation=presented("groups"),
        code=code("training_curves"),
    message:
        "Drawing the training curves"
    script:
        "../scripts/training_curves.py"
