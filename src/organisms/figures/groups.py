"""Which group of models a row of a table belongs to, and what it was asked under: what most figures start from."""

import polars as pl

from organisms.plan.arms import ARM

WITHOUT, WITH, CONTROL = "Default system prompt", "Its training prompt", "Base model under that prompt"


def grouped(rows: pl.DataFrame, presentation: dict) -> pl.DataFrame:
    """Adds `group`, the label of the row's model. presentation: as `plan.presentation` gives it."""
    groups = pl.DataFrame(
        [{name: group[name] for name in ARM} | {"group": group["label"]} for group in presentation["groups"]],
        schema=dict.fromkeys((*ARM, "group"), pl.String),
    )
    return rows.join(groups, on=list(ARM), nulls_equal=True, maintain_order="left")


def in_order(present: pl.Series, presentation: dict) -> list[str]:
    """The labels of groups that are there, in the presentation's order."""
    found = set(present)
    return [group["label"] for group in presentation["groups"] if group["label"] in found]


def place_in_groups(frame: pl.DataFrame, groups: list[dict]) -> pl.DataFrame:
    """The rows of a table of means that the figure shows, each with its group's label and what was asked under.

    frame: rows with the columns of an arm and eval_prompt. groups: as in the presentation.
    Adds `group` and `asked`: WITHOUT for the default prompt, WITH for the prompt that the model was trained with,
    CONTROL for the base model under the group's training prompt (so one row of the base may stand in several
    groups). Other rows are left out. A model trained with the default prompt has only WITHOUT.
    """
    parts = []
    is_base = pl.all_horizontal(pl.col(name).is_null() for name in ARM)
    for group in groups:
        own = pl.all_horizontal(pl.col(name).eq_missing(pl.lit(group[name], pl.String)) for name in ARM)
        under_default = pl.col("eval_prompt") == "default"
        under_trained = pl.col("eval_prompt") == pl.lit(group["training_prompt"], pl.String)
        asked = (
            pl.when(own & under_default)
            .then(pl.lit(WITHOUT))
            .when(own & under_trained)
            .then(pl.lit(WITH))
            .when(is_base & under_trained & ~under_default)
            .then(pl.lit(CONTROL))
        )
        parts.append(
            frame.with_columns(group=pl.lit(group["label"]), asked=asked).filter(pl.col("asked").is_not_null())
        )
    return pl.concat(parts)
