"""What each model answers in each cell: model × eval prompt × question set."""


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
