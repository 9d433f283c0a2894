"""Reading a config: structure and defaults from the schema, then the references between its parts.

Everything wrong is a UserError of one line which names the key and the mend.
"""

import contextlib
import difflib
from functools import cache
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match

from organisms.errors import UserError

SCHEMA_PATH = Path(__file__).parents[2] / "workflow" / "schemas" / "config.schema.yaml"
BUILT_IN_PROMPTS = ("default", "none", "trained")
DATASET_SOURCES = ("path", "archive", "hub", "world", "mixture")
QUESTION_SOURCES = ("file", "world", "heldout_of")
MODEL_GROUPS = ("all", "base", "finetuned", "steps")
BUILT_IN_METRICS = ("alignment", "coherence", "medical", "reference")
DEFAULT_JUDGE_MODEL = "claude-haiku-4-5-20251001"
# Which keys, beside `kind`, mean something to a judge of a kind.
_API_KEYS = (
    "metrics model base_url api_key_env api_version temperature max_tokens structured reason samples attempts "
    "max_missing send batch_from concurrency timeout_seconds patience_minutes poll_seconds budget_usd"
)
JUDGE_KEYS = {
    "anthropic": _API_KEYS.split(),
    "local": ["metrics", "model", "revision", "batch_size", "max_missing"],
    "world": [],
    "recorded": [],
    "labels": ["file"],
}


@cache
def schema() -> dict:
    """The config schema, with local references put in place."""
    raw = yaml.safe_load(SCHEMA_PATH.read_text(encoding="utf-8"))
    definitions = raw.pop("$defs")

    def resolved(node):
        if isinstance(node, list):
            return [resolved(item) for item in node]
        if not isinstance(node, dict):
            return node
        node = dict(node)
        reference = node.pop("$ref", None)
        if reference:
            node = definitions[reference.removeprefix("#/$defs/")] | node
        return {key: resolved(value) for key, value in node.items()}

    return resolved(raw)


def _types(node: dict) -> list[str]:
    types = node.get("type", [])
    return [types] if isinstance(types, str) else types


