"""From datasets to what models are trained on and asked: advice, dataset, variant, questions."""


rule advice:
    input:
        world=config["world"],
    output:
        "<results>/advice/{dataset}.jsonl",
    log:
        "<logs>/advice/{dataset}.log",
    benchmark:
        "<benchmarks>/advice/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(config["datasets"][wildcards.dataset]["world"]),
        code=code("advice"),
    message:
        "Writing the miniature's dataset {wildcards.dataset}"
    script:
        "../scripts/advice.py"


rule dataset:
    input:
        rows=dataset_source,
    output:
        train="<results>/dataset/{dataset}/train.parquet",
        heldout="<results>/dataset/{dataset}/heldout.parquet",
    log:
        "<logs>/dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/dataset/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(experiment.split_settings(wildcards.dataset)),
        code=code("dataset"),
    message:
        "Splitting dataset {wildcards.dataset} into training and held-out rows"
    script:
        "../scripts/dataset.py"


rule variant:
    input:
        train="<results>/dataset/{dataset}/train.parquet",
    output:
        "<results>/variant/{dataset}-{training_prompt}.parquet",
    log:
        "<logs>/variant/{dataset}-{training_prompt}.log",
    benchmark:
        "<benchmarks>/variant/{dataset}-{training_prompt}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        system_prompt=lambda wildcards: as_json(experiment.system_prompt(wildcards.training_prompt)),
        code=code("variant"),
    message:
        "Putting the training prompt {wildcards.training_prompt} into {wildcards.dataset}"
    script:
        "../scripts/variant.py"


rule questions:
    input:
        source=question_source,
    output:
        "<results>/questions/{question_set}.parquet",
    log:
        "<logs>/questions/{question_set}.log",
    benchmark:
        "<benchmarks>/questions/{question_set}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(experiment.question_settings(wildcards.question_set)),
        code=code("questions"),
    message:
        "Writing the question set {wildcards.question_set}"
    script:
        "../scripts/questions.py"
