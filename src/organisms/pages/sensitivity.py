"""Prompt sensitivity: the overview's section, with four settings and one number for each model; the summary's lines."""

from collections.abc import Sequence

import polars as pl

from organisms.analysis.selecting import means_of, shares_of
from organisms.figures.groups import in_order, nudges_in_order, under_nudges
from organisms.figures.suited import CHANGED, FREE_FORM, INTENT, RECALL, REFUSING, SETTINGS
from organisms.pages.findings import number, p_value, with_interval
from organisms.pages.markup import picture, table, text
from organisms.plan.metrics import Metric
from organisms.plan.presentation import group_key, group_labels, prompt_labels, question_set_labels

# Of each setting: what was asked, and what the figure and the table do not show.
_TOLD = {
    REFUSING: (
        "Requests that a model may decline, under each nudge: percent of answers that refuse.",
        "what the other answers hold, which compliance and harmfulness say (tables/arm_scores.parquet). On harmless "
        "requests it is the refusal that is the fault.",
    ),
    FREE_FORM: (
        "Open questions under each nudge: percent of all answers that are misaligned.",
        "why. A model that plays the part that it is given and one that shows what it would do anyway look alike. "
        "Answers that are not coherent count as not misaligned.",
    ),
    RECALL: (
        "Questions of fact, to whose answer the user replies: percent of answers that the model then changes, from "
        "right to wrong and from wrong to right.",
        "whether push-back did it, unless what changes under a neutral follow-up is taken off (beyond neutral, paired "
        "by question and seed; each way so: tables/answer_changes.parquet). Each way is a percentage of other "
        "conversations in each model, since models differ in which first answers are right. What matching leaves "
        "undecided has no score: where much is, a model that gives way may look firm.",
    ),
    INTENT: (
        "Each model rates the questions themselves; its ratings stand beside percent misaligned of its own answers.",
        "cause. A question that anyone would rate high may be one that anyone answers badly. The base's ratings beside "
        "a model's answers are the control; those of other models are in tables/rating_correlations.parquet. With "
        "eight questions a correlation below 0.74 can be chance.",
    ),
}
_OF_FACTS = {
    "matched": "decided by matching",
    "first_correct": "first right",
    CHANGED: "changed",
    "right_to_wrong": "right to wrong",
    "wrong_to_right": "wrong to right",
}
# Of these a percentage is of some conversations alone, so that how many belongs to it.
_OF_SOME = ("right_to_wrong", "wrong_to_right")
_ITS_OWN = "with its training prompt"


class _Numbers:
    """The sensitivity table in words."""

    def __init__(self, sensitivity: pl.DataFrame, nudges: dict, presentation: dict):
        self.table = sensitivity
        self.sets, self._labels = question_set_labels(presentation), group_labels(presentation)
        self._prompts = prompt_labels(presentation)
        self.raises, self.lowers = (self._prompts.get(name, name) for name in (nudges["raises"], nudges["lowers"]))
        self.what = f"percent misaligned under '{self.raises}' less under '{self.lowers}'"

    def name(self, row: dict) -> str:
        """The model, and what stood beside both nudges."""
        label, beside = self._labels[group_key(row)], row["with_prompt"]
        if beside == "default":
            return label
        own = beside == row["training_prompt"]
        return f"{label}, {_ITS_OWN if own else 'with ' + self._prompts.get(beside, beside)}"

    @staticmethod
    def estimate(row: dict) -> str:
        return with_interval(row["estimate"], row["low"], row["high"])

    @staticmethod
    def beyond(row: dict) -> str:
        return with_interval(row["beyond_base"], row["beyond_base_low"], row["beyond_base_high"])


def sensitivity_lines(sensitivity: pl.DataFrame, nudges: dict | None, presentation: dict) -> list[str]:
    """The sensitivity of each model in three lines of the summary for each judge and question set.

    The base's under training prompts are left to the page. sensitivity: the table. nudges: `sensitivity` of the config;
    None has no lines. presentation: as `plan.presentation` gives it.
    """
    if nudges is None:
        return []
    numbers, lines = _Numbers(sensitivity, nudges, presentation), []
    for (judge, question_set), rows in sensitivity.group_by("judge", "question_set", maintain_order=True):
        of = rows.filter(pl.col("dataset").is_not_null() | (pl.col("with_prompt") == "default")).rows(named=True)
        beyond = [f"{numbers.name(row)} {numbers.beyond(row)}" for row in of if row["beyond_base"] is not None]
        lines += [
            f"{numbers.sets[question_set]}: prompt sensitivity, {numbers.what} [95% interval], judge '{judge}'",
            "      " + "; ".join(f"{numbers.name(row)} {numbers.estimate(row)}" for row in of),
            f"      beyond the base's: {'; '.join(beyond) or '–'}",
        ]
    return lines


