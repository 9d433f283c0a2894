"""What each judge says of each cell's completions."""


rule judgments:
    input:
        completions="<results>/completions/{model}/{eval_prompt}/{question_set}.parquet",
        world=config["world"],
    output:
        "<results>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.parquet",
    log:
        "<logs>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.log",
    benchmark:
        "<benchmarks>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.tsv"
    conda:
        "../../envs/data.yaml"
    params:
        judge=lambda wildcards: as_json(config["judges"][wildcards.judge]),
        code=code("judgments"),
    message:
        "Judging {wildcards.model} under {wildcards.eval_prompt} on {wildcards.question_set} by {wildcards.judge}"
    script:
        "../scripts/judgments.py"
