"""The config's schema: reading it, filling in its defaults, and saying in one line what does not fit."""

import contextlib
import difflib
import re
from functools import cache

import yaml
from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError

from organisms import ROOT

SCHEMA_PATH = ROOT / "workflow" / "schemas" / "config.schema.yaml"


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

    found = resolved(raw)
    _fill_in(found, found["properties"])
    return found


def _fill_in(node: dict, sections: dict) -> None:
    """Put in what stands elsewhere in the schema: the keys that `overrides` names, and the names of `kinds`."""
    if "kinds" in node:
        node["properties"]["kind"]["enum"] = list(node["kinds"])
    for child in (*node.get("properties", {}).values(), *([_others(node)] if _others(node) else [])):
        if "overrides" in child:
            keys = sections[child["overrides"]]["properties"]
            child["properties"] = {
                key: {name: value for name, value in of.items() if name != "default"} for key, of in keys.items()
            }
            child["additionalProperties"] = False
        else:
            _fill_in(child, sections)


def _of_kind(node: dict, value) -> dict:
    """The schema of one thing; where things have kinds (`kinds` in the schema), that of its kind."""
    kinds = node.get("kinds")
    if kinds is None or not isinstance(value, dict):
        return node
    kind = kinds.get(str(value.get("kind")))
    if kind is None:
        # Its kind is what is wrong, and not the keys that belong to it.
        return node | {"additionalProperties": True}
    return node | {"properties": node["properties"] | kind["properties"], "required": kind.get("required", ["kind"])}


def _others(node: dict) -> dict:
    """The schema of entries under names of the user's; an empty one if there are none."""
    others = node.get("additionalProperties")
    return others if isinstance(others, dict) else {}


def schema_for(config: dict) -> dict:
    """The schema with each named thing of a kind under its name, so that plain JSON schema can check it."""
    found = schema()
    properties = dict(found["properties"])
    for key, node in properties.items():
        if "kinds" in _others(node) and isinstance(config.get(key), dict):
            named = {name: _of_kind(_others(node), value) for name, value in config[key].items()}
            properties[key] = node | {"properties": named}
    return found | {"properties": properties}


def _whole(validator, pattern: str, instance, node: dict):
    """Python's `$` also matches before a line break at the end, JSON schema's does not."""
    if isinstance(instance, str) and not re.fullmatch(pattern, instance):
        yield ValidationError(f"{instance!r} does not match {pattern}")


# Draft 2020-12, but that patterns, which the schema writes with ^ and $, are those of whole texts.
Validator = validators.extend(Draft202012Validator, {"pattern": _whole})


def _types(node: dict) -> list[str]:
    types = node.get("type", [])
    return [types] if isinstance(types, str) else types


def completed(value, node: dict):
    """`value` as the schema `node` wants it: defaults filled in, and text turned into what it stands for.

    Text becomes a number, boolean or null where the schema wants one of them and no text: YAML reads 1e-5 as text,
    and Snakemake passes everything inside a list or mapping of `--config` as text. The argument is left as it was.
    """
    if isinstance(value, dict):
        node = _of_kind(node, value)
        properties, others = node.get("properties", {}), _others(node)
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
    if isinstance(value, float) and value.is_integer() and "integer" in types and "number" not in types:
        # JSON schema takes 0.0 for a whole number; in a file's name it is none.
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and "number" in types:
        # One form of one number: 2 and 2.0 must not be different parameters of a job.
        return float(value)
    return value


def dotted(path) -> str:
    """A path into the config as its messages write it: `evaluations[0].models[1]`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.lstrip(".")


def did_you_mean(name: str, known) -> str:
    """The end of an error: the known name that is closest, or all of them."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{close[0]}'?" if close else f"known are {', '.join(known)}"


def explain(error: ValidationError) -> str:
    where = dotted(error.absolute_path)
    if error.validator == "additionalProperties":
        known = list(error.schema["properties"])
        unknown = next(key for key in error.instance if key not in known)
        return f"{dotted([*error.absolute_path, unknown])}: unknown key; {did_you_mean(unknown, known)}"
    if error.validator == "required":
        missing = next(key for key in error.validator_value if key not in error.instance)
        return f"{dotted([*error.absolute_path, missing])}: missing; add it (see config/README.md)"
    if error.validator in ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum"):
        words = {"minimum": "at least", "exclusiveMinimum": "greater than"}
        words |= {"maximum": "at most", "exclusiveMaximum": "less than"}
        return f"{where}: {error.instance} must be {words[error.validator]} {error.validator_value}"
    if error.validator == "enum":
        return f"{where}: '{error.instance}' is none of {', '.join(map(str, error.validator_value))}"
    if error.validator == "pattern":
        allowed = "use letters, digits, _ and ." if error.schema.get("title") == "name" else "see config/README.md"
        return f"{where}: {error.instance!r} does not match {error.validator_value}; {allowed}"
    if error.validator == "maxLength":
        return (
            f"{where}: the name {error.instance[:40]}... has {len(error.instance)} characters; shorten it: it becomes "
            f"part of file names, and may have at most {error.validator_value}"
        )
    if error.validator == "type":
        return f"{where}: {error.instance!r} must be of type {' or '.join(_types(error.schema))}"
    return f"{where}: {error.message}"
