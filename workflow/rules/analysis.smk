"""From judgments to numbers: scores and claims; power, when it is asked for."""

# The tables that rule scores makes (src/organisms/analysis/tables.py; not imported here, for polars is heavy).
SCORE_TABLES = [
    *("scores", "arm_scores", "question_scores", "question_cuts", "threshold_grid"),
    *("variance", "length_effect", "distributions", "flags"),
]
CLAIM_TABLES = ["claims", "claim_grid", "diagnoses"]
SENSITIVITY_TABLES = ["sensitivity", "rating_correlations"]


def rated_metric(question_set):
    """The metric that answers to a question set are ratings by; None if they rate nothing."""
    entry = config["question_sets"].get(question_set, {})
    return entry["rates"] if entry.get("rating_of") else None


def asks_sensitivity():
    """Whether the config asks how sensitive models are to nudges, or has a judged question set rate another."""
    return bool(config["judges"] and (NUDGES or any(map(rated_metric, experiment.question_sets))))


def sensitivity_table(name):
    """A table of rule sensitivity, as an input; none if the config does not ask for it."""
    return f"<results>/tables/{name}.parquet" if asks_sensitivity() else []


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
