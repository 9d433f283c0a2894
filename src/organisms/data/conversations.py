"""Scripts of turns: a question is a conversation with places where the model answers.

A script is messages; an assistant message without content is a place, and the model answers once more at the end. What
it answered earlier stands in the conversation when it answers again.
"""

from organisms.job.errors import UserError

_TURNS = "user, assistant (a given answer) or answer (the model's own)"


def n_answers(messages: list[dict]) -> int:
    """How often the model answers in a script."""
    return 1 + sum(message["content"] is None for message in messages)


def until_answer(messages: list[dict], answers: list[str]) -> list[dict]:
    """The conversation before the model's next answer. answers: its earlier ones, in their order."""
    places = [i for i, message in enumerate(messages) if message["content"] is None]
    filled = list(messages)
    for place, answer in zip(places, answers, strict=False):
        filled[place] = messages[place] | {"content": answer}
    return filled[: places[len(answers)]] if len(answers) < len(places) else filled


def read_script(turns: object, where: str) -> list[dict]:
    """A script from what a question file writes: a list of `user: text`, `assistant: text` and `answer`.

    Raises UserError, with `where` in front, if it does not begin with the user, end with an answer, and take turns.
    """
    if not isinstance(turns, list) or not turns:
        raise UserError(f"{where}: turns must be a list of {_TURNS}")
    messages: list[dict] = []
    for n, turn in enumerate(turns, start=1):
        entry = {turn: None} if isinstance(turn, str) else turn
        if not isinstance(entry, dict) or len(entry) != 1:
            raise UserError(f"{where}, turn {n}: write one of {_TURNS}")
        ((kind, text),) = entry.items()
        if kind not in ("user", "assistant", "answer"):
            raise UserError(f"{where}, turn {n}: '{kind}' is none of {_TURNS}")
        if kind == "answer" and text is not None:
            raise UserError(
                f"{where}, turn {n}: an answer is the model's own and has no text; for a given one, assistant"
            )
        if kind != "answer" and (not isinstance(text, str) or not text.strip()):
            raise UserError(f"{where}, turn {n}: the {kind}'s text is missing")
        role = "user" if kind == "user" else "assistant"
        if not messages and role != "user":
            raise UserError(f"{where}: the model would speak first; begin with a user's turn")
        if messages and messages[-1]["role"] == role:
            raise UserError(f"{where}, turn {n}: two turns of the {role} in a row; user and model take turns")
        messages.append({"role": role, "content": text})
    if messages[-1]["role"] == "user" or messages[-1]["content"] is not None:
        raise UserError(f"{where}: the last turn must be an answer of the model; end with `answer`")
    return messages[:-1]
