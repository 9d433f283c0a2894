"""What a model expects to answer where it is asked for a number: its own number tokens, read as a local judge's are."""

from organisms.completions.rows import planned_rows
from organisms.data.conversations import until_answer
from organisms.job.log import Report
from organisms.judging.number_tokens import rate
from organisms.judging.tables import EXPECTED_RATINGS
from organisms.models.loaded import LoadedModel


def expected_ratings(
    model: LoadedModel,
    cells: list[tuple[list[dict], dict, dict]],
    bounds: tuple[int, int],
    batch_size: int | None,
    report: Report,
) -> list[dict]:
    """Rows of the expected_ratings table, a question each. Nothing is sampled.

    cells: of each its questions (rows of the questions table), its columns, and its settings
    (`Experiment.completions_settings`). bounds: least and greatest number that may be answered.
    """
    rows = [
        row
        for questions, columns, settings in cells
        for row in planned_rows(questions, columns, settings | {"samples_per_question": 1})
        if row["turn"] == 1
    ]
    found: dict[str, dict] = {}

    def keep(batch) -> None:
        for key, rating, mass, _ in batch:
            found[key] = {"rating": rating.score, "mass": mass, "flag": rating.flag, "raw": rating.raw}

    conversations = {str(place): until_answer(row["script"], []) for place, row in enumerate(rows)}
    rate(model.opened, conversations, (), bounds, batch_size or model.at_once, report, keep)
    return [
        {name: value for name, value in (row | found[str(place)]).items() if name in EXPECTED_RATINGS.columns}
        for place, row in enumerate(rows)
    ]
