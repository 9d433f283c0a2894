"""Finetune, evaluate and compare model organisms.

The data's path: dataset → variant → finetune → completions → judgments → scores → figures. A rule, its script in
workflow/scripts and its folder in results share a name. What is run is said in one config file:
config/config.yaml, or another one given with --configfile (which then stands alone; nothing is merged into it).
"""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"  # checks the config, names the experiment
include: "workflow/rules/targets.smk"  # what there is to make
include: "workflow/rules/base_model.smk"  # corpus, pretrain: the miniature; download_model: any other
include: "workflow/rules/data.smk"  # where rows come from; dataset, mixture, variant, questions
include: "workflow/rules/finetune.smk"
include: "workflow/rules/completions.smk"
include: "workflow/rules/judgments.smk"
include: "workflow/rules/judges.smk"  # estimate, cost, agreement; gold, attacks, label_sheet
include: "workflow/rules/analysis.smk"  # scores, claims, figures, browser, summary, overview
include: "workflow/rules/export.smk"
include: "workflow/rules/provenance.smk"  # manifest; archive


# With a cluster profile these run where Snakemake does, for they take a second each.
localrules:
    unpack_archive,
    advice,
    dataset,
    mixture,
    variant,
    questions,
    external_completions,
    recorded_judgments,
    estimate,
    cost,
    gold,
    attacks,
    label_sheet,
    claims,
    summary,
    timings,
    overview,
    power,
    manifest,
    archive,


# So do these, for they need the internet, unless the config has them submitted to a partition that has it.
if config["online_jobs"] == "here":

    localrules:
        download_model,
        download_dataset,
        download_judge,
        judgments,
        verdicts,


# Results on the way are targets too. Figures alone could be up to date while a model behind them failed to be
# made again, and the old figures would then pass for results of the new config.
rule all:
    default_target: True
    input:
        all_finetunes(),
        all_completions(),
        all_judgments(),
        all_tables_and_figures(),
        "<results>/manifest.json",
    message:
        "Everything that the config asks for is there"


rule finetunes:
    """Every adapter, and no evaluation."""
    input:
        all_finetunes(),


rule sampled:
    """Every completion, and no judgment."""
    input:
        all_completions(),


onstart:
    require_keys()


onsuccess:
    show_summary()
