"""Finetune, evaluate and compare model organisms.

The data's path: dataset → variant → finetune → completions → judgments → scores → figures. What is run is said in one
config file: config/config.yaml, or another one given with --configfile (which then stands alone; nothing is merged into
it). Each file of rules begins with the functions that find their inputs.
"""

from snakemake.utils import min_version

min_version("9.27")

if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"  # checks the config, names the experiment
include: "workflow/rules/base_model.smk"  # corpus, pretrain: the miniature; download_model: any other
include: "workflow/rules/data.smk"  # where rows come from; dataset, mixture, variant, questions
include: "workflow/rules/finetune.smk"
include: "workflow/rules/completions.smk"
include: "workflow/rules/judgments.smk"
include: "workflow/rules/judges.smk"  # estimate, cost, agreement; gold, attacks, label_sheet
include: "workflow/rules/analysis.smk"  # scores, claims, sensitivity; power
include: "workflow/rules/figures.smk"  # figures, coherence, training_curves
include: "workflow/rules/pages.smk"  # browser, summary, timings, overview, manifest; archive, export_inspect


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
    require_comparison()
    require_judges()


onsuccess:
    show_summary()
