"""What people read: the completions browser, the summary, timings, the overview; what made it, and what goes elsewhere."""

from organisms.figures.suited import setting


def cells_with_judgments():
    """Of each cell: its completions, and its judgments by each judge."""
    judged = {judge: set(experiment.judged_cells(judge)) for judge in config["judges"]}
    return [
        [cell_file(cell)] + [judgment_file(judge, cell) for judge in judged if cell in judged[judge]]
        for cell in experiment.cells
    ]


def table_if_judged(name):
    """A table that is made of judgments, as an input; none if the config names no judge."""
    return f"<results>/tables/{name}.parquet" if config["judges"] else []


def all_tables_and_figures():
    drawn = ["training_curves", "timings"] if experiment.finetunes else ["timings"]
    files = expand("<results>/figures/{figure}.{ending}", figure=drawn, ending=ENDINGS)
    files += ["<results>/tables/timings.parquet", "<results>/summary.txt", "<results>/overview/index.html"]
    if config["judges"]:
        files += figure_files(figure_names()) + figure_files(["coherence"], [config["main_metric"]])
        files += expand("<results>/tables/{table}.parquet", table=[*SCORE_TABLES, *CLAIM_TABLES])
        files += expand("<results>/tables/{table}.parquet", table=sensitivity_tables())
        files.append("<results>/browser/completions.html")
    if PAID:
        files.append("<results>/tables/cost.parquet")
    if len(config["judges"]) > 1:
        files += expand("<results>/tables/{table}.parquet", table=["agreement", "rankings"])
        files += expand("<results>/figures/agreement.{ending}", ending=ENDINGS)
    return files


def parts_of_results():
    """By folder of the results that has a part for each model or judge, the names of those that the config asks for."""
    folders = ("finetune", "completions", "external_completions", "expected_ratings", "judgments")
    parts = {folder: [] for folder in folders}
    for file in [*all_finetunes(), *all_completions(), *all_expected_ratings(), *all_judgments()]:
        _, folder, name, *_ = file.split("/")
        parts[folder].append(name)
    return as_json(parts)


def of_another_config():
    """Tables, figures and pages that this config does not ask for and another one would."""
    tables = [*SCORE_TABLES, *CLAIM_TABLES, *SENSITIVITY_TABLES, "cost", "agreement", "rankings"]
    files = [f"tables/{table}.parquet" for table in tables] + ["browser/completions.html"]
    asked = [file.removeprefix("<results>/") for file in all_tables_and_figures()]
    # Of figures that are drawn, rule figures removes those of another config.
    figures = [] if config["judges"] else [f"figures/{figure}" for figure in (*figure_names(), "coherence")]
    return [file for file in files if file not in asked] + figures


def first_figures():
    """The figures of the overview: means; beside those of the main metric its share misaligned and its prompt matrix."""
    found = []
    for _, metric, judge, question_set in drawn_figures(["means"]):
        found.append(["means", metric, judge, question_set])
        if SHOWN_THRESHOLD and metric == DEFINITION[0] and DEFINITION[1] in judges[judge].metrics(question_set):
            found.append(["misaligned", metric, judge, question_set])
        if metric == DEFINITION[0]:
            found.append(["prompt_matrix", metric, judge, question_set])
    return found


def settings_of_sensitivity():
    """The figures of the overview's section on prompt sensitivity, each with the setting that it tells of before it."""
    return [
        [setting(figure, of, DEFINITION[0]), figure, of.metric, judge, question_set]
        for figure in figure_names()
        for of, judge, question_set in all_scored(SHOWN_METRICS)
        if is_drawn(figure, of) and setting(figure, of, DEFINITION[0])
    ]


def described(figure, metric, judge, question_set):
    """What a figure shows, for those who do not see it."""
    shown = {
        "means": f"Bar chart: mean {metric} by training prompt",
        "misaligned": "Bar chart: percent misaligned among coherent answers by training prompt",
        "prompt_matrix": f"Matrix: mean {metric} by training prompt and by the prompt asked under",
        "nudges": f"Points: {metric} by the prompt asked under and by training prompt",
        "answer_changes": "Points: percent of answers that change by follow-up and by training prompt",
        "perceived_intent": f"Points: {metric} of each question against percent misaligned of the answers to it",
    }[figure]
    return f"{shown} on {question_set}, judged by {judge}"


def hashed_files():
    """Files of data and models whose checksums the overview notes."""
    datasets = expand("<results>/dataset/{name}/train.parquet", name=[*map(experiment.split_of, config["datasets"])])
    seeds = config["seeds"] if config["datasets"] else []
    bases = dict.fromkeys(file for seed in seeds for file in base_files(seed))
    bases = [file for file in bases if file.endswith((".safetensors", "model.json"))]
    theirs = dict.fromkeys(own(entry["path"]) for entry in config["external_completions"].values())
    return [*dict.fromkeys(datasets), *bases, *all_finetunes(), *theirs]


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
        arm_scores=table_if_judged("arm_scores"),
        claims=table_if_judged("claims"),
        sensitivity=sensitivity_table("sensitivity"),
        external=external_models(),
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
        main=config["main_metric"],
        coherence=config["coherence_metric"],
        nudges=as_json(NUDGES),
        presentation=presented(),
        parts=parts_of_results(),
        others=of_another_config(),
        code=code("summary"),
    message:
        "Writing the summary"
    script:
        "../scripts/summary.py"


rule timings:
    """What the jobs that led to completions, judgments and scores took; jobs of an older config are not among them."""
    input:
        finetunes=all_finetunes(),
        completions=all_completions(),
        judgments=all_judgments(),
        scores=table_if_judged("scores"),
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
        manifests=f"{RESULTS}/manifests",
        never=jobs_of_other_kinds(),
        titles=TITLES,
        code=code("timings"),
    message:
        "Adding up what the run took"
    script:
        "../scripts/timings.py"


rule overview:
    input:
        **{name: table_if_judged(name) for name in ("claims", "diagnoses", "arm_scores")},
        **{name: sensitivity_table(name) for name in SENSITIVITY_TABLES},
        timings="<results>/tables/timings.parquet",
        settings=[f"<results>/figures/{'/'.join(of)}.svg" for _, *of in settings_of_sensitivity()],
        pictures=[f"<results>/figures/{'/'.join(of)}.svg" for of in first_figures()],
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
        settings=[[setting, *of[1:], described(*of)] for setting, *of in settings_of_sensitivity()],
        nudges=as_json(NUDGES),
        threshold=SHOWN_THRESHOLD,
        manifests=f"{RESULTS}/manifests",
        never=jobs_of_other_kinds(),
        presentation=presented(),
        main=config["main_metric"],
        metrics=metric_declarations(),
        parts=parts_of_results(),
        others=of_another_config(),
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
        never=jobs_of_other_kinds(),
        code=code("manifest"),
    message:
        "Noting what made the results"
    script:
        "../scripts/manifest.py"


rule archive:
    """Config and settings of the run, tables, figures and provenance in one file, for a paper's supplement."""
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
