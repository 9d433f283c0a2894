"""The figure of training curves: loss by optimiser step, one line for each finetune."""

import altair as alt
import polars as pl

from organisms.figures.charts import group_lines, themed
from organisms.plan.presentation import Key, group_labels


def training_curves(logs: list[tuple[Key, int, pl.DataFrame]], presentation: dict) -> alt.LayerChart:
    """Loss by optimiser step: thin lines single finetunes, thick lines the mean over seeds.

    logs: of each finetune its group's key, its seed and its training_log table. presentation: as `plan.presentation`
    gives it; a group's label is the line's name.
    """
    labels = group_labels(presentation)
    points = pl.concat(
        log.select("step", "loss", group=pl.lit(labels[key]), seed=pl.lit(seed)) for key, seed, log in logs
    )
    order = list(dict.fromkeys(labels[key] for key, _, _ in logs))
    means = points.group_by("group", "step", maintain_order=True).agg(pl.col("loss").mean())
    x = alt.X("step:Q", title="Optimiser step")
    y = alt.Y("loss:Q", title="Loss on answers (nats per token)", scale=alt.Scale(zero=False))
    colour, dash = group_lines(order, presentation, "Finetuned under")
    thin = alt.Chart(points).mark_line(strokeWidth=1, opacity=0.35).encode(x, y, colour, dash, detail="seed:N")
    thick = (
        alt.Chart(means)
        .mark_line(strokeWidth=2.5)
        .encode(x, y, colour, dash, tooltip=["group:N", "step:Q", alt.Tooltip("loss:Q", format=".3f")])
    )
    n_seeds = len({seed for _, seed, _ in logs})
    lines = "Lines: one finetune each." if n_seeds == 1 else f"Thick: mean over {n_seeds} seeds; thin: single seeds."
    return themed(
        alt.layer(thin, thick).properties(
            width=520,
            height=320,
            title=alt.TitleParams("Training loss", subtitle=[lines], anchor="start", offset=8),
        )
    )
