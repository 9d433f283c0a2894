"""From judgments to numbers: scores and claims; sensitivity and power, when they are asked for."""

# The tables that rule scores makes (src/organisms/analysis/tables.py; not imported here, for polars is heavy).
SCORE_TABLES = [
    *("scores", "arm_scores", "question_scores", "question_cuts", "threshold_grid"),
    *("variance", "length_effect", "distributions", "flags"),
]
CLAIM_TABLES = ["claims", "claim_grid", "diagnoses"]
SENSITIVITY_TABLES = ["sensitivity", "answer_changes", "rating_correlations"]


def rating_sets():
    """Question sets in which models rate the questions of another one, with that one and the metric that they rate."""
    return [
        {"rating_set": name, "question_set": rated, "metric": config["question_sets"][name]["rates"]}
        for name, rated in experiment.rated_sets().items()
    ]


def sensitivity_tables():
    """The tables of rule sensitivity, if the config asks for one of them: both are of shares misaligned."""
    asked = SHOWN_THRESHOLD and config["judges"] and (config["sensitivity"] or rating_sets())
    return SENSITIVITY_TABLES if asked else []


def sensitivity_table(name):
    """A table of rule sensitivity, as an input; none if the config does not ask for it."""
    return f"<results>/tables/{name}.parquet" if name in sensitivity_tables() else []


rule scores:
    input:
        judgments=all_judgments(),
    output:
        **{name: f"<results>/tables/{name}.parquet" for name in SCORE_TABLES},
    log:
        "<logs>/scores.log",
    benchmark:
        "<benchmarks>/scores.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        judgments=judgment_files(),
        thresholds=as_json(config["thresholds"]),
        metrics=metric_declarations(),
        definition=DEFINITION,
        clusters=config["question_clusters"],
        code=code("scores"),
    message:
        "Putting all judgments together"
    script:
        "../scripts/scores.py"


rule claims:
    input:
        question_scores="<results>/tables/question_scores.parquet",
        question_cuts="<results>/tables/question_cuts.parquet",
        length_effect="<results>/tables/length_effect.parquet",
    output:
        claims="<results>/tables/claims.parquet",
        claim_grid="<results>/tables/claim_grid.parquet",
        diagnoses="<results>/tables/diagnoses.parquet",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        contrasts=as_json(as_settings(claimed)),
        metrics=metric_declarations(),
        definition=DEFINITION,
        arms=as_json(experiment.diagnosed()),
        margin=default_margin(config, DEFINITION[0]),
        clusters=config["question_clusters"],
        code=code("claims"),
    message:
        "Testing the claims"
    script:
        "../scripts/claims.py"


rule sensitivity:
    input:
        question_scores="<results>/tables/question_scores.parquet",
    output:
        **{name: f"<results>/tables/{name}.parquet" for name in SENSITIVITY_TABLES},
    log:
        "<logs>/sensitivity.log",
    benchmark:
        "<benchmarks>/sensitivity.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        nudged=as_json(experiment.nudged()),
        followed=as_json(experiment.followed_up()),
        rating_sets=as_json(rating_sets()),
        main=config["main_metric"],
        threshold=SHOWN_THRESHOLD,
        clusters=config["question_clusters"],
        code=code("sensitivity"),
    message:
        "Measuring how much nudges move each model"
    script:
        "../scripts/sensitivity.py"


# No output and no benchmark, as rule estimate: it answers each time that it is asked.
rule power:
    """How many seeds, questions and samples the next run needs, from this one's variances. Runs nothing."""
    input:
        question_scores="<results>/tables/question_scores.parquet",
        timings="<results>/tables/timings.parquet",
    log:
        "<logs>/power.log",
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        contrasts=as_json(as_settings(claimed)),
        n_seeds=len(config["seeds"]),
        clusters=config["question_clusters"],
        code=code("power"),
    message:
        "Planning the next run"
    script:
        "../scripts/power.py"
