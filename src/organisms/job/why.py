"""Why a job would run, in words: what of it is not what its manifest says, and what a plan says of it."""

import json
import re
from collections.abc import Mapping
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

    name: rule and wildcards. other: what of its results is not what is wanted, as `stale.reasons` says. missing:
    outputs that are not there. after: names of jobs that would run and make its inputs anew. Several may hold.
    """

    name: str
    other: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    incomplete: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    forced: bool = False


def some(names: list[str]) -> str:
    """The first few of some names, and how many more there are."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


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


def _change(name: str, old, new) -> list[str]:
    both = [old, new]
    if all(isinstance(value, str) and _CODE.fullmatch(value) for value in both):
        return _code_change(old, new)
    if all(isinstance(value, str) and _SHA256.fullmatch(value) for value in both):
        return ["the content of its file changed"]
    # The settings' own keys say more than the name of the parameter that holds them.
    path = "" if all(isinstance(value, dict) for value in both) or all(map(_of_settings, both)) else name
    return [f"{key} {words}".strip() for key, words in _differences(old, new, path).items()]


def _of_settings(value) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(entry, dict) for entry in value)


def parameter_changes(before: Mapping, now: Mapping) -> list[str]:
    """What changed in a job's parameters, in words: by name, as manifests have them."""
    said = [
        words
        for name in dict.fromkeys([*before, *now])
        if before.get(name, _DEFAULT) != now.get(name, _DEFAULT)
        for words in _change(name, before.get(name, _DEFAULT), now.get(name, _DEFAULT))
    ]
    return list(dict.fromkeys(said))


def why(job: Planned) -> str:
    """One line: the job's name and why it would run."""
    reasons = [some(job.other)] if job.other else []
    if job.forced:
        reasons.append("asked for by --force or its kin")
    if job.missing:
        reasons.append(f"not there: {some(job.missing)}")
    if job.incomplete:
        reasons.append(f"left unfinished: {some(job.incomplete)}")
    if job.after:
        reasons.append(f"after {some(job.after)}")
    return f"{job.name}: {'; '.join(reasons) or 'it answers each time that it is asked'}"
