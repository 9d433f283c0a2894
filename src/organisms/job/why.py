"""Why a job would run, in one line: what Snakemake knows of it, put into words."""

import ast
import json
import re
from dataclasses import dataclass, field

_CODE = re.compile(r"[0-9a-f]{16}( \S+==\S+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# Of several changes or files so many are named.
_NAMED = 3
# Stands for a setting that equals its default and so is no parameter.
_DEFAULT = object()


@dataclass(frozen=True)
class Planned:
    """A job that would run, and what the plan says of it.

    name: rule and wildcards. before, now: parameters that only its last run and only this plan have, as Snakemake
    records them (Python literals without names). missing: outputs that are not there. newer: inputs that changed
    since. after: names of jobs that would run and make its inputs anew. Several may hold; `after` hides the others
    before it from Snakemake.
    """

    name: str
    before: set[str] = field(default_factory=set)
    now: set[str] = field(default_factory=set)
    missing: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    newer: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    other_inputs: bool = False
    forced: bool = False


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _value(recorded: str):
    """A recorded parameter; text that is JSON, as most of ours are, is read."""
    try:
        value = ast.literal_eval(recorded)
        return json.loads(value) if isinstance(value, str) and value[:1] in '{["' else value
    except (ValueError, SyntaxError):
        return recorded


def _kind(value) -> tuple:
    """What a parameter has to share with another one to be its successor, since their names are not recorded."""
    if isinstance(value, dict):
        return ("dict",)
    if isinstance(value, str):
        return ("code",) if _CODE.fullmatch(value) else ("content",) if _SHA256.fullmatch(value) else ("text",)
    return (type(value).__name__,)


def _short(value) -> str:
    if value is _DEFAULT:
        return "its default"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:37]}..."


def _differences(old, new, path: str = "") -> dict[str, str]:
    """By the key at which two values differ, how; entries of a list share a key. A missing key is at its default."""
    if isinstance(old, dict) and isinstance(new, dict):
        found = {}
        for key in dict.fromkeys([*old, *new]):
            before, now = old.get(key, _DEFAULT), new.get(key, _DEFAULT)
            if before != now:
                found |= _differences(before, now, f"{path}.{key}" if path else key)
        return found
    if isinstance(old, list) and isinstance(new, list):
        gone, added = ([entry for entry in a if entry not in b] for a, b in ((old, new), (new, old)))
        if gone and len(gone) == len(added) and all(isinstance(entry, dict) for entry in gone + added):
            found = {}
            for one, other in zip(gone, added, strict=True):
                found |= _differences(one, other, path)
            return found
        counts = [f"{len(entries)} {word}" for entries, word in ((added, "new"), (gone, "gone")) if entries]
        return {path or "entries": ", ".join(counts) or "another order"}
    return {path: f"{_short(old)} → {_short(new)}"}


def _code_change(old: str, new: str) -> list[str]:
    (digest, *packages), (new_digest, *new_packages) = old.split(), new.split()
    pins, new_pins = ({name: v for name, v in (pin.split("==") for pin in of)} for of in (packages, new_packages))
    changed = [
        f"{name} {pins.get(name, 'none')} → {new_pins.get(name, 'none')}"
        for name in sorted({*pins, *new_pins})
        if pins.get(name) != new_pins.get(name)
    ]
    return (["its code changed"] if digest != new_digest else []) + changed


def _predecessor(value, old: list):
    """The parameter that a value is the successor of; of mappings, the one that shares most keys."""
    same = [other for other in old if _kind(other) == _kind(value)]
    if isinstance(value, dict):
        same = [other for other in same if set(other) & set(value)]
        return max(same, key=lambda other: len(set(other) & set(value)), default=None)
    return same[0] if same else None


def changed_parameters(before: set[str], now: set[str]) -> list[str]:
    """What changed in a job's parameters, in words. before, now: as `Planned` has them."""
    old, new = (sorted(map(_value, values), key=str) for values in (before, now))
    said = []
    for value in new:
        match = _predecessor(value, old)
        if match is None:
            said.append(f"a new parameter {_short(value)}")
            continue
        old.remove(match)
        if _kind(value) == ("code",):
            said += _code_change(match, value)
        elif _kind(value) == ("content",):
            said.append("the content of its file changed")
        else:
            said += [f"{key} {words}".strip() for key, words in _differences(match, value).items()]
    return list(dict.fromkeys(said)) + [f"no longer {_short(value)}" for value in old]


def why(job: Planned) -> str:
    """One line: the job's name and why it would run."""
    reasons = changed_parameters(job.before, job.now)
    reasons = [_some(reasons)] if reasons else []
    if job.forced:
        reasons.append("asked for by --force or its kin")
    if job.missing:
        reasons.append(f"not there: {_some(job.missing)}")
    if job.incomplete:
        reasons.append(f"left unfinished: {_some(job.incomplete)}")
    if job.newer:
        reasons.append(f"changed: {_some(job.newer)}")
    if job.other_inputs:
        reasons.append("it has other inputs than before")
    if job.after:
        reasons.append(f"after {_some(job.after)}")
    return f"{job.name}: {'; '.join(reasons) or 'it answers each time that it is asked'}"
