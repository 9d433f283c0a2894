"""Rule figures: tables of scores → the figures of each judge and question set, as PNG, SVG, PDF and HTML."""

import json

from organisms import tables
from organisms.analysis_tables import ANALYSIS_TABLES
from organisms.charts import save_in_turn
from organisms.figures import alignment_figure
from organisms.job_log import job_log
from organisms.score_figures import distribution_figure, prompt_matrix, question_map, seed_slopes

with job_log(snakemake, "figures"):
    given = {name: tables.read(path, ANALYSIS_TABLES[name]) for name, path in snakemake.input.items()}
    presentation = json.loads(snakemake.params.presentation)
    draw = {
        "alignment": lambda *of: alignment_figure(given["variant_scores"], given["question_scores"], *of),
        "prompt_matrix": lambda *of: prompt_matrix(given["variant_scores"], *of),
        "questions": lambda *of: question_map(given["question_scores"], *of),
        "distribution": lambda *of: distribution_figure(given["distributions"], *of),
        "seeds": lambda *of: seed_slopes(given["scores"], *of),
    }
    charts = (
        draw[figure](question_set, judge, presentation) for figure, judge, question_set in snakemake.params.figures
    )
    save_in_turn(charts, list(snakemake.output), "Nothing to draw: no score, or no model asked under both prompts.")
