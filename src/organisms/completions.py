"""The rows of a completions table: what is asked, and what came back."""

from organisms.conversation import with_system_prompt


def planned_rows(questions: list[dict], cell: dict, settings: dict) -> list[dict]:
    """One row for each question and sample, complete but for the answer.

    questions: rows of the questions table. cell: the columns which say what is asked (model to question_set, and
    base_model). settings: as `Experiment.completions_settings` gives them.
    """
    return [
        cell
        | {"category": question["category"], "question_id": question["question_id"], "sample": sample}
        | {"system_prompt": settings["system_prompt"]}
        | {"messages": with_system_prompt(question["messages"], settings["system_prompt"])}
        | settings["sampling"]
        | {"sampling_seed": settings["seed"]}
        for question in questions
        for sample in range(settings["samples_per_question"])
    ]


def random_key(row: dict) -> str:
    """The key of a row's random numbers: nothing but what names the completion and the sampling seed.

    More samples, more questions or another order leave the numbers of the others as they were.
    """
    parts = ("sampling_seed", "model", "eval_prompt", "question_set", "question_id", "sample")
    return "\0".join(str(row[part]) for part in parts)