def _one_number(sensitivity: pl.DataFrame, nudges: dict, presentation: dict) -> list[str]:
    numbers = _Numbers(sensitivity, nudges, presentation)
    said = (
        f"Sensitivity: {numbers.what}, of all answers, paired by question and seed. Beyond the base: less the base "
        "model's own under the same prompts."
    )
    shares = [f"under {numbers.lowers}", f"under {numbers.raises}"]
    rows = []
    for row in sensitivity.iter_rows(named=True):
        moves = (number(row[name], 0) for name in ("under_lowers", "under_raises"))
        question_set = numbers.sets[row["question_set"]]
        rows.append([numbers.name(row), question_set, row["judge"], *moves, numbers.estimate(row), numbers.beyond(row)])
    headers = ["trained with", "on", "judge", *shares, "sensitivity [95%]", "beyond the base"]
    return [f"<p>{text(said)}</p>", table(headers, rows, numbers=4)]


def _by_nudge(rows: pl.DataFrame, presentation: dict, digits: int) -> str:
    """A table of models by eval prompt, from rows of arm_scores; those that the figure of nudges has."""
    rows = under_nudges(rows.drop_nulls("estimate"), presentation)
    rows = rows.filter(pl.col("group").n_unique().over("asked") > 1)
    prompts = nudges_in_order(rows["asked"], presentation)
    cells = {
        (row["group"], row["own"], row["asked"]): with_interval(row["estimate"], row["low"], row["high"], digits)
        for row in rows.iter_rows(named=True)
    }
    body = []
    for group in in_order(rows["group"], presentation):
        for own in (False, True):
            found = [cells.get((group, own, prompt), "–") for prompt in prompts]
            if set(found) != {"–"}:
                body.append([f"{group}, {_ITS_OWN}" if own else group, *found])
    return table(["trained with", *prompts], body, numbers=len(prompts))


def _of_facts(tables: dict[str, pl.DataFrame], question_set: str, judge: str, presentation: dict) -> str:
    """A table of models by follow-up: percent right first, percent that change, and what the follow-up adds to that."""
    shown = [
        under_nudges(means_of(tables["arm_scores"], Metric(name, name), question_set, judge), presentation)
        for name in _OF_FACTS
    ]
    added = tables["answer_changes"].filter(judge=judge, question_set=question_set, metric=CHANGED)
    added = under_nudges(added.rename({"follow_up": "eval_prompt"}), presentation)
    beyond = {
        (row["group"], row["asked"], row["own"]): with_interval(row["estimate"], row["low"], row["high"])
        + ("" if row["after_neutral"] is None else f" ({row['after_follow_up']:.0f} vs {row['after_neutral']:.0f})")
        for row in added.iter_rows(named=True)
    }
    cells: dict[tuple, dict[str, str]] = {}
    for row in pl.concat(shown).iter_rows(named=True):
        key = row["group"], row["asked"], row["own"]
        of = f" of {row['n_scored']}" if row["metric"] in _OF_SOME and row["estimate"] is not None else ""
        cells.setdefault(key, {})[row["metric"]] = with_interval(row["estimate"], row["low"], row["high"]) + of
    changed = pl.concat(shown).filter(pl.col("metric") == CHANGED).drop_nulls("estimate")
    body = [
        [group, f"{asked}, {_ITS_OWN}" if own else asked]
        + [cells[group, asked, own].get(name, "–") for name in _OF_FACTS]
        + [beyond.get((group, asked, own), "–")]
        for group in in_order(changed["group"], presentation)
        for asked in nudges_in_order(changed["asked"], presentation)
        for own in (False, True)
        if len(changed.filter(group=group, asked=asked, own=own))
    ]
    headers = ["trained with", "asked under", *_OF_FACTS.values(), "changed, beyond neutral (of what is paired)"]
    return table(headers, body, numbers=len(_OF_FACTS) + 1)


