"""What each model answers in each cell: model × eval prompt × question set; and completions made elsewhere."""


rule completions:
    input:
        unpack(model_files),
        questions="<results>/questions/{question_set}.parquet",
    output:
        "<results>/completions/{model}/{eval_prompt}/{question_set}.parquet",
    log:
        "<logs>/completions/{model}/{eval_prompt}/{question_set}.log",
    benchmark:
        "<benchmarks>/completions/{model}/{eval_prompt}/{question_set}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        cell=lambda wildcards: as_json(experiment.cell_columns(**wildcards)),
        settings=lambda wildcards: as_json(
            experiment.completions_settings(wildcards.eval_prompt, wildcards.question_set)
        ),
        code=code("completions"),
    message:
        "Asking {wildcards.model} the questions {wildcards.question_set} under prompt {wildcards.eval_prompt}"
    script:
        "../scripts/completions.py"


rule external_completions:
    input:
        lambda wildcards: config["external_completions"][wildcards.model]["path"],
    output:
        completions="<results>/external_completions/{model}/completions.parquet",
        scores="<results>/external_completions/{model}/scores.parquet",
    log:
        "<logs>/external_completions/{model}.log",
    benchmark:
        "<benchmarks>/external_completions/{model}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        entry=lambda wildcards: as_json(
            {key: value for key, value in config["external_completions"][wildcards.model].items() if key != "label"}
        ),
        code=code("external_completions"),
    message:
        "Reading the completions of {wildcards.model}"
    script:
        "../scripts/external_completions.py"
