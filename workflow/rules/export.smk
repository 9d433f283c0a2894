"""The judged cells in the form of other tools."""


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
        cells=cell_files(),
        judgments=judgment_files(),
        code=code("export_inspect"),
    message:
        "Writing Inspect AI logs"
    script:
        "../scripts/export_inspect.py"
