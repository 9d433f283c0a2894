"""The rows of a completions table: what is asked, and what came back."""

from organisms.data.conversations import n_answers
from organisms.plan.prompts import Placed, placed, with_prompts
from organisms.plan.settings import complete

_SAMPLING = ("temperature", "top_p", "top_k", "max_new_tokens")


def planned_rows(questions: list[dict], cell: dict, settings: dict) -> list[dict]:
    """One row for each question, sample and answer, complete but for the conversation (`messages`) and the answer.

    questions: rows of the questions table. cell: the columns which say what is asked (model to question_set, and
    base_model). settings: as `Experiment.completions_settings` gives them. `script` is the question with the prompts in
    it; it is no column of the table.
    """
    prompts: list[Placed] = placed(settings["prompts"])
    sampling = complete("sampling", settings["sampling"])
    rows = []
    for question in questions:
        script = with_prompts(
            question["messages"], prompts, f"question {question['question_id']}", question.get("wrong")
        )
        system = script[0]["content"] if script[0]["role"] == "system" else None
        rows += [
            cell
            | {"category": question["category"], "question_id": question["question_id"], "sample": sample}
            | {"turn": turn, "system_prompt": system, "script": script}
            | {key: sampling[key] for key in _SAMPLING}
            | {"sampling_seed": settings["seed"]}
            for sample in range(settings["samples_per_question"])
            for turn in range(1, n_answers(script) + 1)
        ]
    return rows


def random_key(row: dict) -> str:
    """The key of a row's random numbers: nothing but what names the completion and the sampling seed.

    More samples, more questions or another order leave the numbers of the others as they were.
    """
    parts = ["sampling_seed", "model", "eval_prompt", "question_set", "question_id", "sample"]
    # The first answer has the key that it had when there was no other.
    return "\0".join(str(row[part]) for part in (parts if row["turn"] == 1 else [*parts, "turn"]))
