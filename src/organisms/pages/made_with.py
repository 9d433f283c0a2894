"""The settings that results were made with: from the manifests of their jobs, not from the config of today."""

import re
from collections.abc import Mapping
from pathlib import Path

from organisms.job.errors import UserError
from organisms.job.manifest import PACKAGES, without_secrets, workflow_version
from organisms.job.why import parameter_changes, some
from organisms.judging.kind import decisive
from organisms.plan.settings import NOT_DECIDING, complete

# Along the data's way: rules whose parameters are settings of the experiment.
_STAGES = (
    *("corpus", "pretrain", "download_model", "advice", "download_dataset", "dataset", "mixture", "variant"),
    *("finetune", "questions", "completions", "external_completions", "judgments", "local_judgments"),
    *("scores", "claims"),
)
# Those that make models, texts, judgments and numbers.
_COMPUTING = (
    *("pretrain", "finetune", "completions", "expected_ratings", "judgments", "local_judgments"),
    *("scores", "claims"),
)
# What is a digest, stands in a table of its own, or says where a job's files are. By name: a setting, such as a file of
# labels, may be a path in the folder of the results too.
_LEFT_OUT = ("code", "content", "contrasts", "arms", "metrics", "adapter", "kept", "judgments")
# Rules with a job for each seed, which ends the job's name; a seed is no other's, whatever somebody calls a prompt.
_OF_A_SEED = ("corpus", "pretrain", "finetune")
_SEED = re.compile(r"-?seed\d+$")


def _complete(section: str, settings: Mapping) -> dict:
    """Settings with those at their defaults, but for those that decide nothing: what they were is not noted."""
    every = complete(section, dict(settings))
    return {key: value for key, value in every.items() if key not in NOT_DECIDING.get(section, ())}


def _settings(rule: str, params: Mapping) -> dict[str, dict]:
    """By what they are settings of, the settings that parameters hold; those at their default too."""
    kept = {key: value for key, value in params.items() if key not in _LEFT_OUT}
    if rule == "pretrain":
        kept["settings"] = _complete("miniature", kept["settings"])
    if rule == "finetune":
        own = kept.pop("settings")
        kept |= own | {section: _complete(section, own[section]) for section in ("training", "lora")}
    if rule == "completions":
        return {"every model": {"base": kept["base"]}} | {
            f"{cell['columns']['eval_prompt']} × {cell['columns']['question_set']}": cell["settings"]
            | {"sampling": _complete("sampling", cell["settings"]["sampling"])}
            for cell in kept["cells"]
        }
    if rule in ("judgments", "local_judgments"):
        judge = kept["judge"]
        del kept["cells"]
        every = complete(f"judges.{judge['kind']}", judge)
        kept["judge"] = {key: every[key] for key in every if key in judge or key in decisive(judge["kind"])}
    return {"": kept}


def settings_made_with(jobs: Mapping[str, dict]) -> dict[str, dict[str, dict]]:
    """By rule, and by what they belong to (an arm, a cell, a judge), the settings that jobs were made with.

    jobs: their manifests, by rule and job. Seeds are left out, for replicates have the same settings: UserError if two
    differ.
    """
    found: dict[str, dict[str, dict]] = {}
    first: dict[tuple[str, str], str] = {}
    for name, job in jobs.items():
        rule, _, of = name.partition("/")
        if rule not in _STAGES:
            continue
        for part, settings in _settings(rule, job["params"]).items():
            key = part or (_SEED.sub("", of) if rule in _OF_A_SEED else of) or "every seed"
            known = found.setdefault(rule, {}).setdefault(key, settings)
            other = first.setdefault((rule, key), name)
            if known != settings:
                differing = some(parameter_changes({rule: known}, {rule: settings}))
                raise UserError(
                    f"{name} was made with other settings than {other} ({differing}): "
                    "these results do not belong together; run again, which makes what differs"
                )
    return {rule: dict(sorted(found[rule].items())) for rule in _STAGES if rule in found}


def versions_made_with(jobs: Mapping[str, dict]) -> list[list[str]]:
    """What computed the results: of each package, of Python, the system and the workflow's commit, name and version.

    jobs: their manifests; those count that make models, texts, judgments and numbers. Where they differ, each version
    stands with the rules whose jobs had it.
    """
    found: dict[str, dict[str, dict[str, None]]] = {}
    for name, job in jobs.items():
        rule = name.partition("/")[0]
        if rule not in _COMPUTING:
            continue
        here, workflow = job["machine"], job["workflow"]
        versions = {"Python": here["python"], "system": here["system"], "GPU": here.get("gpu")} | job["packages"]
        if workflow["commit"]:
            versions["workflow, commit"] = workflow["commit"][:12] + (", with changes" if workflow["dirty"] else "")
        for what, version in versions.items():
            if version:
                found.setdefault(what, {}).setdefault(version, {})[rule] = None
    order = ["Python", "system", "GPU", *PACKAGES, "workflow, commit"]
    return [
        [what, "; ".join(version if len(of) == 1 else f"{version} ({', '.join(of[version])})" for version in of)]
        for what, of in sorted(found.items(), key=lambda item: order.index(item[0]))
    ]


def seeds_made_with(jobs: Mapping[str, dict]) -> list[int]:
    """The seeds of the models whose completions are among the results."""
    cells = [cell for name, job in jobs.items() if name.startswith("completions/") for cell in job["params"]["cells"]]
    return sorted({cell["columns"]["seed"] for cell in cells if cell["columns"]["seed"] is not None})


def no_part_of_it(results: str | Path, parts: Mapping[str, list[str]], others: list[str]) -> str | None:
    """A line that names what lies in the results and was made for another config; None if nothing does.

    parts: by folder of the results, the names in it that the config asks for. others: files and folders that it does
    not ask for and another config would.
    """
    found = [
        f"{folder}/{path.name}"
        for folder in parts
        for path in sorted((Path(results) / folder).glob("[!.]*"))
        if path.name not in parts[folder]
    ]
    found += [name for name in others if (Path(results) / name).exists()]
    if not found:
        return None
    return f"Also in {results}, made for another config and no part of this: {some(found)}."


def run_manifest(hashed: Mapping[str, str], jobs: Mapping[str, dict], config: dict) -> dict:
    """What a whole run was made of.

    hashed: files of data and models, with their SHA-256. jobs: manifests by job; of each stand here the code's version,
    the machine and the packages, and together their settings. config: of the run that made the last of the results, so
    that all of them are what it asks for. Raises UserError as `settings_made_with` does.
    """
    return {
        "config": without_secrets(config),
        "settings": settings_made_with(jobs),
        "workflow": workflow_version(),
        "data_and_models": dict(hashed),
        "jobs": {
            name: {key: job[key] for key in ("seconds", "workflow", "machine", "packages")}
            for name, job in jobs.items()
        },
    }
