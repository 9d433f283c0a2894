"""What people read: the completions browser, the summary, timings, the overview; what made it, and what goes elsewhere."""


def cells_with_judgments():
    """Of each cell: its completions, and its judgments by each judge."""
    judged = {judge: set(experiment.judged_cells(judge)) for judge in config["judges"]}
    return [
        [cell_file(cell)] + [judgment_file(judge, cell) for judge in judged if cell in judged[judge]]
        for cell in experiment.cells
    ]


def all_tables_and_figures():
    files = expand("<results>/figures/training_curves.{ending}", ending=ENDINGS)
    if config["judges"]:
        files += figure_files(figure_names()) + figure_files(["coherence"], [config["main_metric"]])
        files += expand("<results>/tables/{table}.parquet", table=[*SCORE_TABLES, *CLAIM_TABLES])
        files += ["<results>/summary.txt", "<results>/browser/completions.html", "<results>/overview/index.html"]
        files += ["<results>/tables/timings.parquet", *expand("<results>/figures/timings.{ending}", ending=ENDINGS)]
    if PAID:
        files.append("<results>/tables/cost.parquet")
    if len(config["judges"]) > 1:
        files += expand("<results>/tables/{table}.parquet", table=["agreement", "rankings"])
        files += expand("<results>/figures/agreement.{ending}", ending=ENDINGS)
    return files


def first_figures():
    """The figures of the overview: means, and beside those of the main metric the share misaligned, if it has one."""
    found = []
    for _, metric, judge, question_set in drawn_figures(["means"]):
        found.append(["means", metric, judge, question_set])
        if SHOWN_THRESHOLD and metric == DEFINITION[0] and DEFINITION[1] in judges[judge].metrics(question_set):
            found.append(["misaligned", metric, judge, question_set])
    return found


def described(figure, metric, judge, question_set):
    """What a bar chart shows, for those who do not see it."""
    shown = f"mean {metric}" if figure == "means" else "percent misaligned among coherent answers"
    return f"Bar chart: {shown} by training prompt on {question_set}, judged by {judge}"


def benchmark_files():
    """By rule, the benchmark files of the jobs that the config names."""
    seeds = {model.seed for model in experiment.models.values() if model.arm is None and not model.external}
    pretrained = [f"seed{experiment.pretraining_seed(seed)}" for seed in seeds] if experiment.miniature else []
    by_rule = {
        "corpus": pretrained,
        "pretrain": pretrained,
        "dataset": config["datasets"],
        "variant": experiment.variants,
        "questions": config["question_sets"],
        "finetune": [model.name for model in experiment.finetunes],
        "completions": dict.fromkeys(cell.model.name for cell in experiment.cells if not cell.model.external),
        "judgments": config["judges"],
        "local_judgments": config["judges"],
    }
    files = {rule: [f"{RESULTS}/benchmarks/{rule}/{name}.tsv" for name in by_rule[rule]] for rule in by_rule}
    return files | {"scores": [f"{RESULTS}/benchmarks/scores.tsv"]}


def hashed_files():
    """Files of data and models whose checksums the overview notes."""
    datasets = expand("<results>/dataset/{name}/train.parquet", name=[*map(experiment.split_of, config["datasets"])])
    bases = dict.fromkeys(file for seed in config["seeds"] for file in base_files(seed))
    bases = [file for file in bases if file.endswith((".safetensors", "model.json"))]
    return [*dict.fromkeys(datasets), *bases, *all_finetunes()]


def show_summary():
    """Print the summary if this run made it: an older one may be of another config."""
    path = Path(RESULTS) / "summary.txt"
    if path.exists() and path.stat().st_mtime >= STARTED:
        text, known = path.read_text(encoding="utf-8"), sys.stdout.encoding or "utf-8"
        # A terminal that knows ASCII alone must not end a run that is done with an error.
        print("", text.encode(known, errors="replace").decode(known), sep="\n")


