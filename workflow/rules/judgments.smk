"""What each judge says of each cell's completions: one folder per judge, in it one table per cell.

One job for all cells of a judge: so a batch is large, a model is loaded once, a budget is kept, and what is judged twice
is paid once.
"""


# A rule of its own, so that nothing is fetched in a GPU job.
rule download_judge:
    output:
        "<results>/download_judge/{judge}/model.json",
    log:
        "<logs>/download_judge/{judge}.log",
    benchmark:
        "<benchmarks>/download_judge/{judge}.tsv"
    conda:
        "../../envs/models.yaml"
    params:
        settings=lambda wildcards: as_json(
            {
                "name": config["judges"][wildcards.judge]["model"],
                "revision": config["judges"][wildcards.judge]["revision"],
            }
        ),
        code=code("download_judge"),
    message:
        "Fetching the model of judge {wildcards.judge}"
    script:
        "../scripts/download_judge.py"


# Money is spent here (and in rule verdicts) and nowhere else. What was bought lies in the ledger, outside of Snakemake's
# outputs, which a failed job loses.
rule judgments:
    input:
        unpack(judgment_sources),
    output:
        directory("<results>/judgments/{judge}"),
    log:
        "<logs>/judgments/{judge}.log",
    benchmark:
        "<benchmarks>/judgments/{judge}.tsv"
    wildcard_constraints:
        judge=one_of(judges_of_kind(config, "anthropic", "world", "labels")),
    conda:
        "../../envs/judging.yaml"
    resources:
        anthropic=lambda wildcards: int(config["judges"][wildcards.judge]["kind"] == "anthropic"),
    params:
        cells=cell_files(),
        judgments=lambda wildcards: judgment_files([wildcards.judge]),
        judge=lambda wildcards: as_json(judge_settings(config, wildcards.judge)),
        metrics=lambda wildcards: as_json(judge_metrics(wildcards.judge)),
        max_missing=lambda wildcards: config["judges"][wildcards.judge]["max_missing"],
        code=code("judgments"),
    message:
        "Judging all completions by {wildcards.judge}"
    script:
        "../scripts/judgments.py"


rule local_judgments:
    input:
        unpack(judgment_sources),
        model=judge_model_files,
    output:
        directory("<results>/judgments/{judge}"),
    log:
        "<logs>/local_judgments/{judge}.log",
    benchmark:
        "<benchmarks>/local_judgments/{judge}.tsv"
    wildcard_constraints:
        judge=one_of(judges_of_kind(config, "local")),
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        cells=cell_files(),
        judgments=lambda wildcards: judgment_files([wildcards.judge]),
        judge=lambda wildcards: as_json(judge_settings(config, wildcards.judge)),
        metrics=lambda wildcards: as_json(judge_metrics(wildcards.judge)),
        max_missing=lambda wildcards: config["judges"][wildcards.judge]["max_missing"],
        device=config["device"],
        code=code("local_judgments"),
    message:
        "Judging all completions by the local model {wildcards.judge}"
    script:
        "../scripts/local_judgments.py"


rule recorded_judgments:
    input:
        unpack(recorded_sources),
    output:
        directory("<results>/judgments/{judge}"),
    log:
        "<logs>/recorded_judgments/{judge}.log",
    benchmark:
        "<benchmarks>/recorded_judgments/{judge}.tsv"
    wildcard_constraints:
        judge=one_of(judges_of_kind(config, "recorded")),
    conda:
        "../../envs/data.yaml"
    params:
        judgments=lambda wildcards: judgment_files([wildcards.judge]),
        code=code("recorded_judgments"),
    message:
        "Taking over the scores of {wildcards.judge} that came with completions"
    script:
        "../scripts/recorded_judgments.py"
