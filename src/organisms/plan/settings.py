"""Which settings count as parameters of a job: those that differ from the value that leaves everything as it was.

A setting that equals its first default is left out of a job's parameters. So a key that a later version adds, at the
default with which nothing changes, is no reason to run anything again. The first defaults stand in
workflow/schemas/first_defaults.yaml (`make docs` adds new keys and changes none): were a default changed one day, the
settings that equal the new one would be parameters, and what depends on them would run.
"""

from dataclasses import fields
from functools import cache
from typing import TypeVar

import yaml

from organisms import ROOT
from organisms.plan.schema import schema

Filled = TypeVar("Filled")
FIRST_DEFAULTS = ROOT / "workflow" / "schemas" / "first_defaults.yaml"
# Parts of the schema whose settings are parameters of jobs, by the name under which their first defaults stand.
SECTIONS = {
    "training": ("properties", "training", "properties"),
    "lora": ("properties", "lora", "properties"),
    "sampling": ("properties", "sampling", "properties"),
    "miniature": ("properties", "base_model", "properties", "miniature", "properties"),
    **{
        f"datasets.{source}": ("properties", "datasets", "additionalProperties", "properties", source, "properties")
        for source in ("world", "mixture", "hub")
    },
}
# Keys of sections that decide nothing of a result, or are parameters by themselves.
NOT_DECIDING = {
    "training": ("checkpoint_steps",),
    "miniature": ("examples", "seed"),
    "sampling": ("samples_per_question", "seed", "batch_size"),
}


def _section(name: str) -> dict:
    """The keys of a part of the schema. `judges.KIND` is a kind of judge."""
    node = schema()
    if name.startswith("judges."):
        others = node["properties"]["judges"]["additionalProperties"]
        return others["kinds"][name.removeprefix("judges.")]["properties"]
    for key in SECTIONS[name]:
        node = node[key]
    return node


def sections() -> list[str]:
    """The names of all parts whose settings are parameters of jobs."""
    kinds = schema()["properties"]["judges"]["additionalProperties"]["kinds"]
    return [*SECTIONS, *(f"judges.{kind}" for kind in kinds)]


@cache
def _listed() -> dict:
    return yaml.safe_load(FIRST_DEFAULTS.read_text(encoding="utf-8")) or {}


def first_defaults(section: str) -> dict:
    """The first default of each key of a section; that of today where a key is not listed yet."""
    return {key: node["default"] for key, node in _section(section).items() if "default" in node} | _listed().get(
        section, {}
    )


def deciding(section: str, settings: dict) -> dict:
    """The settings that count as parameters: those that differ from their first default."""
    first = first_defaults(section)
    return {key: value for key, value in settings.items() if key not in first or first[key] != value}


def complete(section: str, settings: dict) -> dict:
    """All settings of a section, from those that `deciding` left."""
    return first_defaults(section) | settings


def filled(section: str, settings: dict, into: type[Filled]) -> Filled:
    """A dataclass of settings, from those that `deciding` left.

    A key of the schema that the dataclass does not know is left out at its first default, and a TypeError otherwise.
    """
    known = {field.name for field in fields(into)}
    return into(**{key: value for key, value in first_defaults(section).items() if key in known} | settings)


def with_new_keys() -> str:
    """first_defaults.yaml as it should be: what is listed as it is, and today's default of each key that is not."""
    found = {}
    for section in sections():
        listed = _listed().get(section, {})
        today = {key: node["default"] for key, node in _section(section).items() if "default" in node}
        found[section] = listed | {key: value for key, value in today.items() if key not in listed}
    head = "# Made by `make docs`, which adds keys and changes none: see src/organisms/plan/settings.py.\n"
    return head + yaml.safe_dump({key: value for key, value in found.items() if value}, sort_keys=True)
