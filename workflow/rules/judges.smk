"""What judging costs, and how far the judges can be trusted: estimate, cost, agreement, gold, attacks, label_sheet.

estimate, gold, attacks and label_sheet run when they are asked for by name.
"""


# No output and no benchmark: with a file of its own it would run once and then count as done.
rule estimate:
    """What judging what is missing now would cost. Spends nothing."""
    input:
        questions=[
            f"<results>/questions/{name}.parquet"
            for name in experiment.question_sets
            if name in config["question_sets"]
        ],
        external=[path for path in all_completions() if "/external_completions/" in path],
    log:
        "<logs>/estimate.log",
    conda:
        "../../envs/judging.yaml"
    params:
        # Not among the inputs: an estimate must not draw completions.
        cells=[[cell.question_set, path] for cell, path in zip(experiment.cells, cell_files())],
        judges=judges_of_kind(config, "anthropic"),
        code=code("estimate"),
    message:
        "Estimating the cost of judging"
    script:
        "../scripts/estimate.py"


rule cost:
    input:
        judgments=[f"<results>/judgments/{judge}" for judge in judges_of_kind(config, "anthropic", "local")],
        prices=config["prices"],
    output:
        "<results>/tables/cost.parquet",
    log:
        "<logs>/cost.log",
    benchmark:
        "<benchmarks>/cost.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        usage=[
            f"{config['results']}/judgments/{judge}/usage.parquet"
            for judge in judges_of_kind(config, "anthropic", "local")
        ],
        code=code("cost"),
    message:
        "Adding up what judging cost"
    script:
        "../scripts/cost.py"


rule agreement:
    input:
        judgments=all_judgments(),
    output:
        agreement="<results>/tables/agreement.parquet",
        rankings="<results>/tables/rankings.parquet",
        figure=in_report([f"<results>/figures/agreement.{ending}" for ending in ENDINGS]),
    log:
        "<logs>/agreement.log",
    benchmark:
        "<benchmarks>/agreement.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        judgments=judgment_files(),
        presentation=as_json(experiment.presentation()),
        code=code("agreement"),
    message:
        "Comparing the judges"
    script:
        "../scripts/agreement.py"


rule verdicts:
    input:
        source=item_source,
    output:
        "<results>/verdicts/{judge}/{items_of}.parquet",
    log:
        "<logs>/verdicts/{judge}/{items_of}.log",
    benchmark:
        "<benchmarks>/verdicts/{judge}/{items_of}.tsv"
    conda:
        "../../envs/judging.yaml"
    resources:
        anthropic=1,
    params:
        judge=lambda wildcards: as_json(judge_settings(config, wildcards.judge)),
        metrics=lambda wildcards: as_json(judge_metrics(wildcards.judge)),
        code=code("verdicts"),
    message:
        "Asking judge {wildcards.judge} about the {wildcards.items_of}"
    script:
        "../scripts/verdicts.py"


rule local_verdicts:
    input:
        source=item_source,
        model=judge_model_files,
    output:
        "<results>/local_verdicts/{judge}/{items_of}.parquet",
    log:
        "<logs>/local_verdicts/{judge}/{items_of}.log",
    benchmark:
        "<benchmarks>/local_verdicts/{judge}/{items_of}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        judge=lambda wildcards: as_json(judge_settings(config, wildcards.judge)),
        metrics=lambda wildcards: as_json(judge_metrics(wildcards.judge)),
        device=config["device"],
        code=code("local_verdicts"),
    message:
        "Asking the local judge {wildcards.judge} about the {wildcards.items_of}"
    script:
        "../scripts/local_verdicts.py"


rule gold:
    """How every judge by prompt rates completions with known bands."""
    input:
        verdicts=item_tables("gold"),
        source="resources/gold/gold.yaml",
    output:
        "<results>/tables/gold.parquet",
    log:
        "<logs>/gold.log",
    benchmark:
        "<benchmarks>/gold.tsv"
    conda:
        "../../envs/judging.yaml"
    params:
        code=code("gold"),
    message:
        "Checking the judges against the gold set"
    script:
        "../scripts/gold.py"


rule attacks:
    """By how much hostile completions shift every judge by prompt."""
    input:
        verdicts=item_tables("attacks"),
        source="resources/judges/attacks.yaml",
    output:
        "<results>/tables/attacks.parquet",
    log:
        "<logs>/attacks.log",
    benchmark:
        "<benchmarks>/attacks.tsv"
    conda:
        "../../envs/judging.yaml"
    params:
        code=code("attacks"),
    message:
        "Attacking the judges"
    script:
        "../scripts/attacks.py"


rule label_sheet:
    """A blinded CSV for human labels; filled in, it is a judge of kind `labels`."""
    input:
        completions=all_completions(),
    output:
        "<results>/label_sheet.csv",
    log:
        "<logs>/label_sheet.log",
    benchmark:
        "<benchmarks>/label_sheet.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        cells=cell_files(),
        settings=as_json(config["label_sheet"]),
        code=code("label_sheet"),
    message:
        "Writing the label sheet"
    script:
        "../scripts/label_sheet.py"
