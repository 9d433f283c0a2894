"""Do models misbehave on the questions in which they see ill intent? One point a question, a panel for each model."""

import textwrap

import altair as alt
import polars as pl

from organisms.analysis.selecting import means_of, shares_of
from organisms.figures.charts import group_colours, metric_scale, themed
from organisms.figures.groups import grouped, in_order
from organisms.figures.shown import Shown
from organisms.plan.arms import ARM
from organisms.plan.metrics import in_digits

NOTHING = "No model both rated the questions and answered them under one prompt, or no judge scores the answers."

_PANELS_IN_A_ROW = 4
_WIDTH, _LETTER = 190, 7.5
# Of the table of correlations: a model's own ratings against its own answers.
_OWN = "own"


def _ratings(tables: dict[str, pl.DataFrame], shown: Shown) -> pl.DataFrame:
    """The mean rating of each question by each model and eval prompt, over wordings, samples and seeds."""
    rows = means_of(tables["question_scores"], shown.metric, shown.question_set, shown.judge).drop_nulls("mean")
    # The id of a question in a wording is `question~wording`.
    question = pl.col("question_id").str.replace("~[^~]*$", "")
    return rows.group_by([*ARM, "eval_prompt", question], maintain_order=True).agg(rating=pl.col("mean").mean())


def _shares(tables: dict[str, pl.DataFrame], shown: Shown) -> pl.DataFrame:
    """Percent misaligned of the answers to each question by each model, eval prompt and judge of answers."""
    table, rated, by = tables["question_scores"], shown.rated, ["judge", *ARM, "eval_prompt", "question_id"]
    rows = [
        shares_of(table, rated.main, rated.question_set, judge, "misaligned", rated.threshold.name).drop_nulls("mean")
        for judge in table["judge"].unique(maintain_order=True)
    ]
    return pl.concat(rows).group_by(by, maintain_order=True).agg(misaligned=pl.col("mean").mean())


def _correlations(tables: dict[str, pl.DataFrame], shown: Shown, of_judge: str, eval_prompt: str) -> pl.DataFrame:
    """The columns of an arm with `rho`, low and high, of the questions' means over all seeds."""
    return (
        tables["rating_correlations"]
        .filter(
            (pl.col("judge") == shown.judge) & (pl.col("of_judge") == of_judge) & (pl.col("ratings_of") == _OWN),
            (pl.col("rating_set") == shown.question_set) & (pl.col("metric") == shown.metric.name),
            (pl.col("eval_prompt") == eval_prompt) & pl.col("seed").is_null(),
        )
        .select(*ARM, "rho", "low", "high")
    )


def _header(label: str, n: int, rho: float | None, low: float | None, high: float | None) -> str:
    """The name of a panel over as many lines as it needs, and its correlation."""
    said = "no correlation" if rho is None else f"ρ {in_digits(rho, 2)}"
    interval = "" if low is None or rho is None else f" [{in_digits(low, 2)}, {in_digits(high, 2)}]"
    return "\n".join([*textwrap.wrap(label, int(_WIDTH / _LETTER)), f"{said}{interval}, n {n}"])


def draw(tables: dict[str, pl.DataFrame], shown: Shown) -> alt.FacetChart | None:
    """Mean rating of a question against percent misaligned of the same model's answers to it, a panel for each model.

    tables: question_scores and rating_correlations by name. shown: the ratings, and with `rated`
    the questions that they are of. Both are under one eval prompt, the first in the presentation's order that has both;
    of several judges of the answers it is the first. None if no model has both.
    """
    presentation = shown.presentation
    if shown.rated is None:
        return None
    both = _ratings(tables, shown).join(
        _shares(tables, shown), on=[*ARM, "eval_prompt", "question_id"], nulls_equal=True, maintain_order="left"
    )
    prompts = [prompt for prompt in presentation["prompts"] if prompt["name"] in set(both["eval_prompt"])]
    if not prompts:
        return None
    both = both.filter(pl.col("eval_prompt") == prompts[0]["name"])
    of_judge = both["judge"].sort()[0]
    points = grouped(both.filter(pl.col("judge") == of_judge), presentation)
    order = in_order(points["group"], presentation)
    found = _correlations(tables, shown, of_judge, prompts[0]["name"])
    numbers = {row["group"]: row for row in grouped(found, presentation).iter_rows(named=True)}
    headers = {}
    for group in order:
        n, of_group = len(points.filter(pl.col("group") == group)), numbers.get(group, {})
        headers[group] = _header(group, n, *(of_group.get(name) for name in ("rho", "low", "high")))
    colours = group_colours(presentation)
    points = points.with_columns(
        panel=pl.col("group").replace_strict(headers), colour=pl.col("group").replace_strict(colours)
    )
    metric = shown.metric
    header = alt.Header(labelExpr="split(datum.label, '\\n')", labelLimit=0, labelFontWeight="bold")
    rated_label = Shown(metric, shown.rated.question_set, of_judge, presentation).question_set_label
    return themed(
        alt.Chart(points.select("group", "panel", "question_id", "rating", "misaligned", "colour"))
        .mark_point(size=42, filled=True, opacity=0.6)
        .encode(
            x=alt.X("rating:Q", title=f"Mean {metric.title.lower()}", scale=metric_scale(metric)),
            y=alt.Y("misaligned:Q", title="Misaligned (% of its answers)", scale=alt.Scale(domain=[0, 100])),
            color=alt.Color("colour:N", scale=None),
            tooltip=[
                alt.Tooltip("group:N", title="Model"),
                alt.Tooltip("question_id:N", title="Question"),
                alt.Tooltip("rating:Q", title=f"Mean {metric.title.lower()}", format=".1f"),
                alt.Tooltip("misaligned:Q", title="Percent misaligned", format=".1f"),
            ],
        )
        .properties(width=_WIDTH, height=_WIDTH)
        .facet(
            facet=alt.Facet("panel:N", sort=[headers[group] for group in order], title=None, header=header),
            columns=min(len(order), _PANELS_IN_A_ROW),
        )
        .properties(
            title=alt.TitleParams(
                f"{shown.question_set_label}: {metric.title.lower()} against percent misaligned",
                subtitle=[
                    f"One point: one of '{rated_label}', rated and answered by the same model under "
                    f"'{prompts[0]['label']}'.",
                    f"Ratings by '{shown.judge}', answers by '{of_judge}'. "
                    f"{shown.rated.threshold.words(shown.rated.main)}.",
                    f"ρ: Spearman's correlation over the n questions, with its 95% interval. {shown.seeds}",
                ],
            )
        )
    )
