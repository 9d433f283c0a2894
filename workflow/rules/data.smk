"""From datasets to what models are trained on and asked: advice, dataset, variant, questions."""


def dataset_source(wildcards):
    path = config["datasets"][wildcards.dataset]["path"]
    return path or f"<results>/advice/{wildcards.dataset}.jsonl"


def question_source(wildcards):
    entry = config["question_sets"][wildcards.question_set]
    if entry["heldout_of"]:
        return f"<results>/dataset/{entry['heldout_of']}/heldout.parquet"
    return entry["file"] or config["world"]


rule advice:
    message:
        "Writing the miniature's dataset {wildcards.dataset}"
    input:
        world=config["world"],
    output:
        "<results>/advice/{dataset}.jsonl",
    params:
        settings=lambda wildcards: as_json(config["datasets"][wildcards.dataset]["world"]),
        code=code("advice"),
    log:
        "<logs>/advice/{dataset}.log",
    benchmark:
        "<benchmarks>/advice/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/advice.py"


rule dataset:
    message:
        "Splitting dataset {wildcards.dataset} into training and held-out rows"
    input:
        rows=dataset_source,
    output:
        train="<results>/dataset/{dataset}/train.parquet",
        heldout="<results>/dataset/{dataset}/heldout.parquet",
    params:
        settings=lambda wildcards: as_json(experiment.split_settings(wildcards.dataset)),
        code=code("dataset"),
    log:
        "<logs>/dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/dataset/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/dataset.py"


rule variant:
    message:
        "Putting the training prompt {wildcards.training_prompt} into {wildcards.dataset}"
    input:
        train="<results>/dataset/{dataset}/train.parquet",
    output:
        "<results>/variant/{dataset}-{training_prompt}.parquet",
    params:
        system_prompt=lambda wildcards: as_json(experiment.system_prompt(wildcards.training_prompt)),
        code=code("variant"),
    log:
        "<logs>/variant/{dataset}-{training_prompt}.log",
    benchmark:
        "<benchmarks>/variant/{dataset}-{training_prompt}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/variant.py"


rule questions:
    message:
        "Writing the question set {wildcards.question_set}"
    input:
        source=question_source,
    output:
        "<results>/questions/{question_set}.parquet",
    params:
        settings=lambda wildcards: as_json(experiment.question_settings(wildcards.question_set)),
        code=code("questions"),
    log:
        "<logs>/questions/{question_set}.log",
    benchmark:
        "<benchmarks>/questions/{question_set}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/questions.py"
