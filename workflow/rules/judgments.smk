"""What each judge says of each cell's completions: one folder per judge, in it one table per cell.

One job for all cells of a judge: so a batch is large, a model is loaded once, a budget is kept, and what is judged twice
is paid once. A judge's kind (src/organisms/judging/kinds) says which rule runs it and what it needs.
"""

import re

from organisms.judging.kind import module_of as kind_module


def all_judgments():
    return [f"<results>/judgments/{judge}" for judge in config["judges"]]


def judgment_file(judge, cell):
    """A judge's judgments of a cell; inside the output that `all_judgments` names."""
    return f"{RESULTS}/judgments/{judge}/{cell.model.name}/{cell.eval_prompt}/{cell.question_set}.parquet"


def judgment_files(judges=None):
    """The judgments of every judged cell, by these judges or by all."""
    return [
        judgment_file(judge, cell)
        for judge in (config["judges"] if judges is None else judges)
        for cell in experiment.judged_cells(judge)
    ]


def judged_cell_files(judge):
    return [cell_file(cell) for cell in experiment.judged_cells(judge)]


def judges_of(rule):
    """A pattern that takes the judges whose kind is run by a rule and nothing else."""
    names = [re.escape(name) for name, judge in judges.items() if judge.rule == rule]
    return "|".join(names) or "(?!)"


def jobs_of_other_kinds():
    """Jobs that a judge had if its kind was another one, whose rule writes to the same folder; a manifest may be left."""
    return [
        f"{rule}/{name}"
        for name, judge in judges.items()
        for rule in ("judgments", "local_judgments")
        if rule != judge.rule
    ]


def judge_sources(wildcards):
    """What a judge needs beside the completions: files of the user's, and results."""
    sources = judges[wildcards.judge].sources(experiment)
    return {
        name: [path if path.startswith("<results>") else own(path) for path in paths] for name, paths in sources.items()
    }


def judge_parameters(judge):
    """All that decides what a judge says."""
    return as_json(judges[judge].parameters())


def source_names(wildcards):
    return list(judges[wildcards.judge].sources(experiment))


def code_of_judge(script):
    return lambda wildcards: code(script, kind_module(judges[wildcards.judge].entry["kind"]))


def require_judges():
    """Stop before the first job if some job will ask a judge that has no key, or that is not there when it is needed."""
    ahead = list(workflow.dag.needrun_jobs())
    # Where jobs that need the internet are submitted, there may be none here.
    expensive = ONLINE_HERE and any(job.rule.name in ("pretrain", "finetune", "completions") for job in ahead)
    rules = ("judgments", "local_judgments", "ratings", "local_ratings")
    for name in dict.fromkeys(job.wildcards.judge for job in ahead if job.rule.name in rules):
        try:
            judges[name].check_ready(expensive, lambda line: logger.info(visible(f"judges.{name}: {line}")))
        except UserError as error:
            sys.exit(visible(f"error: judges.{name}: {error}"))


# A rule of its own, so that nothing is fetched in a GPU job.
rule download_judge:
    output:
        "<results>/download_judge/{judge}/model.json",
    log:
        "<logs>/download_judge/{judge}.log",
    benchmark:
        "<benchmarks>/download_judge/{judge}.tsv"
    localrule: ONLINE_HERE
    conda:
        "../../envs/models.yaml"
    params:
        settings=lambda wildcards: as_json(
            {
                "name": config["judges"][wildcards.judge]["model"],
                "revision": config["judges"][wildcards.judge]["revision"],
            }
        ),
        code=code("download_judge"),
    message:
        "Fetching the model of judge {wildcards.judge}"
    script:
        "../scripts/download_judge.py"


# Money is spent here (and in rule ratings) and nowhere else. What was bought lies in the ledger, outside of Snakemake's
# outputs, which a failed job loses.
rule judgments:
    input:
        unpack(judge_sources),
        completions=all_completions(),
    output:
        directory("<results>/judgments/{judge}"),
    log:
        "<logs>/judgments/{judge}.log",
    benchmark:
        "<benchmarks>/judgments/{judge}.tsv"
    wildcard_constraints:
        judge=judges_of("judgments"),
    localrule: ONLINE_HERE
    conda:
        "../../envs/judging.yaml"
    resources:
        anthropic=lambda wildcards: int(judges[wildcards.judge].paid),
    params:
        cells=lambda wildcards: judged_cell_files(wildcards.judge),
        judgments=lambda wildcards: judgment_files([wildcards.judge]),
        judge=lambda wildcards: judge_parameters(wildcards.judge),
        answers=as_json(experiment.judged_answers()),
        sources=source_names,
        code=code_of_judge("judgments"),
    message:
        "Judging all completions by {wildcards.judge}"
    script:
        "../scripts/judgments.py"


rule local_judgments:
    input:
        unpack(judge_sources),
        completions=all_completions(),
    output:
        directory("<results>/judgments/{judge}"),
    log:
        "<logs>/local_judgments/{judge}.log",
    benchmark:
        "<benchmarks>/local_judgments/{judge}.tsv"
    wildcard_constraints:
        judge=judges_of("local_judgments"),
    conda:
        "../../envs/models.yaml"
    threads: MODEL_THREADS
    resources:
        gpu=GPUS,
        mem_mb=more_each_time(MODEL_MEMORY_MB),
        runtime=more_each_time(MODEL_MINUTES),
    params:
        cells=lambda wildcards: judged_cell_files(wildcards.judge),
        judgments=lambda wildcards: judgment_files([wildcards.judge]),
        judge=lambda wildcards: judge_parameters(wildcards.judge),
        answers=as_json(experiment.judged_answers()),
        sources=source_names,
        device=config["device"],
        code=code_of_judge("local_judgments"),
    message:
        "Judging all completions by the local model {wildcards.judge}"
    script:
        "../scripts/local_judgments.py"
