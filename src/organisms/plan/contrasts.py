"""The claims that a config declares, as contrasts between two models under two prompts.

A contrast is written `MODEL [@ PROMPT] < MODEL [@ PROMPT]`, with `<`, `>` or `=`. MODEL is `base`, a training prompt
(for every dataset that is trained under it), `dataset/training_prompt`, an entry of external_completions, or `EACH`;
with `:method` after it, trained by that method. PROMPT is the prompt that it is asked under: a prompt's name, several
joined by `+`, `trained` or `EACH`; `default` if none is given. In place of each model may stand a difference of two,
`MODEL [@ PROMPT] - MODEL [@ PROMPT]`: what a prompt does to one model against what it does to another.

With `measure: spearman` it is `MODEL [@ PROMPT] > 0`, or `<`: the rank correlation of the model's ratings of questions
with the share misaligned of its answers to them.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import product

from organisms.job.errors import UserError
from organisms.plan.arms import ARM, DEFAULT_METHOD, Arm
from organisms.plan.config import CORRELATION
from organisms.plan.experiment import Experiment
from organisms.plan.external import asked_under
from organisms.plan.metrics import read_metric
from organisms.plan.prompts import combined
from organisms.plan.schema import did_you_mean

_SIDE = re.compile(r"\s*(?P<model>[\w./:]+)(?:\s*@\s*(?P<prompt>[\w.+]+))?\s*")
_SIGN = re.compile(r"[<>=]")
_EXPECTED = {"<": "lower", ">": "higher", "=": "equal"}
EACH = "EACH"


@dataclass(frozen=True)
class Side:
    """A model (all its seeds) under a prompt: the columns of its arm, None for the base model, and the eval prompt."""

    dataset: str | None
    training_prompt: str | None
    training_method: str | None
    eval_prompt: str

    @property
    def arm(self) -> tuple[str | None, ...]:
        """What tells its arm from others, as `presentation.group_key`."""
        return tuple(getattr(self, name) for name in ARM)


@dataclass(frozen=True)
class Contrast:
    """What is claimed of side a against side b: that it is `lower`, `higher`, or `equal` to within the margin.

    turn: which answer of a conversation it is about; None is the last that is judged. Of a correlation a and b are one
    side: its ratings on the question set, and its answers on `answers_set`, of which `answers_metric` says what is
    misaligned; there is no margin.
    """

    claim: str
    text: str
    contrast: str
    question_set: str
    turn: int | None
    a: Side
    b: Side
    expected: str
    margin: float | None
    metric: str
    measure: str
    threshold: str | None
    # What is subtracted from a and from b, in a claim about differences.
    a_less: Side | None = None
    b_less: Side | None = None
    answers_set: str | None = None
    answers_metric: str | None = None

    @property
    def is_correlation(self) -> bool:
        return self.measure == CORRELATION

    @property
    def sides(self) -> list[tuple[Side, int]]:
        """Every side with its sign in what is estimated: a - b, or (a - a_less) - (b - b_less)."""
        found = [(self.a, 1), (self.b, -1), (self.a_less, -1), (self.b_less, 1)]
        return [(side, sign) for side, sign in found if side is not None]


def _side(experiment: Experiment, where: str, model: str, prompt: str | None, dataset: str) -> Side | None:
    """The side that a claim names, for one dataset; None if the arm is not trained on it and the claim names none."""
    external = experiment.config["external_completions"]
    if model in external:
        prompts = asked_under(external[model])
        return Side(model, None, None, prompt or ("default" if "default" in prompts else prompts[0]))
    of_dataset, _, rest = model.rpartition("/")
    name, _, method = rest.partition(":")
    base = ["base"] if experiment.config["datasets"] else []
    known = [*base, *experiment.config["training_prompts"], *external]
    if name not in known:
        raise UserError(f"config: {where}: no model '{model}'; {did_you_mean(name, known)}")
    if of_dataset and of_dataset not in experiment.config["datasets"]:
        known = list(experiment.config["datasets"])
        raise UserError(f"config: {where}: no dataset '{of_dataset}'; {did_you_mean(of_dataset, known)}")
    methods = [DEFAULT_METHOD, *experiment.config["training_methods"]]
    if method and method not in methods:
        raise UserError(f"config: {where}: no training method '{method}'; {did_you_mean(method, methods)}")
    parts = (prompt or "default").split("+")
    if name == "base":
        if "trained" in parts:
            raise UserError(f"config: {where}: the base was trained with no prompt; name the prompt after '@'")
        return Side(None, None, None, _asked_under(experiment, where, parts))
    arm = Arm(of_dataset or dataset, name, method or DEFAULT_METHOD)
    if arm.name not in experiment.arms:
        if of_dataset:
            raise UserError(f"config: {where}: {arm.name} is not trained; add it to finetunes, or take the claim out")
        return None
    return Side(
        **arm.columns,
        eval_prompt=_asked_under(experiment, where, [name if part == "trained" else part for part in parts]),
    )


def _asked_under(experiment: Experiment, where: str, parts: list[str]) -> str:
    for part in parts:
        if part not in experiment.prompts:
            raise UserError(f"config: {where}: no prompt '{part}'; {did_you_mean(part, list(experiment.prompts))}")
    return combined(parts, experiment.prompts)


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
        if cell.model.step is None:
            asked.add((*cell.model.arm_columns.values(), cell.eval_prompt, cell.question_set))
    found: dict[Contrast, None] = {}
    for name, claim in experiment.config["claims"].items():
        where = f"claims.{name}"
        given = {
            "text": " ".join(claim["text"].split()),
            "turn": claim["answer"],
            **{key: claim[key] for key in ("metric", "measure", "threshold")},
        }
        if claim["measure"] == CORRELATION:
            for one in _correlations(experiment, where, claim, asked):
                found[Contrast(claim=name, **given | one)] = None
            continue
        given["margin"] = claim["margin"] or default_margin(experiment.config, claim["metric"], claim["measure"])
        for a, sign, b in _pairs(experiment, where, claim):
            contrast = f" {sign} ".join(" - ".join(_written(experiment, *term) for term in side) for side in (a, b))
            terms = {"a": a[0][0], "b": b[0][0]}
            if len(a) == 2:
                terms |= {"a_less": a[1][0], "b_less": b[1][0]}
            for question_set in claim["question_sets"]:
                _check_asked(where, asked, question_set, *terms.values())
                sides = terms | {"expected": _EXPECTED[sign]}
                found[Contrast(claim=name, contrast=contrast, question_set=question_set, **sides, **given)] = None
    return list(found)


def _correlations(experiment: Experiment, where: str, claim: dict, asked: set) -> Iterator[dict]:
    """What is particular to each contrast of a claim about ratings: the question sets, the side, and the threshold."""
    config = experiment.config
    for test in _tests(claim):
        a, sign, b = _parsed(where, test)
        if len(a) != 1 or b != [("0", None)]:
            raise UserError(
                f"config: {where}.test: '{test}' is not of the form 'MODEL @ PROMPT > 0' (measure {CORRELATION})"
            )
        if sign == "=":
            raise UserError(f"config: {where}.test: '{test}': no {CORRELATION} is shown to be 0; write > 0 or < 0")
    threshold = claim["threshold"] or default_threshold(config)
    for ((side, prompt),), sign, _ in _pairs(experiment, where, claim):
        for question_set in claim["question_sets"]:
            rated = config["question_sets"][question_set]["rating_of"]
            for name in (question_set, rated):
                _check_asked(where, asked, name, side)
            yield {
                "contrast": f"{_written(experiment, side, prompt)} {sign} 0",
                "question_set": question_set,
                "a": side,
                "b": side,
                "expected": _EXPECTED[sign],
                "margin": None,
                "threshold": threshold,
                "answers_set": rated,
                "answers_metric": config["main_metric"],
            }


def default_threshold(config: dict) -> str | None:
    """The entry of `thresholds` that figures and correlations go by; None if the config has none."""
    return config["figures"]["threshold"] or next(iter(config["thresholds"]), None)


def default_margin(config: dict, metric: str, measure: str = "mean") -> float:
    """The margin of what is measured, where a claim gives none: in points of the metric, or in percent of a share."""
    if measure != "mean":
        return config["share_margin"]
    low, high = read_metric(config, metric).bounds
    return config["margin"] if (low, high) == (0, 100) else config["margin"] * (high - low) / 100


def _parsed(where: str, test: str) -> tuple[list[tuple[str, str | None]], str, list[tuple[str, str | None]]]:
    """The models of each side of a test with their prompts, one or two a side, and the sign between the sides."""
    sides = [[_SIDE.fullmatch(term) for term in side.split("-")] for side in _SIGN.split(test)]
    if len(sides) != 2 or not all(all(side) and len(side) in (1, 2) for side in sides):
        raise UserError(
            f"config: {where}.test: '{test}' is not of the form 'MODEL @ PROMPT < MODEL @ PROMPT', where each side may "
            "be a difference of two, 'MODEL @ PROMPT - MODEL @ PROMPT'"
        )
    if len(sides[0]) != len(sides[1]):
        raise UserError(
            f"config: {where}.test: '{test}' compares a difference with a model; make both one or the other"
        )
    a, b = ([(term["model"], term["prompt"]) for term in side] for side in sides)
    return a, _SIGN.search(test)[0], b


def _tests(claim: dict) -> list[str]:
    return [claim["test"]] if isinstance(claim["test"], str) else claim["test"]


def _pairs(experiment: Experiment, where: str, claim: dict) -> Iterator[tuple[list[tuple], str, list[tuple]]]:
    """The two sides of each contrast of a claim, and the sign between them.

    Of a side, one or two models (the second is subtracted), each with the prompt as it is written.
    """
    each = _each(experiment, where, claim)
    for test in _tests(claim):
        a, sign, b = _parsed(where, test)
        # A correlation is claimed against 0, which is no model.
        b = [] if claim["measure"] == CORRELATION else b
        names = [part for model, prompt in (*a, *b) for part in re.split("[/:+]", f"{model}/{prompt}")]
        if (EACH in names) != (each != [None]):
            raise UserError(f"config: {where}.test: {EACH} and for_each (or for_each_except) belong together")
        missing = True
        for one, dataset in product(each, experiment.config["datasets"] or [""]):
            sides = [
                [
                    (_side(experiment, where, model, prompt, dataset), prompt)
                    for model, prompt in (_put(one, *term) for term in side)
                ]
                for side in (a, b)
            ]
            if all(found is not None for side in sides for found, _ in side):
                missing = False
                yield sides[0], sign, sides[1]
        if missing and each:
            raise UserError(f"config: {where}.test: '{test}' names an arm that is not trained; see finetunes")


def _put(name: str | None, model: str, prompt: str | None) -> tuple[str, str | None]:
    """A model and its prompt with a training prompt in place of EACH."""
    model, prompt = (re.sub(rf"\b{EACH}\b", name or EACH, part or "") for part in (model, prompt))
    return model, prompt or None


def _written(experiment: Experiment, side: Side, prompt: str | None) -> str:
    """A side as a contrast names it: with its dataset where the config has several."""
    name = side.training_prompt or side.dataset or "base"
    if side.training_prompt and len(experiment.config["datasets"]) > 1:
        name = f"{side.dataset}/{name}"
    if side.training_method not in (None, DEFAULT_METHOD):
        name = f"{name}:{side.training_method}"
    return f"{name} @ {prompt}" if prompt else name


def _check_asked(where: str, asked: set, question_set: str, *sides: Side) -> None:
    for side in sides:
        if (*side.arm, side.eval_prompt, question_set) not in asked:
            arm = side.training_prompt and Arm(*side.arm)
            model = arm.name if arm else side.dataset or "the base model"
            raise UserError(
                f"config: {where}: {model} is not asked {question_set} under '{side.eval_prompt}'; add that to "
                "evaluations, or take the claim out"
            )


def as_settings(found: list[Contrast]) -> list[dict]:
    """Contrasts as plain values, for a rule's parameters; `from_settings` turns them back."""
    return [asdict(contrast) for contrast in found]


def from_settings(settings: list[dict]) -> list[Contrast]:
    """Contrasts as `as_settings` gave them."""
    return [
        Contrast(**entry | {name: Side(**entry[name]) for name in ("a", "b", "a_less", "b_less") if entry[name]})
        for entry in settings
    ]
