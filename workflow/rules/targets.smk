"""What the targets ask for, stage by stage: lists of files, from the experiment."""

ENDINGS = ["png", "svg", "pdf", "html"]
# Figures of each judge and question set: in results/figures/{figure}/{judge}/.
SCORE_FIGURES = ["alignment", "prompt_matrix", "questions", "distribution", "seeds"]
SCORE_TABLES = [
    *("scores", "variant_scores", "question_scores", "question_cuts", "threshold_grid"),
    *("variance", "length_effect", "distributions", "flags"),
]


def all_finetunes():
    return [f"<results>/finetune/{model.name}/adapter/adapter_model.safetensors" for model in experiment.finetunes]


def all_completions():
    models = dict.fromkeys(cell.model for cell in experiment.cells)
    return [
        (
            f"<results>/external_completions/{model.name}/completions.parquet"
            if model.external
            else f"<results>/completions/{model.name}"
        )
        for model in models
    ]


def all_judgments():
    return [f"<results>/judgments/{judge}" for judge in config["judges"]]


def presented(*parts):
    """Parts of the presentation, for a rule that needs no more of it."""
    return {part: experiment.presentation()[part] for part in parts}


def drawn_figures(figures):
    """Of each figure for a judge and a question set: its name, the judge, the set."""
    return [
        [figure, judge, question_set]
        for figure in figures
        for judge in config["judges"]
        for question_set in dict.fromkeys(cell.question_set for cell in experiment.judged_cells(judge))
    ]


def figure_files(figures):
    """The files of `drawn_figures`, in its order, with every ending."""
    return [
        f"<results>/figures/{figure}/{judge}/{question_set}.{ending}"
        for figure, judge, question_set in drawn_figures(figures)
        for ending in ENDINGS
    ]


def in_report(files):
    """The files of figures, of which the PNG stands in Snakemake's report; one with texts in tooltips as HTML."""
    marked = []
    for file in files:
        parts = file.split("/")[2:]
        figure = parts[0].split(".")[0]
        if not file.endswith(".html" if figure == "coherence" else ".png"):
            marked.append(file)
            continue
        labels = {"figure": figure.replace("_", " ")}
        if len(parts) == 3:
            labels |= {"judge": parts[1], "question set": parts[2].split(".")[0]}
        marked.append(report(file, caption=f"../report/{figure}.rst", category="Figures", labels=labels))
    return marked


def judged_cell_files():
    """Of each cell: its completions, and its judgments by each judge."""
    judged = {judge: set(experiment.judged_cells(judge)) for judge in config["judges"]}
    return [
        [completions] + [judgment_file(judge, cell) for judge in judged if cell in judged[judge]]
        for cell, completions in zip(experiment.cells, cell_files(), strict=True)
    ]


def all_tables_and_figures():
    files = expand("<results>/figures/training_curves.{ending}", ending=ENDINGS)
    if config["judges"]:
        files += figure_files([*SCORE_FIGURES, "coherence"])
        files += expand("<results>/tables/{table}.parquet", table=[*SCORE_TABLES, "claims", "claim_grid", "diagnoses"])
        files += ["<results>/summary.txt", "<results>/browser/completions.html", "<results>/overview/index.html"]
        files += ["<results>/tables/timings.parquet", *expand("<results>/figures/timings.{ending}", ending=ENDINGS)]
    if judges_of_kind(config, "anthropic"):
        files.append("<results>/tables/cost.parquet")
    if len(config["judges"]) > 1:
        files += expand("<results>/tables/{table}.parquet", table=["agreement", "rankings"])
        files += expand("<results>/figures/agreement.{ending}", ending=ENDINGS)
    return files


def benchmark_files():
    """By rule, the benchmark files of the jobs that the config names."""
    seeds = {model.seed for model in experiment.models.values() if model.variant is None and not model.external}
    pretrained = [f"seed{experiment.pretraining_seed(seed)}" for seed in seeds] if experiment.miniature else []
    by_rule = {
        "corpus": pretrained,
        "pretrain": pretrained,
        "dataset": config["datasets"],
        "variant": [variant.name for variant in experiment.variants],
        "questions": config["question_sets"],
        "finetune": [model.name for model in experiment.finetunes],
        "completions": dict.fromkeys(cell.model.name for cell in experiment.cells if not cell.model.external),
        "judgments": config["judges"],
        "local_judgments": config["judges"],
    }
    files = {rule: [f"{config['results']}/benchmarks/{rule}/{name}.tsv" for name in by_rule[rule]] for rule in by_rule}
    return files | {"scores": [f"{config['results']}/benchmarks/scores.tsv"]}


def hashed_files():
    """Files of data and models whose checksums the overview notes."""
    datasets = expand("<results>/dataset/{name}/train.parquet", name=[*map(experiment.split_of, config["datasets"])])
    bases = dict.fromkeys(file for seed in config["seeds"] for file in base_files(seed))
    bases = [file for file in bases if file.endswith((".safetensors", "model.json"))]
    return [*dict.fromkeys(datasets), *bases, *all_finetunes()]
