"""What figures and pages call models, prompts and question sets: lookups in `Experiment.presentation`."""


def group_labels(presentation: dict) -> dict[tuple[str | None, str | None], str]:
    """Labels of models by (dataset, training prompt), the base first."""
    return {(group["dataset"], group["training_prompt"]): group["label"] for group in presentation["groups"]}


def prompt_labels(presentation: dict) -> dict[str, str]:
    """Labels of eval prompts by name."""
    return {entry["name"]: entry["label"] for entry in presentation["prompts"]}


def question_set_labels(presentation: dict) -> dict[str, str]:
    """Labels of question sets by name."""
    return {entry["name"]: entry["label"] for entry in presentation["question_sets"]}
