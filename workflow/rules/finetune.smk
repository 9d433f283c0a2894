"""One LoRA finetune for each arm (dataset × training prompt × training method) and seed."""

from organisms.training.methods import module_of as method_module


def all_finetunes():
    """The adapters of all finished finetunes."""
    return [f"<results>/finetune/{model.name}/adapter/adapter_model.safetensors" for model in experiment.finetunes]


rule finetune:
    input:
        base=lambda wildcards: base_files(int(wildcards.seed)),
        variant=lambda wildcards: f"<results>/variant/{experiment.arms[wildcards.arm].variant}.parquet",
    output:
        adapter="<results>/finetune/{arm}-seed{seed}/adapter/adapter_model.safetensors",
        adapter_config="<results>/finetune/{arm}-seed{seed}/adapter/adapter_config.json",
        # One folder for the adapters of keep_steps, empty without: which outputs there are must not depend on the config.
        steps=directory("<results>/finetune/{arm}-seed{seed}/steps"),
        training="<results>/finetune/{arm}-seed{seed}/training.json",
        training_log="<results>/finetune/{arm}-seed{seed}/training_log.parquet",
    log:
        "<logs>/finetune/{arm}-seed{seed}.log",
    benchmark:
        "<benchmarks>/finetune/{arm}-seed{seed}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        settings=lambda wildcards: as_json(experiment.finetune_settings(wildcards.arm)),
        code=lambda wildcards: code(
            "finetune", method_module(experiment.method(experiment.arms[wildcards.arm])["kind"])
        ),
    message:
        "Finetuning {wildcards.arm}, seed {wildcards.seed}"
    script:
        "../scripts/finetune.py"
