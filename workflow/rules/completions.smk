"""What each model answers in each cell, model × eval prompt × question set; and completions made elsewhere."""

from organisms.completions.kept import SAMPLES_WITH
from organisms.plan.external import score_bounds


def all_completions():
    models = dict.fromkeys(cell.model for cell in experiment.cells)
    return [f"<results>/{'external_completions' if model.external else 'completions'}/{model.name}" for model in models]


def cell_file(cell):
    """The completions of a cell, sampled here or made elsewhere; inside an output that `all_completions` names."""
    made_in = "external_completions" if cell.model.external else "completions"
    return f"{RESULTS}/{made_in}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"


def model_files(wildcards):
    """The base model's files, and the adapter if the model is a finetune."""
    model = experiment.models[wildcards.model]
    files = {"base": base_files(model.seed)}
    if model.step:
        files["adapter"] = f"<results>/finetune/{model.finished.name}/steps"
    elif model.arm:
        folder = f"<results>/finetune/{model.name}/adapter"
        files["adapter"] = [f"{folder}/adapter_model.safetensors", f"{folder}/adapter_config.json"]
    return files


def adapter_folder(wildcards):
    """Where the adapter of a finetune lies; null for a base model."""
    model = experiment.models[wildcards.model]
    kept = f"steps/step{model.step}" if model.step else "adapter"
    return f"{RESULTS}/finetune/{model.finished.name}/{kept}" if model.arm else None


def questions_of_model(wildcards):
    return [f"<results>/questions/{name}.parquet" for name in experiment.question_sets_of(wildcards.model)]


def rating_cells(wildcards):
    """The cells in which a model is asked to rate questions."""
    rated = experiment.rated_sets()
    return as_json([cell for cell in experiment.cells_of(wildcards.model) if cell["columns"]["question_set"] in rated])


def all_expected_ratings():
    """What judges of ratings need of models."""
    files = (judge.sources(experiment).get("expected", []) for judge in judges.values())
    return list(dict.fromkeys(file for of_judge in files for file in of_judge))


def rating_questions(wildcards):
    rated = experiment.rated_sets()
    return [
        f"<results>/questions/{name}.parquet" for name in experiment.question_sets_of(wildcards.model) if name in rated
    ]


def external_entry(wildcards):
    return config["external_completions"][experiment.models[wildcards.model].external]


def external_questions(wildcards):
    """The questions that completions made elsewhere are paired with, if the config has their question set."""
    name = external_entry(wildcards)["question_set"]
    return [f"<results>/questions/{name}.parquet"] if name in config["question_sets"] else []


def external_settings(wildcards):
    """What decides what is read of completions made elsewhere; of their file the name alone, which is a column."""
    entry = external_entry(wildcards)
    decisive = {key: value for key, value in entry.items() if key not in ("label", "path")}
    return as_json(decisive | {"file": Path(entry["path"]).name})


def external_models():
    """The folders of all completions made elsewhere."""
    return [f"<results>/external_completions/{model.name}" for model in experiment.models.values() if model.external]


# One job for all cells of a model: it is loaded once. What was sampled is kept beside the output, so that a changed cell
# samples itself and nothing else.
rule completions:
    input:
        unpack(model_files),
        questions=questions_of_model,
    output:
        directory("<results>/completions/{model}"),
    log:
        "<logs>/completions/{model}.log",
    benchmark:
        "<benchmarks>/completions/{model}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        cells=lambda wildcards: as_json(experiment.cells_of(wildcards.model)),
        adapter=adapter_folder,
        kept=lambda wildcards: f"{RESULTS}/kept/{wildcards.model}.sqlite",
        # In the keys of what is kept: the code that samples, and none of the other code of this rule.
        sampling=canonical("sampling", code_digest(None, PINS, SAMPLES_WITH), EQUIVALENT),
        code=code("completions"),
    message:
        "Asking {wildcards.model} all its questions"
    script:
        "../scripts/completions.py"


# A pass through the model for each question and no sampling; judges of kind `expected_rating` ask for it.
rule expected_ratings:
    input:
        unpack(model_files),
        questions=rating_questions,
    output:
        "<results>/expected_ratings/{model}.parquet",
    log:
        "<logs>/expected_ratings/{model}.log",
    benchmark:
        "<benchmarks>/expected_ratings/{model}.tsv"
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        base=base_params(),
        cells=rating_cells,
        adapter=adapter_folder,
        bounds=as_json([0, 100]),
        code=code("expected_ratings"),
    message:
        "Reading what {wildcards.model} expects to rate"
    script:
        "../scripts/expected_ratings.py"


rule external_completions:
    input:
        file=lambda wildcards: own(external_entry(wildcards)["path"]),
        questions=external_questions,
    output:
        directory("<results>/external_completions/{model}"),
    log:
        "<logs>/external_completions/{model}.log",
    benchmark:
        "<benchmarks>/external_completions/{model}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        entry=external_settings,
        bounds=lambda wildcards: as_json(score_bounds(config, external_entry(wildcards))),
        code=code("external_completions"),
    message:
        "Reading the completions of {wildcards.model}"
    script:
        "../scripts/external_completions.py"
