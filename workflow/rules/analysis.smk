"""From judgments to numbers and pictures: scores, figures, summary."""


def all_tables_and_figures():
    if not config["judges"]:
        return []
    figures = expand(
        "<results>/figures/{judge}/{question_set}.{ending}",
        judge=config["judges"],
        question_set=experiment.question_sets,
        ending=["png", "svg", "html"],
    )
    return ["<results>/tables/scores.parquet", "<results>/tables/question_scores.parquet", "<results>/summary.txt", *figures]


def show_summary():
    path = Path(config["results"]) / "summary.txt"
    if path.exists():
        print("\n" + path.read_text(encoding="utf-8"))


rule scores:
    message:
        "Putting all judgments together"
    input:
        judgments=all_judgments(),
    output:
        scores="<results>/tables/scores.parquet",
        question_scores="<results>/tables/question_scores.parquet",
    params:
        code=code("scores"),
    log:
        "<logs>/scores.log",
    benchmark:
        "<benchmarks>/scores.tsv"
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/scores.py"


rule figures:
    message:
        "Drawing alignment on {wildcards.question_set} by training prompt, judged by {wildcards.judge}"
    input:
        scores="<results>/tables/scores.parquet",
        question_scores="<results>/tables/question_scores.parquet",
    output:
        png="<results>/figures/{judge}/{question_set}.png",
        svg="<results>/figures/{judge}/{question_set}.svg",
        html="<results>/figures/{judge}/{question_set}.html",
    params:
        presentation=as_json(experiment.presentation()),
        code=code("figures"),
    log:
        "<logs>/figures/{judge}/{question_set}.log",
    benchmark:
        "<benchmarks>/figures/{judge}/{question_set}.tsv"
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/figures.py"


rule summary:
    message:
        "Writing the summary"
    input:
        scores="<results>/tables/scores.parquet",
    output:
        "<results>/summary.txt",
    params:
        presentation=as_json(experiment.presentation()),
        results=config["results"],
        code=code("summary"),
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    conda:
        "../../envs/analysis.yaml"
    script:
        "../scripts/summary.py"
