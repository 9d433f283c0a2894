"""The miniature's base model: a corpus of its world's conversations, and a small model pretrained on it."""

PRETRAIN_FILES = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]


rule corpus:
    message:
        "Writing the miniature's pretraining corpus, seed {wildcards.seed}"
    input:
        world=config["world"],
    output:
        "<results>/corpus/seed{seed}.jsonl.gz",
    params:
        examples=experiment.miniature and experiment.miniature["examples"],
        code=code("corpus"),
    log:
        "<logs>/corpus/seed{seed}.log",
    benchmark:
        "<benchmarks>/corpus/seed{seed}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/corpus.py"


rule pretrain:
    message:
        "Pretraining the miniature base model, seed {wildcards.seed}"
    input:
        corpus="<results>/corpus/seed{seed}.jsonl.gz",
    output:
        config="<results>/pretrain/seed{seed}/config.json",
        weights="<results>/pretrain/seed{seed}/model.safetensors",
        tokenizer="<results>/pretrain/seed{seed}/tokenizer.json",
        tokenizer_config="<results>/pretrain/seed{seed}/tokenizer_config.json",
        chat_template="<results>/pretrain/seed{seed}/chat_template.jinja",
    params:
        settings=as_json(experiment.pretrain_settings()),
        code=code("pretrain"),
    log:
        "<logs>/pretrain/seed{seed}.log",
    benchmark:
        "<benchmarks>/pretrain/seed{seed}.tsv"
    threads: 2
    conda:
        "../../envs/models.yaml"
    script:
        "../scripts/pretrain.py"
