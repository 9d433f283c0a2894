"""Reading a config: structure and defaults from the schema, then the references between its parts.

Everything wrong is a UserError of one line which names the key and the mend.
"""

import json
import math
import re
from pathlib import Path

from jsonschema.exceptions import best_match

from organisms import ROOT
from organisms.job.errors import UserError
from organisms.job.json_text import read_json
from organisms.job.yaml_files import read_yaml
from organisms.plan.arms import DEFAULT_METHOD
from organisms.plan.external import asked_under, check_external, expanded, named_values
from organisms.plan.metrics import shipped_metrics
from organisms.plan.prompts import BUILT_IN_PROMPTS, SOURCES, WRONG, read_prompt
from organisms.plan.schema import Validator, completed, did_you_mean, dotted, explain, schema, schema_for

DATASET_SOURCES = ("path", "archive", "hub", "world", "mixture")
QUESTION_SOURCES = ("file", "world", "heldout_of", "rating_of")
# The measure of claims that are about a rank correlation of ratings.
CORRELATION = "spearman"
MODEL_GROUPS = ("all", "base", "finetuned", "steps")
# Folders of the workflow that hold what results must not be mixed with.
_OWN_FOLDERS = (
    *("src", "workflow", "config", "resources", "envs", "profiles", "tests", "docs", "benchmarks"),
    *(".git", ".ci", ".venv", ".snakemake"),
)
# The parts of an experiment, beside the base model; one that has a part has them all.
_EXPERIMENT = ("datasets", "training_prompts", "question_sets", "evaluations")
# Keys of older configs, and what to write now.
_RENAMED = {"system_prompts": "prompts", "variants": "finetunes"}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(f"config: {message}")