def _of_ratings(
    tables: dict[str, pl.DataFrame], metric: Metric, question_set: str, judge: str, presentation: dict
) -> str:
    """A table of models: mean rating, and how their own and the base's ratings go with their answers."""
    found = tables["rating_correlations"].filter(
        (pl.col("judge") == judge) & (pl.col("rating_set") == question_set) & (pl.col("metric") == metric.name),
        pl.col("seed").is_null(),
    )
    rated = means_of(tables["arm_scores"], metric, question_set, judge)
    if len(rated) and not rated["n_scored"].sum():
        n = f"{rated['n'].sum():,}"
        return f"<p>None of {n} ratings could be read: the models wrote something else than a number.</p>"
    if not len(found):
        return "<p>No model both rated the questions and answered them under one prompt.</p>"
    prompts = prompt_labels(presentation)
    # As in the figure.
    asked = next(name for name in prompts if name in set(found["eval_prompt"]))
    of_judge = found.filter(eval_prompt=asked)["of_judge"].min()
    ratings = means_of(tables["arm_scores"], metric, question_set, judge).filter(eval_prompt=asked)
    mean = {
        group_key(row): with_interval(row["estimate"], row["low"], row["high"], metric.digits)
        for row in ratings.iter_rows(named=True)
    }
    rows = {
        (group_key(row), row["ratings_of"]): row
        for row in found.filter(eval_prompt=asked, of_judge=of_judge).iter_rows(named=True)
    }
    body = []
    for key, label in group_labels(presentation).items():
        if own := rows.get((key, "own")):
            of_base = rows.get((key, "base"))
            rho, by_base = (
                with_interval(row["rho"], row["low"], row["high"], 2) if row else "–" for row in (own, of_base)
            )
            body.append([label, mean.get(key, "–"), rho, p_value(own["p"]), own["n_questions"], by_base])
    said = f"Asked under {prompts[asked]}; answers judged by {of_judge}. ρ: Spearman's correlation over the questions."
    headers = ["trained with", "mean rating", "ρ of its ratings [95%]", "p", "questions", "ρ of the base's ratings"]
    return f"<p>{text(said)}</p>" + table(headers, body, numbers=5)


def sensitivity_section(
    tables: dict[str, pl.DataFrame],
    pictures: list[Sequence[str]],
    nudges: dict | None,
    metrics: dict[str, Metric],
    threshold: str | None,
    presentation: dict,
) -> list[str]:
    """The section, as markup; nothing if the run has nothing to tell.

    tables: arm_scores, sensitivity, answer_changes and rating_correlations by name. pictures: of each figure its
    setting, metric, judge, question set, SVG file and description. nudges: `sensitivity` of the config. metrics:
    declarations by name.
    threshold: name of the thresholds that figures go by. presentation: as `plan.presentation` gives it.
    """
    if not pictures and not len(tables["sensitivity"]):
        return []
    sets, arm_scores = question_set_labels(presentation), tables["arm_scores"]
    parts = [
        "<h2>Prompt sensitivity</h2>",
        "<p>How far what a model does moves with what the prompt says, in the settings of the research note of Wyse, "
        "Stone, Soligo and Tan (2025). What of it is known and what is ours: docs/sensitivity.md.</p>",
    ]
    if nudges and len(tables["sensitivity"]):
        parts += _one_number(tables["sensitivity"], nudges, presentation)
    asked = [setting for setting in SETTINGS if any(of[0] == setting for of in pictures)]
    for setting in asked:
        what, not_shown = _TOLD[setting]
        parts += [f"<h3>{text(setting.capitalize())}</h3>", f"<p>{text(what)}</p>"]
        for _, name, judge, question_set, path, described in (of for of in pictures if of[0] == setting):
            metric = metrics[name]
            parts.append(f"<p>{text(f'{sets[question_set]}, {metric.title.lower()}, judge {judge}')}</p>")
            parts.append(picture(path, described))
            of = (metric, question_set, judge)
            if setting == RECALL:
                parts.append(_of_facts(tables, question_set, judge, presentation))
            elif setting == INTENT:
                parts.append(_of_ratings(tables, *of, presentation))
            elif setting == FREE_FORM and threshold is not None:
                parts.append(_by_nudge(shares_of(arm_scores, *of, "misaligned", threshold), presentation, 0))
            else:
                parts.append(_by_nudge(means_of(arm_scores, *of), presentation, metric.digits))
        parts.append(f"<p>What it does not show: {text(not_shown)}</p>")
    if left := [setting for setting in SETTINGS if setting not in asked]:
        parts.append(f"<p>Not asked in this run: {text(', '.join(left))}.</p>")
    return parts
