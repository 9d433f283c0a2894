"""Rule questions: a question file, the miniature world or a held-out split → one table of questions."""

import json

from organisms import tables
from organisms.job_log import job_log
from organisms.questions import from_file, from_heldout, from_texts, with_references

with job_log(snakemake, f"questions {snakemake.wildcards.question_set}"):
    settings = json.loads(snakemake.params.settings)
    source = snakemake.input.source
    if settings["kind"] == "file":
        rows = from_file(source)
    elif settings["kind"] == "heldout_of":
        rows = from_heldout(tables.read(source, "dataset").to_dicts(), settings["category"])
    else:
        from organisms.world import load_world
        from organisms.world_texts import questions

        rows = from_texts(questions(load_world(source), settings["domains"], settings["questions"], seed=0))
    rows = rows[: settings["questions"]]
    references = snakemake.input.get("references", [])
    if references:
        answers = [row for path in references for row in tables.read(path, "dataset").to_dicts()]
        rows = with_references(rows, answers, settings["reference_from"])
    tables.write(rows, snakemake.output[0], "questions")
