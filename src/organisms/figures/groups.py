"""Which group of models a row of a table belongs to, and what it was asked under: what most figures start from."""

from collections.abc import Iterable

import polars as pl

from organisms.analysis.selecting import of_arm
from organisms.plan.arms import ARM
from organisms.plan.presentation import BASE, group_key, prompt_labels

WITHOUT, WITH, CONTROL = "Default system prompt", "Its training prompt", "Base model under that prompt"
# What completions made elsewhere were asked under: what their files had, which this run cannot know.
ELSEWHERE = "Asked elsewhere"


def is_elsewhere(group: dict) -> bool:
    """Whether a group of the presentation is completions that another tool made."""
    return group["dataset"] is not None and group["training_prompt"] is None


def made_elsewhere() -> pl.Expr:
    """Whether a row with the columns of an arm is of completions that another tool made."""
    return pl.col("dataset").is_not_null() & pl.col("training_prompt").is_null()


def under_default() -> pl.Expr:
    """Whether a row is of a model under the default prompt, or of one that was asked elsewhere, under whatever.

    Of one that was asked elsewhere under several it is those under the default, or under the first of them: figures
    that show one prompt a model would else add them up.
    """
    by_default = pl.col("eval_prompt") == "default"
    first = pl.when(by_default.any()).then(pl.lit("default")).otherwise(pl.col("eval_prompt").first()).over("dataset")
    return by_default | (made_elsewhere() & (pl.col("eval_prompt") == first))


def asked_under(presentation: dict) -> pl.Expr:
    """The label of what a row's model was asked under.

    Completions made elsewhere have the prompt that their entry in the config names; `default` is no name of one there.
    """
    named = pl.col("eval_prompt").replace(prompt_labels(presentation))
    return pl.when(made_elsewhere() & (pl.col("eval_prompt") == "default")).then(pl.lit(ELSEWHERE)).otherwise(named)


def asked_in_order(asked: pl.Series, presentation: dict) -> list[str]:
    """The labels of `asked_under` that are there, in the presentation's order."""
    found = set(asked)
    return [label for label in (*prompt_labels(presentation).values(), ELSEWHERE) if label in found]


def any_elsewhere(labels: Iterable[str], presentation: dict) -> bool:
    """Whether one of these groups was made elsewhere."""
    others = {group["label"] for group in presentation["groups"] if is_elsewhere(group)}
    return bool(others & set(labels))


def asked_by_default(labels: Iterable[str], presentation: dict) -> str:
    """How a caption goes on where rows are those of `under_default`."""
    if any_elsewhere(labels, presentation):
        return ", of models that were asked here under the default prompt"
    return " under the default prompt"


def trained_with(labels: Iterable[str], presentation: dict) -> str:
    """What groups differ by, as a title says it: of models that were made elsewhere no training prompt is known."""
    return "Model" if any_elsewhere(labels, presentation) else "Trained with"


def told_apart_by(labels: Iterable[str], presentation: dict) -> str:
    """The same within a title."""
    return "model" if any_elsewhere(labels, presentation) else "training prompt"


def elsewhere_note(labels: Iterable[str], presentation: dict) -> list[str]:
    """A line of a caption on the groups that were made elsewhere, if there are any."""
    others = [
        group["label"] for group in presentation["groups"] if is_elsewhere(group) and group["label"] in set(labels)
    ]
    if not others:
        return []
    names = ", ".join(others) if len(others) <= 3 else f"{len(others)} models"
    return [f"Made elsewhere: {names}; trained and asked there, under whatever prompt that was."]


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


def asked_notes(asked: pl.Series) -> list[str]:
    """The line of a caption that says how bars show what was asked under which prompt, if any was asked here."""
    words = {
        WITHOUT: "Full colour: asked under the default system prompt.",
        WITH: "Pale: under the training prompt.",
    }
    line = " ".join(words[prompt] for prompt in words if prompt in set(asked))
    return [line] if line else []


def place_in_groups(frame: pl.DataFrame, groups: list[dict]) -> pl.DataFrame:
    """The rows of a table of means that the figure shows, each with its group's label and what was asked under.

    frame: rows with the columns of an arm and eval_prompt. groups: as in the presentation.
    Adds `group` and `asked`: WITHOUT for the default prompt, WITH for the prompt that the model was trained with,
    CONTROL for the base model under the group's training prompt (so one row of the base may stand in several
    groups), ELSEWHERE for completions that another tool made, under one prompt (`under_default`). Other rows are left
    out. A model trained with the default prompt has only WITHOUT.
    """
    parts = []
    for group in groups:
        own = of_arm(group_key(group))
        by_default = pl.col("eval_prompt") == "default"
        under_trained = pl.col("eval_prompt") == pl.lit(group["training_prompt"], pl.String)
        asked = (
            pl.when(own & pl.lit(is_elsewhere(group)) & under_default())
            .then(pl.lit(ELSEWHERE))
            .when(own & by_default)
            .then(pl.lit(WITHOUT))
            .when(own & under_trained)
            .then(pl.lit(WITH))
            .when(of_arm(BASE) & under_trained & ~by_default)
            .then(pl.lit(CONTROL))
        )
        parts.append(
            frame.with_columns(group=pl.lit(group["label"]), asked=asked).filter(pl.col("asked").is_not_null())
        )
    return pl.concat(parts)


def _beside(eval_prompt: str, training_prompt: str | None) -> str:
    """What is asked under beside a model's own training prompt; `default` if that is all."""
    return "+".join(part for part in eval_prompt.split("+") if part != training_prompt) or "default"


def under_nudges(rows: pl.DataFrame, presentation: dict) -> pl.DataFrame:
    """The rows of a table of scores with what each was asked under, wherever a model's own training prompt stood by.

    Adds `group`, `own` (whether the model's training prompt stood beside it), `nudge` and `asked`, the name and the
    label of the eval prompt without that training prompt: `flamingo+evil` of the arm trained with `flamingo` is its own
    `evil`, and `flamingo` its own `default`.
    """
    labels = prompt_labels(presentation)
    pairs = rows.select("eval_prompt", "training_prompt").unique().rows()
    found = []
    for eval_prompt, training_prompt in pairs:
        nudge = _beside(eval_prompt, training_prompt)
        label = labels.get(nudge) or " + ".join(labels.get(part, part) for part in nudge.split("+"))
        own = training_prompt != "default" and training_prompt in eval_prompt.split("+")
        found.append([eval_prompt, training_prompt, nudge, label, own])
    columns = dict.fromkeys(("eval_prompt", "training_prompt", "nudge", "asked"), pl.String) | {"own": pl.Boolean}
    of_pairs = pl.DataFrame(found, columns, orient="row")
    placed = rows.join(of_pairs, on=["eval_prompt", "training_prompt"], nulls_equal=True, maintain_order="left")
    # What another tool asked under `default` is not this run's default prompt.
    elsewhere = made_elsewhere() & (pl.col("eval_prompt") == "default")
    return grouped(placed, presentation).with_columns(
        pl.when(elsewhere).then(pl.lit(ELSEWHERE)).otherwise(name).alias(name) for name in ("nudge", "asked")
    )


def nudges_in_order(asked: pl.Series, presentation: dict) -> list[str]:
    """The labels of `under_nudges` that are there, in the presentation's order; those not named there come last."""
    known = asked_in_order(asked, presentation)
    return [*known, *sorted(set(asked) - set(known))]
