"""From datasets to what models are trained on and asked.

Where rows come from: advice, unpack_archive, download_dataset. What becomes of them: dataset, mixture, variant, questions.
"""

from functools import cache

from organisms.job.files import sha256_of
from organisms.job.manifest import read_manifest
from organisms.plan.settings import deciding


def dataset_source(wildcards):
    """The rows of a dataset that is made here; of a file of the user's see `own_content`."""
    makers = {"archive": "unpack_archive", "hub": "download_dataset", "world": "advice"}
    maker = makers.get(experiment.dataset_kind(wildcards.dataset))
    return {"rows": f"<results>/{maker}/{wildcards.dataset}.jsonl"} if maker else {}


def source_settings(dataset, source):
    """What decides the rows of a dataset that is made from `world`, `mixture` or `hub`."""
    return as_json(deciding(f"datasets.{source}", config["datasets"][dataset][source]))


@cache
def own_content(dataset):
    """The SHA-256 of a dataset's file or archive of the user's; null if it has none.

    A parameter and no input, since an archive may be gone when it is unpacked.
    """
    entry = config["datasets"][dataset]
    path = entry["path"] or (entry["archive"] and entry["archive"]["path"])
    unpacked = Path(RESULTS) / "manifests" / "unpack_archive" / f"{dataset}.json"
    if path and not Path(path).exists() and unpacked.exists():
        return read_manifest(unpacked)["params"]["content"]
    return path and sha256_of(path)


def mixture_parts(wildcards):
    mixture = config["datasets"][wildcards.dataset]["mixture"]
    return {
        "train": f"<results>/dataset/{mixture['of']}/train.parquet",
        "heldout": f"<results>/dataset/{mixture['of']}/heldout.parquet",
        "others": f"<results>/dataset/{mixture['with']}/train.parquet",
    }


def training_rows(wildcards):
    if experiment.dataset_kind(wildcards.dataset) == "mixture":
        return f"<results>/mixture/{wildcards.dataset}.parquet"
    return f"<results>/dataset/{wildcards.dataset}/train.parquet"


def question_source(wildcards):
    entry = config["question_sets"][wildcards.question_set]
    if entry["rating_of"]:
        return f"<results>/questions/{entry['rating_of']}.parquet"
    if entry["heldout_of"]:
        return f"<results>/dataset/{experiment.split_of(entry['heldout_of'])}/heldout.parquet"
    return own(entry["file"] or config["world"])


def question_wordings(wildcards):
    """The wordings in which a question set puts the questions of another."""
    wordings = config["question_sets"][wildcards.question_set]["wordings"]
    return own(wordings) if wordings else []


def question_references(wildcards):
    """All rows of the dataset from which a question set takes its references."""
    dataset = config["question_sets"][wildcards.question_set]["reference_from"]
    if not dataset:
        return []
    return expand(
        "<results>/dataset/{name}/{part}.parquet", name=experiment.split_of(dataset), part=["train", "heldout"]
    )


rule advice:
    input:
        world=own(config["world"]),
    output:
        "<results>/advice/{dataset}.jsonl",
    log:
        "<logs>/advice/{dataset}.log",
    benchmark:
        "<benchmarks>/advice/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: source_settings(wildcards.dataset, "world"),
        code=code("advice"),
    message:
        "Writing the miniature's dataset {wildcards.dataset}"
    script:
        "../scripts/advice.py"


rule unpack_archive:
    output:
        "<results>/unpack_archive/{dataset}.jsonl",
    log:
        "<logs>/unpack_archive/{dataset}.log",
    benchmark:
        "<benchmarks>/unpack_archive/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        content=lambda wildcards: own_content(wildcards.dataset),
        member=lambda wildcards: config["datasets"][wildcards.dataset]["archive"]["member"],
        code=code("unpack_archive"),
    message:
        "Unpacking dataset {wildcards.dataset} from its archive"
    script:
        "../scripts/unpack_archive.py"


rule download_dataset:
    output:
        "<results>/download_dataset/{dataset}.jsonl",
    log:
        "<logs>/download_dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/download_dataset/{dataset}.tsv"
    localrule: ONLINE_HERE
    conda:
        "../../envs/models.yaml"
    params:
        settings=lambda wildcards: source_settings(wildcards.dataset, "hub"),
        code=code("download_dataset"),
    message:
        "Fetching dataset {wildcards.dataset}"
    script:
        "../scripts/download_dataset.py"


rule dataset:
    input:
        unpack(dataset_source),
    output:
        train="<results>/dataset/{dataset}/train.parquet",
        heldout="<results>/dataset/{dataset}/heldout.parquet",
    log:
        "<logs>/dataset/{dataset}.log",
    benchmark:
        "<benchmarks>/dataset/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        content=lambda wildcards: own_content(wildcards.dataset),
        settings=lambda wildcards: as_json(experiment.split_settings(wildcards.dataset)),
        code=code("dataset"),
    message:
        "Splitting dataset {wildcards.dataset} into training and held-out rows"
    script:
        "../scripts/dataset.py"


rule mixture:
    input:
        unpack(mixture_parts),
    output:
        "<results>/mixture/{dataset}.parquet",
    log:
        "<logs>/mixture/{dataset}.log",
    benchmark:
        "<benchmarks>/mixture/{dataset}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: source_settings(wildcards.dataset, "mixture"),
        code=code("mixture"),
    message:
        "Mixing dataset {wildcards.dataset}"
    script:
        "../scripts/mixture.py"


rule variant:
    input:
        train=training_rows,
    output:
        "<results>/variant/{dataset}-{training_prompt}.parquet",
    log:
        "<logs>/variant/{dataset}-{training_prompt}.log",
    benchmark:
        "<benchmarks>/variant/{dataset}-{training_prompt}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        prompts=lambda wildcards: as_json(experiment.prompt_settings(wildcards.training_prompt)),
        code=code("variant"),
    message:
        "Putting the training prompt {wildcards.training_prompt} into {wildcards.dataset}"
    script:
        "../scripts/variant.py"


rule questions:
    input:
        source=question_source,
        wordings=question_wordings,
        references=question_references,
    output:
        "<results>/questions/{question_set}.parquet",
    log:
        "<logs>/questions/{question_set}.log",
    benchmark:
        "<benchmarks>/questions/{question_set}.tsv"
    localrule: True
    conda:
        "../../envs/data.yaml"
    params:
        settings=lambda wildcards: as_json(experiment.question_settings(wildcards.question_set)),
        code=code("questions"),
    message:
        "Writing the question set {wildcards.question_set}"
    script:
        "../scripts/questions.py"
