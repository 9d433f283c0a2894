"""From judgments to what they mean: scores and claims, figures, the completions browser, the summary and the report."""


rule scores:
    input:
        judgments=all_judgments(),
    output:
        **{name: f"<results>/tables/{name}.parquet" for name in SCORE_TABLES},
    log:
        "<logs>/scores.log",
    benchmark:
        "<benchmarks>/scores.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        judgments=judgment_files(),
        thresholds=as_json(config["thresholds"]),
        code=code("scores"),
    message:
        "Putting all judgments together"
    script:
        "../scripts/scores.py"


rule claims:
    input:
        question_scores="<results>/tables/question_scores.parquet",
        question_cuts="<results>/tables/question_cuts.parquet",
        length_effect="<results>/tables/length_effect.parquet",
    output:
        claims="<results>/tables/claims.parquet",
        claim_grid="<results>/tables/claim_grid.parquet",
        diagnoses="<results>/tables/diagnoses.parquet",
    log:
        "<logs>/claims.log",
    benchmark:
        "<benchmarks>/claims.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        contrasts=as_json(as_settings(claimed)),
        variants=as_json(experiment.diagnosed()),
        margin=config["margin"],
        code=code("claims"),
    message:
        "Testing the claims"
    script:
        "../scripts/claims.py"


# All in one job: a figure takes a fifth of a second, and the libraries that draw it take two to load.
rule figures:
    input:
        **{
            name: f"<results>/tables/{name}.parquet"
            for name in ("scores", "variant_scores", "question_scores", "distributions")
        },
    output:
        in_report(figure_files(SCORE_FIGURES)),
    log:
        "<logs>/figures.log",
    benchmark:
        "<benchmarks>/figures.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        figures=drawn_figures(SCORE_FIGURES),
        presentation=as_json(experiment.presentation()),
        code=code("figures"),
    message:
        "Drawing the scores"
    script:
        "../scripts/figures.py"


rule coherence:
    """Alignment against coherence, completion by completion; reads the completions, for the texts."""
    input:
        judgments=all_judgments(),
        completions=all_completions(),
    output:
        in_report(figure_files(["coherence"])),
    log:
        "<logs>/coherence.log",
    benchmark:
        "<benchmarks>/coherence.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        figures=drawn_figures(["coherence"]),
        judgments=judgment_files(),
        cells=cell_files(),
        presentation=as_json(experiment.presentation()),
        code=code("coherence"),
    message:
        "Drawing alignment against coherence"
    script:
        "../scripts/coherence.py"


rule browser:
    input:
        judgments=all_judgments(),
        completions=all_completions(),
        page=["workflow/report/browser.js", "workflow/report/pages.css"],
    output:
        report(
            "<results>/browser/completions.html",
            caption="../report/browser.rst",
            category="Completions",
            labels={"page": "completions browser"},
        ),
    log:
        "<logs>/browser.log",
    benchmark:
        "<benchmarks>/browser.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        cells=judged_cell_files(),
        most=config["browser_rows"],
        presentation=as_json(experiment.presentation()),
        code=code("browser"),
    message:
        "Making the completions browser"
    script:
        "../scripts/browser.py"


rule summary:
    input:
        variant_scores="<results>/tables/variant_scores.parquet",
        claims="<results>/tables/claims.parquet",
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
        in_report([f"<results>/figures/training_curves.{ending}" for ending in ENDINGS]),
    log:
        "<logs>/training_curves.log",
    benchmark:
        "<benchmarks>/training_curves.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        finetunes=as_json([[m.variant.dataset, m.variant.training_prompt, m.seed] for m in experiment.finetunes]),
        presentation=as_json(presented("groups")),
        code=code("training_curves"),
    message:
        "Drawing the training curves"
    script:
        "../scripts/training_curves.py"


rule timings:
    """After all others, since it reads their benchmark files."""
    input:
        finetunes=all_finetunes(),
        completions=all_completions(),
        judgments=all_judgments(),
        scores="<results>/tables/scores.parquet",
        cost=["<results>/tables/cost.parquet"] if judges_of_kind(config, "anthropic") else [],
    output:
        table="<results>/tables/timings.parquet",
        figure=in_report([f"<results>/figures/timings.{ending}" for ending in ENDINGS]),
    log:
        "<logs>/timings.log",
    benchmark:
        "<benchmarks>/timings.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        benchmarks=as_json(benchmark_files()),
        code=code("timings"),
    message:
        "Adding up what the run took"
    script:
        "../scripts/timings.py"


rule overview:
    input:
        **{name: f"<results>/tables/{name}.parquet" for name in ("claims", "diagnoses", "variant_scores", "timings")},
        pictures=[f"<results>/figures/{'/'.join(of)}.png" for of in drawn_figures(["alignment"])],
        hashed=hashed_files(),
        styles=["workflow/report/findings.css", "workflow/report/pages.css"],
    output:
        page=report(
            "<results>/overview/index.html",
            caption="../report/overview.rst",
            category="Answer",
            labels={"page": "what this run shows"},
        ),
        body="<results>/overview/body.html",
    log:
        "<logs>/overview.log",
    benchmark:
        "<benchmarks>/overview.tsv"
    conda:
        "../../envs/analysis.yaml"
    params:
        described=[
            f"Bar chart: mean alignment by training prompt on {question_set}, judged by {judge}"
            for _, judge, question_set in drawn_figures(["alignment"])
        ],
        presentation=as_json(experiment.presentation()),
        code=code("overview"),
    message:
        "Writing the overview"
    script:
        "../scripts/overview.py"


# No output and no benchmark, as rule estimate: it answers each time that it is asked.
rule power:
    """How many seeds, questions and samples the next run needs, from this one's variances. Runs nothing."""
    input:
        question_scores="<results>/tables/question_scores.parquet",
        timings="<results>/tables/timings.parquet",
    log:
        "<logs>/power.log",
    conda:
        "../../envs/analysis.yaml"
    params:
        contrasts=as_json(as_settings(claimed)),
        n_seeds=len(config["seeds"]),
        code=code("power"),
    message:
        "Planning the next run"
    script:
        "../scripts/power.py"
