"""What each model answers in each cell, model × eval prompt × question set; and completions made elsewhere."""


# One job for all cells of a model: it is loaded once. What was drawn is kept beside the output, so that a changed cell
# draws itself and nothing else.
rule completions:
    input:
        unpack(model_files),
        questions=questions_of_model,
    output:
        directory("<results>/completions/{model}"),
    log:
        "<logs>/completions/{model}.log",
    benchmark:
        "<benchmarks>/completions/{model}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        cells=lambda wildcards: as_json(experiment.cells_of(wildcards.model)),
        drawn=lambda wildcards: f"{config['results']}/drawn/{wildcards.model}.sqlite",
        code=code("completions"),
    message:
        "Asking {wildcards.model} all its questions"
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
