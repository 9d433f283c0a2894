"""What each model answers in each cell: model × eval prompt × question set."""


def all_completions():
    return [
        f"<results>/completions/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        for cell in experiment.cells
    ]


def model_files(wildcards):
    """The base model's files, and the adapter if the model is a finetune."""
    model = experiment.models[wildcards.model]
    files = {"base": base_files(model.seed)}
    if model.variant:
        folder = f"<results>/finetune/{model.name}/adapter"
        files["adapter"] = f"{folder}/adapter_model.safetensors"
        files["adapter_config"] = f"{folder}/adapter_config.json"
    return files


rule completions:
    message:
        "Asking {wildcards.model} the questions {wildcards.question_set} under prompt {wildcards.eval_prompt}"
    input:
        unpack(model_files),
        questions="<results>/questions/{question_set}.parquet",
    output:
        "<results>/completions/{model}/{eval_prompt}/{question_set}.parquet",
    params:
        base=lambda wildcards: base_params(experiment.models[wildcards.model].seed),
        cell=lambda wildcards: as_json(experiment.cell_columns(**wildcards)),
        settings=lambda wildcards: as_json(experiment.completions_settings(wildcards.eval_prompt, wildcards.question_set)),
        code=code("completions"),
    log:
        "<logs>/completions/{model}/{eval_prompt}/{question_set}.log",
    benchmark:
        "<benchmarks>/completions/{model}/{eval_prompt}/{question_set}.tsv"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/completions.py"
