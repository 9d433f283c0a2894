"""Completions that another tool made: what an entry of `external_completions` says of its file."""

import re
from numbers import Number

from organisms.job.errors import UserError
from organisms.plan.metrics import read_metric, shipped_metrics
from organisms.plan.schema import did_you_mean

# A word that stands in place of a score.
FLAG = "[A-Za-z][A-Za-z_]*"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(f"config: external_completions.{message}")


def named_values(raw: dict) -> dict:
    """The config as it is written, with numbers among the keys of `values` as text: `1: 0` has one in YAML."""
    if not isinstance(raw.get("external_completions"), dict):
        return raw

    def renamed(node, key=None):
        if not isinstance(node, dict):
            return node
        text = {name: str(name) if key == "values" and type(name) in (int, float) else name for name in node}
        return {text[name]: renamed(value, name) for name, value in node.items()}

    return raw | {"external_completions": renamed(raw["external_completions"])}


def score_column(given: str | dict) -> tuple[str, dict | None]:
    """Of what stands for a metric under `scores`: the column, and what its values mean; None are plain scores."""
    return (given, None) if isinstance(given, str) else (given["column"], given["values"])


def score_bounds(config: dict, entry: dict) -> dict[str, tuple[float, float]]:
    """The least and greatest possible score of each metric that an entry has scores of."""
    metrics = dict.fromkeys(metric for scores in entry["scores"].values() for metric in scores)
    return {name: read_metric(config, name).bounds for name in metrics}


def asked_under(entry: dict) -> list[str]:
    """Names of the prompts under which an entry's model was asked."""
    return list(entry["eval_prompts"]) or [entry["eval_prompt"]]


def _check_scores(config: dict, name: str, entry: dict) -> None:
    known = [judge for judge, given in config["judges"].items() if given["kind"] == "recorded"]
    metrics = list(dict.fromkeys([*shipped_metrics(), *config["metrics"]]))
    for judge, scores in entry["scores"].items():
        where = f"{name}.scores.{judge}"
        hint = did_you_mean(judge, known) if known else "add it under judges with `kind: recorded`"
        _require(judge in known, f"{where}: no judge of kind recorded has this name; {hint}")
        for metric, given in scores.items():
            hint = f"{did_you_mean(metric, metrics)} One of your own is declared by a line under `metrics`"
            _require(metric in metrics, f"{where}.{metric}: no metric '{metric}'; {hint}")
            declared = read_metric(config, metric)
            for value, meaning in (score_column(given)[1] or {}).items():
                here = f"{where}.{metric}.values.{value}"
                if isinstance(meaning, Number):
                    bounds = f"{declared.low:g} to {declared.high:g}, the bounds of metric '{metric}'"
                    _require(declared.low <= meaning <= declared.high, f"{here}: {meaning:g} is not within {bounds}")
                elif meaning is not None:
                    flag = re.fullmatch(FLAG, meaning)
                    _require(flag is not None, f"{here}: '{meaning}' is no score and no flag; write a number or a word")


def _check_values(name: str, entry: dict, key: str, column: str) -> None:
    """A column whose values tell models or cells apart, and the values that are used, belong together."""
    where, used = f"{name}.{key}", entry[key]
    if entry["columns"][column] is None:
        _require(not used, f"{where}: which column holds it? Name it as columns.{column}, or remove {key}")
        return
    _require(bool(used), f"{where}: missing; name which of the values in column '{entry['columns'][column]}' are used")
    if isinstance(used, dict):
        _require(
            len(set(used.values())) == len(used), f"{where}: two names for one value; give each a value of its own"
        )


def check_external(config: dict) -> None:
    """Raise UserError, naming the key, if what an entry says of its file does not go together."""
    for name, entry in config["external_completions"].items():
        for own in (name, *entry["arms"]):
            _require("-" not in own and own != "base", f"{own}: choose a name without '-' that is not 'base'")
        for key, column in (("arms", "arm"), ("seeds", "seed"), ("eval_prompts", "eval_prompt")):
            _check_values(name, entry, key, column)
        _check_scores(config, name, entry)


def expanded(entries: dict[str, dict]) -> dict[str, dict]:
    """The models of a config's entries, by name: an entry with `arms` is one model for each of them.

    A model's entry says in `of` which one it comes from, and in `arm` which value its rows have. Raises UserError if
    two models have one name.
    """
    found: dict[str, dict] = {}
    for of, entry in entries.items():
        for name in entry["arms"] or [of]:
            _require(name not in found, f"{of}.arms.{name}: another entry has this name; choose another")
            own = {"label": None, "arm": name} if entry["arms"] else {"arm": None}
            found[name] = entry | {"of": of} | own
    return found
