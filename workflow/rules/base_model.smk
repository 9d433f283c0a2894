"""The miniature's base model: a corpus of its world's conversations, and a small model pretrained on it."""


rule corpus:
    input:
        world=config["world"],
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
    params:
        settings=as_json(experiment.pretrain_settings()),
        code=code("pretrain"),
    message:
        "Pretraining the miniature base model, seed {wildcards.seed}"
    script:
        "../scripts/pretrain.py"
