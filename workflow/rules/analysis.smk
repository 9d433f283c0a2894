"""From judgments and training logs to numbers and pictures: scores, figures, training_curves, summary."""


rule scores:
    input:
        judgments=all_judgments(),
    output:
        scores="<results>/tables/scores.parquet",
        question_scores="<results>/tables/question_scores.parquet",
        flags="<results>/tables/flags.parquet",
    log:
        "<logs>/scores.log",
    benchmark:
        "<benchmarks>/scores.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        code=code("scores"),
    message:
        "Putting all judgments together"
    script:
        "../scripts/scores.py"


rule figures:
    input:
        scores="<results>/tables/scores.parquet",
        question_scores="<results>/tables/question_scores.parquet",
    output:
        png="<results>/figures/{judge}/{question_set}.png",
        svg="<results>/figures/{judge}/{question_set}.svg",
        html="<results>/figures/{judge}/{question_set}.html",
    log:
        "<logs>/figures/{judge}/{question_set}.log",
    benchmark:
        "<benchmarks>/figures/{judge}/{question_set}.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        presentation=as_json(experiment.presentation()),
        code=code("figures"),
    message:
        "Drawing alignment on {wildcards.question_set} by training prompt, judged by {wildcards.judge}"
    script:
        "../scripts/figures.py"


rule summary:
    input:
        scores="<results>/tables/scores.parquet",
    output:
        "<results>/summary.txt",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        presentation=as_json(experiment.presentation()),
        code=code("summary"),
    message:
        "Writing the summary"
    script:
        "../scripts/summary.py"


rule training_curves:
    input:
        logs=[f"<results>/finetune/{model.name}/training_log.parquet" for model in experiment.finetunes],
    output:
        png="<results>/figures/training_curves.png",
        svg="<results>/figures/training_curves.svg",
        html="<results>/figures/training_curves.html",
    log:
        "<logs>/training_curves.log",
    benchmark:
        "<benchmarks>/training_curves.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        finetunes=as_json([[m.variant.dataset, m.variant.training_prompt, m.seed] for m in experiment.finetunes]),
        presentation=as_json(experiment.presentation()),
        code=code("training_curves"),
    message:
        "Drawing the training curves"
    script:
        "../scripts/training_curves.py"
