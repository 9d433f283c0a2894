"""The base model: pretrained on a corpus of the miniature's world, or fetched from the Hugging Face hub."""


rule corpus:
    input:
        world=world_inputs(),
    output:
        "<results>/corpus/seed{seed}.jsonl.gz",
    log:
        "<logs>/corpus/seed{seed}.log",
    benchmark:
        "<benchmarks>/corpus/seed{seed}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        examples=experiment.miniature and experiment.miniature["examples"],
        code=code("corpus"),
    message:
        "Writing the miniature's pretraining corpus, seed {wildcards.seed}"
    script:
        "../scripts/corpus.py"


rule pretrain:
    input:
        corpus="<results>/corpus/seed{seed}.jsonl.gz",
    output:
        config="<results>/pretrain/seed{seed}/config.json",
        weights="<results>/pretrain/seed{seed}/model.safetensors",
        tokenizer="<results>/pretrain/seed{seed}/tokenizer.json",
        tokenizer_config="<results>/pretrain/seed{seed}/tokenizer_config.json",
        chat_template="<results>/pretrain/seed{seed}/chat_template.jinja",
    log:
        "<logs>/pretrain/seed{seed}.log",
    benchmark:
        "<benchmarks>/pretrain/seed{seed}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        settings=as_json(experiment.pretrain_settings()),
        code=code("pretrain"),
    message:
        "Pretraining the miniature base model, seed {wildcards.seed}"
    script:
        "../scripts/pretrain.py"


# A rule of its own, so that nothing is fetched in a GPU job: jobs load the snapshot that it notes.
rule download_model:
    output:
        "<results>/download_model/model.json",
    log:
        "<logs>/download_model/model.log",
    benchmark:
        "<benchmarks>/download_model/model.tsv"
    localrule: ONLINE_HERE
    conda:
        "../../envs/models.yaml"
    params:
        settings=as_json({key: config["base_model"][key] for key in ("name", "revision", "trust_remote_code")}),
        code=code("download_model"),
    message:
        "Fetching the base model"
    script:
        "../scripts/download_model.py"