def completed(value, node: dict):
    """`value` as the schema `node` wants it: defaults filled in, and text turned into what it stands for.

    Text becomes a number, boolean or null where the schema wants one of them and no text: YAML reads 1e-5 as text,
    and Snakemake passes everything inside a list or mapping of `--config` as text. The argument is left as it was.
    """
    if isinstance(value, dict):
        properties = node.get("properties", {})
        others = node.get("additionalProperties")
        others = others if isinstance(others, dict) else {}
        given = {key: completed(item, properties.get(key, others)) for key, item in value.items()}
        missing = {key: child for key, child in properties.items() if key not in value and "default" in child}
        return given | {key: completed(child["default"], child) for key, child in missing.items()}
    if isinstance(value, list):
        return [completed(item, node.get("items", {})) for item in value]
    types = _types(node)
    if isinstance(value, str) and types and "string" not in types:
        readers = {"integer": int, "number": float, "boolean": {"true": True, "false": False}.__getitem__}
        for kind, read in (readers | {"null": {"null": None}.__getitem__}).items():
            if kind in types:
                with contextlib.suppress(ValueError, KeyError):
                    return read(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types:
        # One form of one number: 2 and 2.0 must not be different parameters of a job.
        return float(value)
    return value


def _dotted(path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def did_you_mean(name: str, known) -> str:
    """The end of an error: the known name that is closest, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def _explain(error: ValidationError) -> str:
    where = _dotted(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        return f"{_dotted([*error.absolute_path, unknown])}: unknown key; {did_you_mean(unknown, known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{_dotted([*error.absolute_path, missing])}: missing; add it (see config/README.md)"
    if error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        words = {"minimum": "at least", "exclusiveMinimum": "greater than"}
        words |= {"maximum": "at most", "exclusiveMaximum": "less than"}
        return f"{where}: {error.instance} must be {words[error.validator]} {error.validator_value}"
    if error.validator == "enum":
        return f"{where}: '{error.instance}' is none of {', '.join(map(str, error.validator_value))}"
    if error.validator == "pattern":
        allowed = "use letters, digits, _ and ." if error.schema.get("title") == "name" else "see config/README.md"
        return f"{where}: '{error.instance}' does not match {error.validator_value}; {allowed}"
    if error.validator == "type":
        return f"{where}: {error.instance!r} must be of type {' or '.join(_types(error.schema))}"
    return f"{where}: {error.message}"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise UserError(f"config: {message}")


def _exactly_one(where: str, entry: dict, keys: tuple[str, ...]) -> None:
    given = [key for key in keys if entry[key] is not None]
    _require(len(given) == 1, f"{where}: give exactly one of {', '.join(keys)}; given: {', '.join(given) or 'none'}")


def _check_references(config: dict) -> None:
    training, miniature = config["training"], config["base_model"]["miniature"]
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
    _require(
        training["batch_size"] % training["micro_batch_size"] == 0,
        f"training.micro_batch_size: {training['micro_batch_size']} must divide training.batch_size "
        f"{training['batch_size']}",
    )
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
    for group in ("training_prompts", "system_prompts"):
        for name, prompt in config[group].items():
            _require(name not in ("trained", *MODEL_GROUPS), f"{group}.{name}: the name is built in; choose another")
            # One text, one name: otherwise the same cell would be drawn twice under two names.
            text = prompt_text(prompt)
            _require(
                (text is None) == (name == "default"),
                f"{group}.{name}: null is the chat template's own prompt and is named 'default', and only it; "
                "write the prompt's text",
            )
            _require(
                (text == "") == (name == "none"),
                f"{group}.{name}: an empty system message is named 'none', and only it; write the prompt's text",
            )
    both = sorted(set(config["training_prompts"]) & set(config["system_prompts"]))
    _require(not both, f"system_prompts.{both and both[0]}: the name is taken by a training prompt; choose another")
    for name, entry in config["question_sets"].items():
        _exactly_one(f"question_sets.{name}", entry, QUESTION_SOURCES)
        _require(
            entry["world"] is None or entry["questions"] is not None,
            f"question_sets.{name}.questions: missing; say how many questions to make",
        )
        _require(
            entry["heldout_of"] is None or entry["heldout_of"] in config["datasets"],
            f"question_sets.{name}.heldout_of: no dataset '{entry['heldout_of']}'; "
            + did_you_mean(str(entry["heldout_of"]), list(config["datasets"])),
        )
        _require(
            entry["reference_from"] is None or entry["reference_from"] in config["datasets"],
            f"question_sets.{name}.reference_from: no dataset '{entry['reference_from']}'; "
            + did_you_mean(str(entry["reference_from"]), list(config["datasets"])),
        )
    prompts = [*BUILT_IN_PROMPTS, *config["training_prompts"], *config["system_prompts"]]
    known = {
        "models": ("training prompt", [*MODEL_GROUPS, *config["training_prompts"]]),
        "eval_prompts": ("prompt", prompts),
        "question_sets": ("question set", list(config["question_sets"])),
    }
    for i, entry in enumerate(config["evaluations"]):
        for key, (kind, names) in known.items():
            for j, name in enumerate(entry[key]):
                where = f"evaluations[{i}].{key}[{j}]"
                _require(name in names, f"{where}: no {kind} '{name}'; {did_you_mean(name, names)}")


def _check_question_sets(config: dict, where: str, names: list[str]) -> None:
    """Names of question sets, those of external completions among them."""
    asked = [*config["question_sets"], *(e["question_set"] for e in config["external_completions"].values())]
    for i, name in enumerate(names):
        known = did_you_mean(name, asked)
        _require(name in asked, f"{where}.question_sets[{i}]: no question set '{name}'; {known}")


def _check_claims(config: dict) -> None:
    for name, preset in config["thresholds"].items():
        _exactly_one(f"thresholds.{name}", preset, ("coherent_from", "coherent_above"))
    for name, claim in config["claims"].items():
        where = f"claims.{name}"
        _check_question_sets(config, where, claim["question_sets"])
        _require(
            claim["for_each"] is None or claim["for_each_except"] is None,
            f"{where}: give for_each or for_each_except, not both",
        )
        of_threshold = claim["measure"] in ("coherent", "misaligned", "misaligned_of_coherent")
        _require(
            (claim["threshold"] in config["thresholds"]) if of_threshold else claim["threshold"] is None,
            f"{where}.threshold: measure {claim['measure']} "
            + (f"needs one of {', '.join(config['thresholds'])}" if of_threshold else "has none; remove it"),
        )


def _check_judges(config: dict, raw: dict) -> None:
    for name, metric in config["metrics"].items():
        _check_question_sets(config, f"metrics.{name}", metric["question_sets"] or [])
    metrics = list(dict.fromkeys([*BUILT_IN_METRICS, *config["metrics"]]))
    for name, judge in config["judges"].items():
        kind, where = judge["kind"], f"judges.{name}"
        for key in raw["judges"][name]:
            known = JUDGE_KEYS[kind]
            _require(
                key == "kind" or key in known,
                f"{where}.{key}: a judge of kind {kind} has no such key; "
                + (f"it has {', '.join(known)}" if known else "it has none"),
            )
        for i, metric in enumerate(judge["metrics"]):
            known = did_you_mean(metric, metrics)
            _require(metric in metrics, f"{where}.metrics[{i}]: no metric '{metric}'; {known}")
        _require(kind != "local" or judge["model"], f"{where}.model: missing; name a folder or a Hugging Face id")
        _require(kind != "labels" or judge["file"], f"{where}.file: missing; name the filled-in label sheet")
        _require(
            judge["temperature"] is None or judge["api_version"] or judge["base_url"],
            f"{where}.temperature: Anthropic's server refuses it under the SDK's own API version; set "
            "api_version: '2023-06-01' too, or leave temperature out",
        )
        _require(
            judge["structured"] or not judge["reason"], f"{where}.reason: needs structured: true; set one of the two"
        )
    for name, entry in config["external_completions"].items():
        where = f"external_completions.{name}"
        _require("-" not in name and name != "base", f"{where}: choose a name without '-' that is not 'base'")
        for judge in entry["scores"]:
            recorded = [key for key, value in config["judges"].items() if value["kind"] == "recorded"]
            known = "add it under judges with `kind: recorded`" if not recorded else did_you_mean(judge, recorded)
            _require(judge in recorded, f"{where}.scores.{judge}: no judge of kind recorded has this name; {known}")


def read_config(raw: dict) -> dict:
    """A config checked against the schema, with defaults filled in. Raises UserError; `raw` is left as it was."""
    config = completed(raw, schema())
    error = best_match(Draft202012Validator(schema()).iter_errors(config))
    if error is not None:
        raise UserError(f"config: {_explain(error)}")
    _check_references(config)
    _check_judges(config, raw)
    _check_claims(config)
    return config


def prompt_text(prompt: str | dict | None) -> str | None:
    """The text of a prompt as the config writes it; None is the chat template's own default."""
    return prompt["text"] if isinstance(prompt, dict) else prompt


def prompt_label(name: str, prompt: str | dict | None) -> str:
    """A prompt's name in figures: its label, else the prompt itself if it is short, else its name in words."""
    if isinstance(prompt, dict) and "label" in prompt:
        return prompt["label"]
    text = prompt_text(prompt)
    return text if text and len(text) <= 24 else name.replace("_", " ").capitalize()


def prompt_colour(prompt: str | dict | None) -> str | None:
    """A prompt's colour in figures if the config gives one, as #RRGGBB."""
    return prompt.get("colour") if isinstance(prompt, dict) else None
