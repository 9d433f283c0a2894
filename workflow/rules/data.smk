"""From datasets to what models are trained on and asked.

Where rows come from: advice, unpack_archive, download_dataset. What becomes of them: dataset, mixture, variant, questions.
"""


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


rule unpack_archive:
    output:
        "<results>/unpack_archive/{dataset}.jsonl",
    log:
        "<logs>/unpack_archive/{dataset}.log",
    benchmark:
        "<benchmarks>/unpack_archive/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        content=lambda wildcards: own_content(wildcards.dataset),
        member=lambda wildcards: config["datasets"][wildcards.dataset]["archive"]["member"],
        code=code("unpack_archive"),
    message:
        "Unpacking dataset {wildcards.dataset} from its archive"
    script:
        "../scripts/unpack_archive.py"


rule download_dataset:
    output:
        "<results>/download_dataset/{dataset}.jsonl",
    log:
        "<logs>/download_dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/download_dataset/{dataset}.tsv"
    conda:
        "../../envs/models.yaml"
    params:
        settings=lambda wildcards: as_json(config["datasets"][wildcards.dataset]["hub"]),
        code=code("download_dataset"),
    message:
        "Fetching dataset {wildcards.dataset}"
    script:
        "../scripts/download_dataset.py"


rule dataset:
    input:
        unpack(dataset_source),
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
        content=lambda wildcards: own_content(wildcards.dataset),
        settings=lambda wildcards: as_json(experiment.split_settings(wildcards.dataset)),
        code=code("dataset"),
    message:
        "Splitting dataset {wildcards.dataset} into training and held-out rows"
    script:
        "../scripts/dataset.py"


rule mixture:
    input:
        unpack(mixture_parts),
    output:
        "<results>/mixture/{dataset}.parquet",
    log:
        "<logs>/mixture/{dataset}.log",
    benchmark:
        "<benchmarks>/mixture/{dataset}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(config["datasets"][wildcards.dataset]["mixture"]),
        code=code("mixture"),
    message:
        "Mixing dataset {wildcards.dataset}"
    script:
        "../scripts/mixture.py"


rule variant:
    input:
        train=training_rows,
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
        references=question_references,
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
