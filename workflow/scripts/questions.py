"""Rule questions: a question file, the miniature world, a held-out split or another set → one table of questions."""

import json

from organisms.data.questions import (
    first_questions,
    from_file,
    from_heldout,
    from_texts,
    in_wordings,
    read_wordings,
    with_references,
)
from organisms.data.tables import DATASET, QUESTIONS
from organisms.job import tables
from organisms.job.log import job_log

with job_log(snakemake, f"questions {snakemake.wildcards.question_set}"):
    settings = json.loads(snakemake.params.settings)
    source = snakemake.input.source
    if settings["kind"] == "file":
        rows = from_file(source)
    elif settings["kind"] == "heldout_of":
        rows = from_heldout(tables.read(source, DATASET).to_dicts(), settings["category"])
    elif settings["kind"] == "rating_of":
        rows = tables.read(source, QUESTIONS).to_dicts()
    else:
        from organisms.miniature.texts import questions
        from organisms.miniature.world import load_world

        rows = from_texts(questions(load_world(source), settings["domains"], settings["questions"], seed=0))
    rows = first_questions(rows, settings["questions"])
    if settings["kind"] == "rating_of":
        rows = in_wordings(rows, read_wordings(snakemake.input.wordings))
    references = snakemake.input.get("references", [])
    if references:
        answers = [row for path in references for row in tables.read(path, DATASET).to_dicts()]
        rows = with_references(rows, answers, settings["reference_from"])
    tables.write(rows, snakemake.output[0], QUESTIONS)