def _check_values(value, path: tuple = ()) -> None:
    """What no schema finds: keys that are no text, and NaN, which is neither below nor above any bound."""
    if isinstance(value, dict):
        for key, item in value.items():
            _require(isinstance(key, str), f"{dotted([*path, str(key)])}: the key is no text; put it in quotes")
            _check_values(item, (*path, key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            _check_values(item, (*path, i))
    elif isinstance(value, float):
        _require(math.isfinite(value), f"{dotted(path)}: {value} is no finite number; write one")


def _exactly_one(where: str, entry: dict, keys: tuple[str, ...]) -> None:
    given = [key for key in keys if entry[key] is not None]
    _require(len(given) == 1, f"{where}: give exactly one of {', '.join(keys)}; given: {', '.join(given) or 'none'}")


def _known(where: str, names: list[str], kind: str, known: list[str]) -> None:
    for i, name in enumerate(names):
        _require(name in known, f"{where}[{i}]: no {kind} '{name}'; {did_you_mean(name, known)}")


def _check_results(results: str) -> None:
    place, own = Path(results).resolve(), ROOT.resolve()
    kept = [own / name for name in _OWN_FOLDERS]
    _require(
        not own.is_relative_to(place) and not any(place.is_relative_to(folder) for folder in kept),
        f"results: '{results}' is a folder with the workflow's own files; give a folder of the results' own, such as "
        "results/mine",
    )
    _require(place.is_dir() or not place.exists(), f"results: '{results}' is a file; give a folder")


def _check_given(config: dict) -> None:
    """What an experiment needs; completions made elsewhere need none of it."""
    base = config["base_model"]
    given = [base["name"], base["miniature"], *(config[key] for key in _EXPERIMENT if key != "question_sets")]
    for key in _EXPERIMENT if any(given) or not config["external_completions"] else ():
        _require(bool(config[key]), f"{key}: missing; add it (see config/README.md)")


def _check_base_model(config: dict) -> None:
    training, miniature = config["training"], config["base_model"]["miniature"]
    if not config["datasets"]:
        return
    _exactly_one("base_model", config["base_model"], ("name", "miniature"))
    if miniature:
        for many, few in (("hidden_size", "attention_heads"), ("attention_heads", "key_value_heads")):
            _require(
                miniature[many] % miniature[few] == 0,
                f"base_model.miniature.{many}: {miniature[many]} must be a multiple of {few} {miniature[few]}",
            )
        _require(
            training["max_length"] <= miniature["max_positions"],
            f"training.max_length: {training['max_length']} must be at most base_model.miniature.max_positions "
            f"{miniature['max_positions']}",
        )


def _check_training(where: str, training: dict) -> None:
    _require(
        training["batch_size"] % training["micro_batch_size"] == 0,
        f"{where}.micro_batch_size: {training['micro_batch_size']} must divide {where}.batch_size "
        f"{training['batch_size']}",
    )


def _check_datasets(config: dict) -> None:
    for name, dataset in config["datasets"].items():
        _require("-" not in name, f"datasets.{name}: a name has no '-'")
        _exactly_one(f"datasets.{name}", dataset, DATASET_SOURCES)
        archive, mixture = dataset["archive"], dataset["mixture"]
        if archive and archive["path"].endswith(".enc"):
            _exactly_one(f"datasets.{name}.archive", archive, ("password", "password_env"))
        _require(
            dataset["sha256"] is None or dataset["path"] is not None or archive is not None,
            f"datasets.{name}.sha256: only a file has a checksum; remove it, or give path or archive",
        )
        for key in ("of", "with") if mixture else ():
            part = mixture[key]
            plain = [other for other in config["datasets"] if config["datasets"][other]["mixture"] is None]
            where = f"datasets.{name}.mixture.{key}"
            _require(part in plain, f"{where}: no dataset '{part}' that is no mixture; {did_you_mean(part, plain)}")
        heldout = dataset["heldout"]
        _require(
            heldout < 1 or heldout == int(heldout),
            f"datasets.{name}.heldout: {heldout} must be a share below 1 or a whole number of questions",
        )


def _check_prompts(config: dict) -> None:
    for group in ("training_prompts", "prompts"):
        for name, value in config[group].items():
            where = f"{group}.{name}"
            _require(name not in ("trained", *MODEL_GROUPS), f"{where}: the name is built in; choose another")
            given = [key for key in SOURCES if isinstance(value, dict) and key in value]
            _require(
                not isinstance(value, dict) or len(given) == 1,
                f"{where}: give exactly one of {', '.join(SOURCES)}; given: {', '.join(given) or 'none'}",
            )
            # One text, one name: otherwise the same cell would be sampled twice under two names.
            prompt = read_prompt(name, value)
            _require(
                (prompt.text is None and prompt.rows is None) == (name == "default"),
                f"{where}: null is the chat template's own prompt and is named 'default', and only it; "
                "write the prompt's text",
            )
            _require(
                (prompt.text == "") == (name == "none"),
                f"{where}: an empty system message is named 'none', and only it; write the prompt's text",
            )
            _require(
                prompt.place == "system" or name not in BUILT_IN_PROMPTS,
                f"{where}.place: '{name}' is a system message; remove place, or choose another name",
            )
            # A name in braces would reach the model as it is written.
            filled = [name for name in re.findall(r"\{\s*\w+\s*\}", prompt.text or "") if name != WRONG]
            _require(
                not filled or not (prompt.place == "follow_up" or filled[0].strip("{} ").lower() == "wrong"),
                f"{where}: {filled and filled[0]} stands for nothing; a follow-up knows {WRONG} alone",
            )
            _require(
                WRONG not in (prompt.text or "") or prompt.place == "follow_up",
                f"{where}: {WRONG} stands for the question's wrong answer in a follow-up alone; write place: follow_up",
            )
            _require(
                prompt.place != "follow_up" or group == "prompts",
                f"{where}.place: a training row ends with its answer, so no follow-up can be trained with; write it "
                "under prompts",
            )
    both = sorted(set(config["training_prompts"]) & set(config["prompts"]))
    _require(not both, f"prompts.{both and both[0]}: the name is taken by a training prompt; choose another")


def _check_finetunes(config: dict) -> None:
    names = [DEFAULT_METHOD, *(name for name in config["training_methods"] if name != DEFAULT_METHOD)]
    for name, method in config["training_methods"].items():
        where = f"training_methods.{name}"
        taken = name in config["training_prompts"] or name in (*BUILT_IN_PROMPTS[1:], *MODEL_GROUPS)
        _require(not taken, f"{where}: the name is taken by a prompt or built in; choose another")
        _require("-" not in name, f"{where}: a name has no '-'")
        _check_training(f"{where}.training", config["training"] | method["training"])
    known = {
        "datasets": ("dataset", list(config["datasets"])),
        "training_prompts": ("training prompt", list(config["training_prompts"])),
        "training_methods": ("training method", names),
    }
    for i, entry in enumerate(config["finetunes"] or []):
        for key, (kind, of) in known.items():
            _known(f"finetunes[{i}].{key}", entry[key] or [], kind, of)


def _prompts(config: dict) -> list[str]:
    return list(dict.fromkeys([*BUILT_IN_PROMPTS, *config["training_prompts"], *config["prompts"]]))


def _check_evaluations(config: dict) -> None:
    for name, entry in config["question_sets"].items():
        _exactly_one(f"question_sets.{name}", entry, QUESTION_SOURCES)
        _require(
            entry["world"] is None or entry["questions"] is not None,
            f"question_sets.{name}.questions: missing; say how many questions to make",
        )
        plain = [other for other, of in config["question_sets"].items() if of["rating_of"] is None]
        _require(
            entry["rating_of"] is None or entry["rating_of"] in plain,
            f"question_sets.{name}.rating_of: no question set '{entry['rating_of']}' that rates no other; "
            + did_you_mean(str(entry["rating_of"]), plain),
        )
        _require(
            (entry["rating_of"] is None) == (entry["wordings"] is None),
            f"question_sets.{name}.wordings: give rating_of and wordings together",
        )
        metrics = [*shipped_metrics(), *config["metrics"]]
        _require(
            entry["rating_of"] is None or entry["rates"] in metrics,
            f"question_sets.{name}.rates: no metric '{entry['rates']}'; {did_you_mean(entry['rates'], metrics)}",
        )
        for key in ("heldout_of", "reference_from"):
            _require(
                entry[key] is None or entry[key] in config["datasets"],
                f"question_sets.{name}.{key}: no dataset '{entry[key]}'; "
                + did_you_mean(str(entry[key]), list(config["datasets"])),
            )
    prompts = _prompts(config)
    for i, entry in enumerate(config["evaluations"]):
        for j, name in enumerate(entry["eval_prompts"]):
            where = f"evaluations[{i}].eval_prompts[{j}]"
            parts = name.split("+")
            twice = next((part for part in parts if parts.count(part) > 1), None)
            _require(twice is None, f"{where}: '{twice}' stands twice in it; each prompt is asked once")
            for part in parts:
                _require(part in prompts, f"{where}: no prompt '{part}'; {did_you_mean(part, prompts)}")
        _known(f"evaluations[{i}].question_sets", entry["question_sets"], "question set", list(config["question_sets"]))


def _place(config: dict, name: str) -> str:
    return read_prompt(name, config["prompts"][name]).place


def _check_sensitivity(config: dict) -> None:
    """That nudges are prompts; that they are asked is seen where evaluations are read."""
    nudges = config["sensitivity"]
    if nudges is None:
        return
    elsewhere = [prompt for entry in config["external_completions"].values() for prompt in asked_under(entry)]
    prompts = list(dict.fromkeys([*_prompts(config), *elsewhere]))
    # What each model was trained with is no one prompt; rows with it are made beside those without.
    prompts.remove("trained")
    for key in ("raises", "lowers"):
        for part in nudges[key].split("+"):
            _require(part in prompts, f"sensitivity.{key}: no prompt '{part}'; {did_you_mean(part, prompts)}")
    neutral, follow_ups = nudges["neutral"], [n for n in config["prompts"] if _place(config, n) == "follow_up"]
    _require(
        neutral is None or neutral in follow_ups,
        f"sensitivity.neutral: no prompt '{neutral}' with `place: follow_up`; {did_you_mean(str(neutral), follow_ups)}",
    )
    _require(nudges["raises"] != nudges["lowers"], "sensitivity.lowers: the same prompt as raises; name another")
    _require(bool(config["thresholds"]), "thresholds: missing; sensitivity is a share misaligned by one of them")


def _check_question_sets(config: dict, where: str, names: list[str]) -> None:
    """Names of question sets, those of external completions among them."""
    asked = [*config["question_sets"], *(e["question_set"] for e in config["external_completions"].values())]
    _known(f"{where}.question_sets", names, "question set", asked)


def _check_thresholds(config: dict) -> None:
    for name, preset in config["thresholds"].items():
        _exactly_one(f"thresholds.{name}", preset, ("coherent_from", "coherent_above"))
    shown, known = config["figures"]["threshold"], list(config["thresholds"])
    _require(
        shown is None or shown in known,
        f"figures.threshold: no entry '{shown}' of thresholds; {did_you_mean(str(shown), known)}",
    )


def _check_correlation(config: dict, where: str, claim: dict) -> None:
    """What a claim needs that ratings of questions go with the share misaligned of the answers to them."""
    rating = {name: entry["rates"] for name, entry in config["question_sets"].items() if entry["rating_of"]}
    for i, name in enumerate(claim["question_sets"]):
        known = did_you_mean(name, rating) if rating else "add one with rating_of"
        _require(
            name in rating,
            f"{where}.question_sets[{i}]: '{name}' rates no other set, and {CORRELATION} is of ratings; {known}",
        )
        _require(
            claim["metric"] == rating[name],
            f"{where}.metric: the ratings of '{name}' are not '{claim['metric']}'; write {rating[name]}",
        )
    known, threshold = list(config["thresholds"]), claim["threshold"]
    _require(bool(known), f"{where}.threshold: measure {CORRELATION} needs an entry of thresholds; add one")
    _require(
        threshold in (None, *known),
        f"{where}.threshold: no entry '{threshold}' of thresholds; {did_you_mean(str(threshold), known)}",
    )
    _require(claim["margin"] is None, f"{where}.margin: measure {CORRELATION} has none; remove it")


def _check_claims(config: dict) -> None:
    for name, claim in config["claims"].items():
        where = f"claims.{name}"
        _check_question_sets(config, where, claim["question_sets"])
        _require(
            claim["for_each"] is None or claim["for_each_except"] is None,
            f"{where}: give for_each or for_each_except, not both",
        )
        if claim["measure"] == CORRELATION:
            _check_correlation(config, where, claim)
            continue
        of_threshold = claim["measure"] in ("coherent", "misaligned", "misaligned_of_coherent")
        _require(
            (claim["threshold"] in config["thresholds"]) if of_threshold else claim["threshold"] is None,
            f"{where}.threshold: measure {claim['measure']} "
            + (f"needs one of {', '.join(config['thresholds'])}" if of_threshold else "has none; remove it"),
        )


def _check_judges(config: dict) -> None:
    for name, metric in config["metrics"].items():
        _check_question_sets(config, f"metrics.{name}", metric["question_sets"] or [])
    metrics = list(dict.fromkeys([*shipped_metrics(), *config["metrics"]]))
    for name, judge in config["judges"].items():
        for i, metric in enumerate(judge.get("metrics", [])):
            known = did_you_mean(metric, metrics)
            _require(metric in metrics, f"judges.{name}.metrics[{i}]: no metric '{metric}'; {known}")


def _where_it_lies(path: str) -> str:
    """A path of the user's, or of a file that the workflow ships if there is none in the folder of the run.

    So a config that names `resources/...` also runs where the workflow is used as a module from another folder.
    """
    shipped = ROOT / path
    return str(shipped) if not Path(path).exists() and shipped.is_file() else path


def _with_shipped_files(config: dict) -> dict:
    question_sets = {
        name: entry | {key: entry[key] and _where_it_lies(entry[key]) for key in ("file", "wordings")}
        for name, entry in config["question_sets"].items()
    }
    metrics = {
        name: entry | {"template": entry["template"] and _where_it_lies(entry["template"])}
        for name, entry in config["metrics"].items()
    }
    external = {
        name: entry | {"path": _where_it_lies(entry["path"])} for name, entry in config["external_completions"].items()
    }
    files = {key: _where_it_lies(config[key]) for key in ("world", "prices")}
    others = {"question_sets": question_sets, "metrics": metrics, "external_completions": external}
    return config | files | others


def check_written(path: str | Path) -> None:
    """Raise UserError, with line and key, if a key of a config file stands twice; Snakemake silently keeps the last."""
    text = Path(path).read_text(encoding="utf-8")
    try:
        json.loads(text)
    except ValueError:
        # As Snakemake does: what is no JSON is YAML.
        read_yaml(path, "config")
    else:
        read_json(text, str(path))


def read_config(raw: dict) -> dict:
    """A config checked against the schema, with defaults filled in. Raises UserError; `raw` is left as it was."""
    for old, new in _RENAMED.items():
        _require(old not in raw, f"{old}: this key is called {new} now; rename it")
    config = completed(named_values(raw), schema())
    _check_values(config)
    error = best_match(Validator(schema_for(config)).iter_errors(config))
    if error is not None:
        raise UserError(f"config: {explain(error)}")
    _check_results(config["results"])
    _check_given(config)
    _check_base_model(config)
    _check_training("training", config["training"])
    _check_datasets(config)
    _check_prompts(config)
    _check_finetunes(config)
    _check_evaluations(config)
    _check_judges(config)
    check_external(config)
    _check_thresholds(config)
    _check_sensitivity(config)
    _check_claims(config)
    config = config | {"external_completions": expanded(config["external_completions"])}
    return _with_shipped_files(config)
