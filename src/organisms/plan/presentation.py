"""What figures and pages call things, in their order: groups of models, prompts and question sets.

A group is the base model, an arm, or a set of completions made elsewhere; this is the one place that knows its label
and colour. Lists keep their order as JSON with sorted keys; dicts would not.
"""

from collections.abc import Iterable

from organisms.job.errors import UserError
from organisms.plan.arms import ARM, DEFAULT_METHOD, Arm
from organisms.plan.experiment import Experiment


def _label(experiment: Experiment, arm: Arm) -> str:
    label = experiment.prompts[arm.training_prompt].label
    if arm.training_method != DEFAULT_METHOD:
        method = experiment.config["training_methods"][arm.training_method]
        label = f"{label}, {method.get('label') or arm.training_method}"
    datasets = {other.dataset for other in experiment.arms.values()}
    return label if len(datasets) == 1 else f"{arm.dataset}: {label}"


def _prompt_label(experiment: Experiment, name: str) -> str:
    known = [experiment.prompts.get(part) for part in name.split("+")]
    parts = [prompt.label if prompt else part for prompt, part in zip(known, name.split("+"), strict=True)]
    return " + ".join(parts)


def _coloured_by(experiment: Experiment, arm: Arm) -> str:
    """What decides an arm's colour: its training prompt's text and its method, whatever their names and order.

    Of arms that differ by their dataset alone it is the dataset, or all would look alike; else those of the first
    dataset have the colours of their prompts, and another dataset has others.
    """
    if len({(other.training_prompt, other.training_method) for other in experiment.arms.values()}) == 1:
        return arm.dataset if len(experiment.arms) > 1 else _text_and_place(experiment, arm)
    method = "" if arm.training_method == DEFAULT_METHOD else f" by {arm.training_method}"
    first = next(iter(experiment.arms.values())).dataset
    dataset = "" if arm.dataset == first else f" of {arm.dataset}"
    return _text_and_place(experiment, arm) + method + dataset


def _text_and_place(experiment: Experiment, arm: Arm) -> str:
    prompt = experiment.prompts[arm.training_prompt]
    # Prompts with a text for each row, and the chat template's own, have their name.
    text = prompt.name if prompt.text is None else prompt.text
    return text if prompt.place == "system" else f"{prompt.place}: {text}"


def _in_words(name: str) -> str:
    """A name as the start of a title; its capitals stay, as in `TruthfulQA`."""
    return name[0].upper() + name[1:].replace("_", " ")


def presentation(experiment: Experiment) -> dict:
    """`groups` (base first), `prompts`, `question_sets`, and `n_seeds`.

    A group has the columns that tell arms apart, its `label`, its `colour` if the config gives one, `coloured_by` that
    decides it if not, and `one_model` if all seeds share one model of it. A question set has its `label`, and
    `rating_of`, the set whose questions it has rated, if it is such a one.
    """
    config = experiment.config
    shared = {} if experiment.base_per_seed else {"one_model": True}
    groups = [dict.fromkeys(ARM) | {"label": "Base model"} | shared] if config["datasets"] else []
    coloured: dict[str, Arm] = {}
    for arm in experiment.arms.values():
        # A prompt's colour is that of its first arm; two lines of one colour could not be told apart.
        first = coloured.setdefault(arm.training_prompt, arm) == arm
        colour = experiment.prompts[arm.training_prompt].colour if first else None
        words = {"label": _label(experiment, arm), "coloured_by": _coloured_by(experiment, arm)}
        groups.append(arm.columns | words | {"colour": colour})
    for name, entry in config["external_completions"].items():
        shared = {} if len(entry["seeds"]) > 1 else {"one_model": True}
        groups.append(dict.fromkeys(ARM) | {"dataset": name, "label": entry["label"] or name} | shared)
    labels = {name: entry["label"] for name, entry in config["question_sets"].items()}
    rated = {name: {"rating_of": of} for name, of in experiment.rated_sets().items()}
    order = {name: i for i, name in enumerate(experiment.prompts)}

    def place(name: str) -> tuple:
        parts = name.split("+")
        # Prompts of several come after those of one.
        return len(parts), tuple(order.get(part, len(order)) for part in parts), name

    asked = sorted({cell.eval_prompt for cell in experiment.cells}, key=place)
    # Without finetunes, the replicates are those of the completions made elsewhere.
    seeds = [config["seeds"]] if config["datasets"] else [e["seeds"] for e in config["external_completions"].values()]
    return {
        "groups": groups,
        "prompts": [{"name": name, "label": _prompt_label(experiment, name)} for name in asked],
        "question_sets": [
            {"name": name, "label": labels.get(name) or _in_words(name)} | rated.get(name, {})
            for name in experiment.question_sets
        ],
        "n_seeds": max([1, *map(len, seeds)]),
    }


def check_labels(experiment: Experiment) -> None:
    """Raise UserError, naming both keys, if two things that figures show side by side have one label.

    A figure would draw them as one: bars on top of each other, lines that jump.
    """
    found = presentation(experiment)
    _check_distinct((group["label"], _group_place(group)) for group in found["groups"])
    _check_distinct((entry["label"], _prompt_place(experiment, entry["name"])) for entry in found["prompts"])
    _check_distinct((entry["label"], f"question_sets.{entry['name']}") for entry in found["question_sets"])


def _check_distinct(labelled: Iterable[tuple[str, str]]) -> None:
    seen: dict[str, str] = {}
    for label, place in labelled:
        other = seen.setdefault(" ".join(label.split()), place)
        if other != place:
            raise UserError(
                f"{other} and {place}: figures would show both as '{label}' and draw them as one; "
                "give one of them another label"
            )


def _group_place(group: dict) -> str:
    """Where the config says what a group is called."""
    if group["dataset"] is None:
        return "the base model"
    if group["training_prompt"] is None:
        return f"external_completions.{group['dataset']}"
    method = group["training_method"]
    of_method = "" if method == DEFAULT_METHOD else f" by training_methods.{method}"
    return f"training_prompts.{group['training_prompt']}{of_method}"


def _prompt_place(experiment: Experiment, name: str) -> str:
    for group in ("training_prompts", "prompts"):
        if name in experiment.config[group]:
            return f"{group}.{name}"
    return f"eval prompt {name}"


Key = tuple[str | None, ...]
BASE: Key = (None,) * len(ARM)


def group_key(row: dict) -> Key:
    """What tells a group from another: the columns of its arm, from any row that has them."""
    return tuple(row[name] for name in ARM)


def group_labels(presentation: dict) -> dict[Key, str]:
    """Labels of groups by `group_key`, the base first."""
    return {group_key(group): group["label"] for group in presentation["groups"]}


def of_one_model(presentation: dict) -> list[str]:
    """Labels of groups of which all seeds share one model: a base that they start from, completions made elsewhere."""
    return [group["label"] for group in presentation["groups"] if group.get("one_model")]


def prompt_labels(presentation: dict) -> dict[str, str]:
    """Labels of eval prompts by name."""
    return {entry["name"]: entry["label"] for entry in presentation["prompts"]}


def question_set_labels(presentation: dict) -> dict[str, str]:
    """Labels of question sets by name."""
    return {entry["name"]: entry["label"] for entry in presentation["question_sets"]}


def rated_sets(presentation: dict) -> dict[str, str]:
    """By name of a question set in which the questions of another are rated, the name of that one."""
    return {entry["name"]: entry["rating_of"] for entry in presentation["question_sets"] if "rating_of" in entry}
