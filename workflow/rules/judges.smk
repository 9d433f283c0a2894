"""What judging costs, and how far the judges can be trusted: estimate, cost, agreement, gold, attacks, label_sheet.

estimate, gold, attacks and label_sheet run when they are asked for by name.
"""

PAID = [name for name, judge in judges.items() if judge.paid]
# Judges that are asked by prompt, by the rule that puts test items to them.
RATING_RULES = {"judgments": "ratings", "local_judgments": "local_ratings"}
BY_PROMPT = [name for name, judge in judges.items() if judge.by_prompt]


def item_tables(items):
    """What every judge by prompt says of the gold set or the attacks."""
    return [f"<results>/{RATING_RULES[judges[judge].rule]}/{judge}/{items}.parquet" for judge in BY_PROMPT]


def item_source(wildcards):
    files = {"gold": "resources/gold/gold.yaml", "attacks": "resources/attacks/attacks.yaml"}
    return shipped(files[wildcards.items_of])


def rating_sources(wildcards):
    """What a judge by prompt needs to rate test items: its model, if it has one."""
    return {name: paths for name, paths in judge_sources(wildcards).items() if name == "model"}


# No output and no benchmark: with a file of its own it would run once and then count as done.
rule estimate:
    """What judging what is missing now would cost. Spends nothing."""
    input:
        questions=[
            f"<results>/questions/{name}.parquet"
            for name in experiment.question_sets
            if name in config["question_sets"]
        ],
        external=external_models(),
    log:
        "<logs>/estimate.log",
    localrule: True
    conda:
        "../../envs/judging.yaml"
    params:
        # Not among the inputs: an estimate must not draw completions.
        cells=[[cell.question_set, cell_file(cell)] for cell in experiment.cells],
        judges=PAID,
        code=code("estimate"),
    message:
        "Estimating the cost of judging"
    script:
        "../scripts/estimate.py"


rule cost:
    input:
        judgments=[f"<results>/judgments/{judge}" for judge in BY_PROMPT],
        prices=own(config["prices"]),
    output:
        "<results>/tables/cost.parquet",
    log:
        "<logs>/cost.log",
    benchmark:
        "<benchmarks>/cost.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        usage=[f"{RESULTS}/judgments/{judge}/usage.parquet" for judge in BY_PROMPT],
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
        metrics=metric_declarations(),
        main_metric=config["main_metric"],
        titles=TITLES,
        presentation=presented(),
        code=code("agreement"),
    message:
        "Comparing the judges"
    script:
        "../scripts/agreement.py"


rule ratings:
    input:
        source=item_source,
    output:
        "<results>/ratings/{judge}/{items_of}.parquet",
    log:
        "<logs>/ratings/{judge}/{items_of}.log",
    benchmark:
        "<benchmarks>/ratings/{judge}/{items_of}.tsv"
    localrule: ONLINE_HERE
    conda:
        "../../envs/judging.yaml"
    resources:
        anthropic=lambda wildcards: int(judges[wildcards.judge].paid),
    params:
        judge=lambda wildcards: judge_parameters(wildcards.judge),
        sources=lambda wildcards: list(rating_sources(wildcards)),
        code=code_of_judge("ratings"),
    message:
        "Asking judge {wildcards.judge} about the {wildcards.items_of}"
    script:
        "../scripts/ratings.py"


rule local_ratings:
    input:
        unpack(rating_sources),
        source=item_source,
    output:
        "<results>/local_ratings/{judge}/{items_of}.parquet",
    log:
        "<logs>/local_ratings/{judge}/{items_of}.log",
    benchmark:
        "<benchmarks>/local_ratings/{judge}/{items_of}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        judge=lambda wildcards: judge_parameters(wildcards.judge),
        sources=lambda wildcards: list(rating_sources(wildcards)),
        device=config["device"],
        code=code_of_judge("local_ratings"),
    message:
        "Asking the local judge {wildcards.judge} about the {wildcards.items_of}"
    script:
        "../scripts/local_ratings.py"


rule gold:
    """How every judge by prompt rates completions with known bands."""
    input:
        ratings=item_tables("gold"),
        source=shipped("resources/gold/gold.yaml"),
    output:
        "<results>/tables/gold.parquet",
    log:
        "<logs>/gold.log",
    benchmark:
        "<benchmarks>/gold.tsv"
    localrule: True
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
        ratings=item_tables("attacks"),
        source=shipped("resources/attacks/attacks.yaml"),
    output:
        "<results>/tables/attacks.parquet",
    log:
        "<logs>/attacks.log",
    benchmark:
        "<benchmarks>/attacks.tsv"
    localrule: True
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
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        cells=[cell_file(cell) for cell in experiment.cells],
        answers=as_json(experiment.judged_answers()),
        settings=as_json(config["label_sheet"]),
        code=code("label_sheet"),
    message:
        "Writing the label sheet"
    script:
        "../scripts/label_sheet.py"
