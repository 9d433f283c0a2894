"""The claims that a config declares, as contrasts between two models under two prompts.

A contrast is written `MODEL [@ PROMPT] < MODEL [@ PROMPT]`, with `<`, `>` or `=`. MODEL is `base`, a training prompt
(for every dataset), `dataset/training_prompt`, an entry of external_completions, or `EACH`. PROMPT is the prompt that
it is asked under: a prompt's name, or `trained`; `default` if none is given.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

from organisms.config import did_you_mean
from organisms.errors import UserError
from organisms.experiment import Experiment

_SIDE = r"(?P<{0}>[\w./]+)(?:\s*@\s*(?P<{0}_prompt>[\w.]+))?"
_CONTRAST = re.compile(r"\s*" + _SIDE.format("a") + r"\s*(?P<sign>[<>=])\s*" + _SIDE.format("b") + r"\s*")
_EXPECTED = {"<": "lower", ">": "higher", "=": "equal"}
EACH = "EACH"


@dataclass(frozen=True)
class Side:
    """A model (all its seeds) under a prompt. dataset and training_prompt are None for the base model."""

    dataset: str | None
    training_prompt: str | None
    eval_prompt: str


@dataclass(frozen=True)
class Contrast:
    """What is claimed of side a against side b: that it is `lower`, `higher`, or `equal` to within the margin."""

    claim: str
    text: str
    contrast: str
    question_set: str
    a: Side
    b: Side
    expected: str
    margin: float
    metric: str
    measure: str
    threshold: str | None


def _side(experiment: Experiment, where: str, model: str, prompt: str | None, dataset: str) -> Side:
    if model in experiment.config["external_completions"]:
        return Side(model, None, prompt or experiment.config["external_completions"][model]["eval_prompt"])
    of_dataset, _, name = model.rpartition("/")
    known = ["base", *experiment.config["training_prompts"], *experiment.config["external_completions"]]
    if name not in known:
        raise UserError(f"config: {where}: no model '{model}'; {did_you_mean(name, known)}")
    if of_dataset and of_dataset not in experiment.config["datasets"]:
        known = list(experiment.config["datasets"])
        raise UserError(f"config: {where}: no dataset '{of_dataset}'; {did_you_mean(of_dataset, known)}")
    if name == "base":
        if prompt == "trained":
            raise UserError(f"config: {where}: the base was trained with no prompt; name the prompt after '@'")
        return Side(None, None, prompt or "default")
    return Side(of_dataset or dataset, name, name if prompt == "trained" else prompt or "default")


def _each(experiment: Experiment, where: str, claim: dict) -> list[str | None]:
    """The training prompts for which a claim stands, or [None] if it stands once."""
    names = list(experiment.config["training_prompts"])
    for key in ("for_each", "for_each_except"):
        for name in claim[key] or []:
            if name not in names:
                raise UserError(f"config: {where}.{key}: no training prompt '{name}'; {did_you_mean(name, names)}")
    if claim["for_each"] is not None:
        return list(claim["for_each"])
    if claim["for_each_except"] is not None:
        return [name for name in names if name not in claim["for_each_except"]]
    return [None]


def contrasts(experiment: Experiment) -> list[Contrast]:
    """Every contrast of the config's claims, in their order.

    Raises UserError naming the key if a claim cannot be read, or if the evaluations do not ask what it needs.
    """
    asked = set()
    for cell in experiment.cells:
        model, variant = cell.model, cell.model.variant
        dataset, training_prompt = (variant.dataset, variant.training_prompt) if variant else (model.external, None)
        if model.step is None:
            asked.add((dataset, training_prompt, cell.eval_prompt, cell.question_set))
    found: dict[Contrast, None] = {}
    for name, claim in experiment.config["claims"].items():
        where = f"claims.{name}"
        given = {
            "text": " ".join(claim["text"].split()),
            "margin": experiment.config["margin"] if claim["margin"] is None else claim["margin"],
            **{key: claim[key] for key in ("metric", "measure", "threshold")},
        }
        for a, sign, b in _pairs(experiment, where, claim):
            contrast = f"{_written(experiment, *a)} {sign} {_written(experiment, *b)}"
            for question_set in claim["question_sets"]:
                _check_asked(where, asked, question_set, a[0], b[0])
                sides = {"a": a[0], "b": b[0], "expected": _EXPECTED[sign]}
                found[Contrast(claim=name, contrast=contrast, question_set=question_set, **sides, **given)] = None
    return list(found)


def _pairs(experiment: Experiment, where: str, claim: dict) -> Iterator[tuple[tuple, str, tuple]]:
    """The two sides of each contrast of a claim, each with the prompt as it is written, and the sign between them."""
    each = _each(experiment, where, claim)
    for test in [claim["test"]] if isinstance(claim["test"], str) else claim["test"]:
        parsed = _CONTRAST.fullmatch(test)
        if parsed is None:
            raise UserError(f"config: {where}.test: '{test}' is not of the form 'MODEL @ PROMPT < MODEL @ PROMPT'")
        if (EACH in (parsed["a"].rpartition("/")[2], parsed["b"].rpartition("/")[2])) != (each != [None]):
            raise UserError(f"config: {where}.test: {EACH} and for_each (or for_each_except) belong together")
        for one, dataset in product(each, experiment.config["datasets"]):
            a, b = (
                (_side(experiment, where, parsed[side].replace(EACH, one or EACH), prompt, dataset), prompt)
                for side, prompt in (("a", parsed["a_prompt"]), ("b", parsed["b_prompt"]))
            )
            yield a, parsed["sign"], b


def _written(experiment: Experiment, side: Side, prompt: str | None) -> str:
    """A side as a contrast names it: with its dataset where the config has several."""
    name = side.training_prompt or side.dataset or "base"
    if side.training_prompt and len(experiment.config["datasets"]) > 1:
        name = f"{side.dataset}/{name}"
    return f"{name} @ {prompt}" if prompt else name


def _check_asked(where: str, asked: set, question_set: str, *sides: Side) -> None:
    for side in sides:
        if (side.dataset, side.training_prompt, side.eval_prompt, question_set) not in asked:
            model = "-".join(filter(None, (side.dataset, side.training_prompt))) or "the base model"
            raise UserError(
                f"config: {where}: {model} is not asked {question_set} under '{side.eval_prompt}'; add that to "
                "evaluations, or take the claim out"
            )


def as_settings(found: list[Contrast]) -> list[dict]:
    """Contrasts as plain values, for a rule's parameters; `from_settings` turns them back."""
    return [asdict(contrast) for contrast in found]


def from_settings(settings: list[dict]) -> list[Contrast]:
    """Contrasts as `as_settings` gave them."""
    return [Contrast(**{**entry, "a": Side(**entry["a"]), "b": Side(**entry["b"])}) for entry in settings]