rule browser:
    input:
        judgments=all_judgments(),
        completions=all_completions(),
        page=[shipped("workflow/report/browser.js"), shipped("workflow/report/pages.css")],
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
        cells=cells_with_judgments(),
        most=config["browser_rows"],
        presentation=presented(),
        code=code("browser"),
    message:
        "Making the completions browser"
    script:
        "../scripts/browser.py"


rule summary:
    input:
        arm_scores="<results>/tables/arm_scores.parquet",
        claims="<results>/tables/claims.parquet",
    output:
        "<results>/summary.txt",
    log:
        "<logs>/summary.log",
    benchmark:
        "<benchmarks>/summary.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        metrics=metric_declarations(),
        shown=SHOWN_METRICS,
        coherence=config["coherence_metric"],
        presentation=presented(),
        code=code("summary"),
    message:
        "Writing the summary"
    script:
        "../scripts/summary.py"


rule timings:
    """After all others, since it reads their benchmark files."""
    input:
        finetunes=all_finetunes(),
        completions=all_completions(),
        judgments=all_judgments(),
        scores="<results>/tables/scores.parquet",
        cost=["<results>/tables/cost.parquet"] if PAID else [],
    output:
        table="<results>/tables/timings.parquet",
        figure=in_report([f"<results>/figures/timings.{ending}" for ending in ENDINGS]),
    log:
        "<logs>/timings.log",
    benchmark:
        "<benchmarks>/timings.tsv"
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        benchmarks=as_json(benchmark_files()),
        titles=TITLES,
        code=code("timings"),
    message:
        "Adding up what the run took"
    script:
        "../scripts/timings.py"


rule overview:
    input:
        **{name: f"<results>/tables/{name}.parquet" for name in ("claims", "diagnoses", "arm_scores", "timings")},
        pictures=[f"<results>/figures/{'/'.join(of)}.png" for of in first_figures()],
        hashed=hashed_files(),
        styles=[shipped("workflow/report/findings.css"), shipped("workflow/report/pages.css")],
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
    localrule: True
    conda:
        "../../envs/analysis.yaml"
    params:
        described=[described(*of) for of in first_figures()],
        manifests=f"{RESULTS}/manifests",
        presentation=presented(),
        code=code("overview"),
    message:
        "Writing the overview"
    script:
        "../scripts/overview.py"


rule manifest:
    """After all others: it follows their manifests from the results back to the config."""
    input:
        results=all_tables_and_figures(),
        hashed=hashed_files(),
    output:
        "<results>/manifest.json",
    log:
        "<logs>/manifest.log",
    benchmark:
        "<benchmarks>/manifest.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        manifests=f"{RESULTS}/manifests",
        code=code("manifest"),
    message:
        "Noting what made the results"
    script:
        "../scripts/manifest.py"


rule archive:
    """Config, tables, figures and provenance in one file, for a paper's supplement."""
    input:
        [file for file in all_tables_and_figures() if "/browser/" not in file],
        manifest="<results>/manifest.json",
    output:
        "<results>/archive.zip",
    log:
        "<logs>/archive.log",
    benchmark:
        "<benchmarks>/archive.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        code=code("archive"),
    message:
        "Packing the results"
    script:
        "../scripts/archive.py"


rule export_inspect:
    """Inspect AI logs of every judged cell, for `inspect view`. Needs requirements-inspect.txt."""
    input:
        completions=all_completions(),
        judgments=all_judgments(),
    output:
        directory("<results>/export_inspect"),
    log:
        "<logs>/export_inspect.log",
    benchmark:
        "<benchmarks>/export_inspect.tsv"
    conda:
        "../../envs/analysis.yaml"
    resources:
        mem_mb=more_each_time(ANALYSIS_MEMORY_MB),
    params:
        cells=[cell_file(cell) for cell in experiment.cells],
        judgments=judgment_files(),
        code=code("export_inspect"),
    message:
        "Writing Inspect AI logs"
    script:
        "../scripts/export_inspect.py"
