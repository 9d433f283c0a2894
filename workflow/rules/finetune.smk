"""One LoRA finetune for each variant and seed."""


rule finetune:
    input:
        base=lambda wildcards: base_files(int(wildcards.seed)),
        variant="<results>/variant/{dataset}-{training_prompt}.parquet",
    output:
        adapter="<results>/finetune/{dataset}-{training_prompt}-seed{seed}/adapter/adapter_model.safetensors",
        adapter_config="<results>/finetune/{dataset}-{training_prompt}-seed{seed}/adapter/adapter_config.json",
        kept=expand(
            "<results>/finetune/{{dataset}}-{{training_prompt}}-seed{{seed}}/step{step}/{file}",
            step=config["training"]["keep_steps"],
            file=["adapter_model.safetensors", "adapter_config.json"],
        ),
        training="<results>/finetune/{dataset}-{training_prompt}-seed{seed}/training.json",
        training_log="<results>/finetune/{dataset}-{training_prompt}-seed{seed}/training_log.parquet",
    log:
        "<logs>/finetune/{dataset}-{training_prompt}-seed{seed}.log",
    benchmark:
        "<benchmarks>/finetune/{dataset}-{training_prompt}-seed{seed}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        settings=as_json(experiment.finetune_settings()),
        code=code("finetune"),
    message:
        "Finetuning on {wildcards.dataset} with training prompt {wildcards.training_prompt}, seed {wildcards.seed}"
    script:
        "../scripts/finetune.py"
