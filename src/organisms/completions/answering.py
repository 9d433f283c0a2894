"""Answering all conversations of a model: turn by turn, from what is kept, and from the model for what is not."""

from collections.abc import Callable

from organisms.completions.kept import Kept, completion_key
from organisms.completions.rows import random_key
from organisms.data.conversations import until_answer
from organisms.job.log import Report
from organisms.models.loaded import Answerer
from organisms.models.settings import Completion, Sampling


def answered(
    cells: list[list[dict]],
    kept: Kept,
    model: str,
    opened: Callable[[], Answerer],
    batch_size: int | None,
    report: Report,
) -> list[list[dict]]:
    """The rows of each cell with their conversations and answers, in the order of the planned ones.

    cells: planned rows (`rows.planned_rows`). model: a digest of what decides its answers, for the store. opened: gives
    the model, loaded once; it is not called if everything is kept. A later turn waits for the turns before it.
    """
    rows = [row for cell in cells for row in cell]
    answers: dict[tuple, list[str]] = {}
    found: dict[int, dict] = {}
    loaded: Answerer | None = None
    for turn in sorted({row["turn"] for row in rows}):
        asked = {}
        for place, row in enumerate(rows):
            if row["turn"] == turn:
                messages = until_answer(row["script"], answers.get(_conversation(row), []))
                asked[place] = {key: value for key, value in row.items() if key != "script"} | {"messages": messages}
        keys = {place: completion_key(row, model) for place, row in asked.items()}
        first = {}
        for place, key in keys.items():
            if kept.get(key) is None:
                first.setdefault(key, place)
        missing = list(first.values())
        report(f"{len(asked)} completions in {len(cells)} cells, {len(missing)} to sample{_of_turn(turn)}")
        if missing:
            loaded = loaded or opened()
            _sample(loaded, [asked[place] for place in missing], list(first), kept, batch_size, report)
        for place, row in asked.items():
            found[place] = row | kept.get(keys[place])
            answers.setdefault(_conversation(row), []).append(found[place]["completion"])
    at = iter(range(len(rows)))
    return [[found[next(at)] for _ in cell] for cell in cells]


def _of_turn(turn: int) -> str:
    return "" if turn == 1 else f" (answer {turn})"


def _conversation(row: dict) -> tuple:
    return tuple(row[name] for name in ("eval_prompt", "question_set", "question_id", "sample"))


def _sample(
    model: Answerer, rows: list[dict], keys: list[str], kept: Kept, batch_size: int | None, report: Report
) -> None:
    """Sample a completion for each row and keep it under its key. Rows may have different settings."""
    by_settings: dict[Sampling, list[int]] = {}
    for place, row in enumerate(rows):
        settings = Sampling(row["temperature"], row["top_p"], row["top_k"], row["max_new_tokens"])
        by_settings.setdefault(settings, []).append(place)
    for settings, places in by_settings.items():

        def keep(batch: list[int], completions: list[Completion], places: list[int] = places) -> None:
            kept.add((keys[places[i]], vars(completion)) for i, completion in zip(batch, completions, strict=True))

        model.answers(
            [rows[place]["messages"] for place in places],
            [random_key(rows[place]) for place in places],
            settings,
            batch_size,
            report,
            keep,
        )
