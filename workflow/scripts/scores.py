"""Rule scores: all judgments that the config names → means, shares and intervals, per question, cell and variant."""

import json

import polars as pl

from organisms import analysis_tables, scores, tables
from organisms.job_log import job_log

with job_log(snakemake.log[0], "scores"):
    parts = {"question_scores": [], "question_cuts": [], "distributions": [], "flags": [], "length_effect": []}
    judge_variance = []
    thresholds = json.loads(snakemake.params.thresholds)
    for judgments in scores.in_chunks(tables.read(path, "judgments") for path in snakemake.input.judgments):
        for judge in judgments.partition_by("judge", maintain_order=True):
            parts["question_scores"].append(scores.question_scores(judge, thresholds))
            parts["question_cuts"].append(scores.question_cuts(judge))
            parts["distributions"].append(scores.distributions(judge))
            parts["flags"].append(scores.flag_counts(judge))
            parts["length_effect"].append(scores.length_effect(judge))
            judge_variance.append(scores.judge_variance(judge))
    found = {
        name: pl.concat(frames)
        if (frames := [frame for frame in of_table if frame is not None])
        else pl.DataFrame(schema=tables.schema_of(analysis_tables.ANALYSIS_TABLES[name]))
        for name, of_table in parts.items()
    }
    found["scores"] = scores.scores(found["question_scores"])
    found["variant_scores"] = scores.variant_scores(found["question_scores"])
    found["threshold_grid"] = scores.threshold_grid(found["question_cuts"])
    found["variance"] = scores.variance(found["question_scores"], pl.concat(judge_variance))
    for name, frame in found.items():
        tables.write(frame, snakemake.output[name], analysis_tables.ANALYSIS_TABLES[name])
