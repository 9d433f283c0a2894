"""The figure of what a run took."""

import altair as alt
import polars as pl

from organisms.figures.charts import themed


def timings_figure(table: pl.DataFrame) -> alt.LayerChart:
    """Bars of wall time by rule, with the number of jobs and what answers of judges cost."""
    jobs = pl.when(pl.col("jobs") == 1).then(pl.lit("1 job")).otherwise(pl.format("{} jobs", "jobs"))
    words = pl.format("{} s, {}", pl.col("seconds").round(1), jobs)
    paid = (
        pl.when(pl.col("usd").is_not_null()).then(pl.format("{}, ${}", words, pl.col("usd").round(2))).otherwise(words)
    )
    shown = table.with_columns(words=paid)
    y = alt.Y("rule:N", title=None, sort=shown["rule"].to_list(), axis=alt.Axis(domain=False, ticks=False))
    x = alt.X(
        "seconds:Q", title="Wall time of all jobs (s)", scale=alt.Scale(domainMax=1.35 * (shown["seconds"].max() or 1))
    )
    chart = alt.Chart(shown)
    return themed(
        alt.layer(
            chart.mark_bar(color="#0072B2").encode(x, y),
            chart.mark_text(align="left", dx=4, fontSize=11).encode(x, y, alt.Text("words:N")),
        ).properties(
            width=520,
            height=alt.Step(20),
            title=alt.TitleParams(
                "Time and cost by rule",
                subtitle=[
                    "Wall time of the jobs that led to the results, added up; jobs run side by side.",
                    "Dollars: answers of judges.",
                ],
            ),
        )
    )
