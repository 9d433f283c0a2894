"""All tables that follow from judgments, in one pass over them."""

from collections.abc import Iterable, Iterator

import polars as pl

from organisms.analysis.scores import (
    Definition,
    arm_scores,
    distributions,
    flag_counts,
    per_completion,
    question_cuts,
    question_scores,
    scores,
    threshold_grid,
)
from organisms.analysis.tables import SCORE_TABLES
from organisms.analysis.variance import judge_variance, length_effect, variance
from organisms.plan.metrics import Metric


def in_chunks(frames: Iterable[pl.DataFrame], rows: int = 200_000) -> Iterator[pl.DataFrame]:
    """Frames put together until they have so many rows, so that a million judgments fit into little memory."""
    waiting, n = [], 0
    for frame in frames:
        waiting.append(frame)
        n += len(frame)
        if n >= rows:
            yield pl.concat(waiting)
            waiting, n = [], 0
    if waiting:
        yield pl.concat(waiting)


def all_tables(
    judgments: Iterable[pl.DataFrame],
    thresholds: dict,
    metrics: dict[str, Metric],
    definition: Definition,
    clusters: str = "auto",
) -> dict[str, pl.DataFrame]:
    """The tables that follow from judgments, by name.

    judgments: judgments tables, each of one judge and cell; read one after the other. thresholds: the config's.
    metrics: declarations by name. definition: of misaligned and coherent. clusters: `question_clusters` of the config.
    """
    of_judgments = {"flags": flag_counts, "judge_variance": judge_variance}
    of_completions = {
        "question_scores": lambda frame: question_scores(frame, thresholds, definition),
        "question_cuts": lambda frame: question_cuts(frame, definition),
        "distributions": lambda frame: distributions(frame, metrics),
        "length_effect": length_effect,
    }
    parts: dict[str, list[pl.DataFrame]] = {name: [] for name in of_judgments | of_completions}
    for chunk in in_chunks(judgments):
        for of_judge in chunk.partition_by("judge", maintain_order=True):
            # A judge's samples are put together once; the makers leave what is together as it is.
            completions = per_completion(of_judge)
            for makers, rows in ((of_judgments, of_judge), (of_completions, completions)):
                for name, make in makers.items():
                    made = make(rows)
                    if made is not None:
                        parts[name].append(made)
    if not any(parts.values()):
        return {name: table.frame() for name, table in SCORE_TABLES.items()}
    found = {name: pl.concat(frames) if frames else SCORE_TABLES[name].frame() for name, frames in parts.items()}
    of_judge = found.pop("judge_variance")
    return found | {
        "scores": scores(found["question_scores"], metrics, clusters),
        "arm_scores": arm_scores(found["question_scores"], metrics, clusters),
        "threshold_grid": threshold_grid(found["question_cuts"]),
        "variance": variance(found["question_scores"], of_judge),
    }
