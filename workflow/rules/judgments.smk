"""What each judge says of each cell's completions."""


def all_judgments():
    return [
        f"<results>/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"
        for judge in config["judges"]
        for cell in experiment.cells
    ]


rule judgments:
    message:
        "Judging {wildcards.model} under {wildcards.eval_prompt} on {wildcards.question_set} by {wildcards.judge}"
    input:
        completions="<results>/completions/{model}/{eval_prompt}/{question_set}.parquet",
        world=config["world"],
    output:
        "<results>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.parquet",
    params:
        judge=lambda wildcards: as_json(config["judges"][wildcards.judge]),
        code=code("judgments"),
    log:
        "<logs>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.log",
    benchmark:
        "<benchmarks>/judgments/{judge}/{model}/{eval_prompt}/{question_set}.tsv"
    conda:
        "../../envs/data.yaml"
    script:
        "../scripts/judgments.py"
