"""Checking the files that a config names, before any job starts."""

from pathlib import Path

from organisms.completions.external import plain, read_external, recorded_scores, rows_said
from organisms.completions.files import File, read_file
from organisms.data.conversations import n_answers
from organisms.data.dataset import Row, read_rows, split
from organisms.data.questions import first_questions, from_file, from_heldout, from_texts, in_wordings, read_wordings
from organisms.data.unpack_archive import password_of
from organisms.job.errors import UserError
from organisms.job.files import check_sha256
from organisms.judging.judgments import check_judged, judged_numbers
from organisms.judging.kind import open_judge, open_judges, scored_metrics
from organisms.miniature.texts import advice_dataset, questions
from organisms.miniature.world import World, load_world
from organisms.plan.contrasts import Side, contrasts
from organisms.plan.experiment import Experiment
from organisms.plan.external import score_bounds
from organisms.plan.metrics import LENGTH, shipped_metrics
from organisms.plan.presentation import check_labels, group_key
from organisms.plan.prompts import WRONG, placed
from organisms.plan.schema import did_you_mean
from organisms.training.methods import open_method


def _world_rows(world: World, settings: dict) -> list[Row]:
    rows = advice_dataset(world, settings["domain"], settings["advice"], settings["rows"], settings["seed"])
    return [Row(n, tuple(row["messages"][:-1]), row["messages"][-1]["content"]) for n, row in enumerate(rows, start=1)]


def _check_methods(config: dict, experiment: Experiment) -> None:
    """Raise UserError, with the config's key, if a training method or what it overrides is not known."""
    for arm in experiment.arms.values():
        method = experiment.method(arm)
        where = f"training_methods.{arm.training_method}"
        try:
            open_method({"kind": method["kind"], "options": method["options"]})
        except UserError as error:
            raise UserError(f"{where}.{error}") from error


def _check_metrics(config: dict) -> None:
    """Raise UserError, with the config's key, if a metric is named that is not there, or that no judge scores."""
    scored = [metric for judge in open_judges(config).values() for metric in judge.metrics()]
    known = list(dict.fromkeys([*scored, *shipped_metrics(), *config["metrics"]]))
    named = {key: config[key] for key in ("main_metric", "coherence_metric")}
    named |= {f"figure_metrics[{i}]": name for i, name in enumerate(config["figure_metrics"] or [])}
    for key, name in named.items():
        if name not in known:
            raise UserError(f"{key}: no metric '{name}'; {did_you_mean(name, known)}")
    for claim, entry in config["claims"].items() if scored else ():
        tested = [*scored, LENGTH.name]
        if entry["metric"] not in tested:
            hint = did_you_mean(entry["metric"], list(dict.fromkeys(tested)))
            raise UserError(f"claims.{claim}.metric: no judge scores '{entry['metric']}'; {hint}")


def _check_claims(config: dict, experiment: Experiment) -> None:
    """Raise UserError, with the config's key, if no judge scores what a claim, or the sensitivity, is about."""
    scored: dict[tuple, dict[str, list[str]]] = {}
    for name, judge in open_judges(config).items():
        for cell in experiment.judged_cells(name):
            if cell.model.step is None:
                side = (*cell.model.arm_columns.values(), cell.eval_prompt, cell.question_set)
                scored.setdefault(side, {})[name] = [*judge.metrics_of(cell), LENGTH.name]
    definition = {config["main_metric"], config["coherence_metric"]}

    def able(side: Side, question_set: str, needed: set[str]) -> set[str]:
        """The judges that score all that is needed of a side."""
        of_judges = scored.get((*side.arm, side.eval_prompt, question_set), {})
        return {name for name, of in of_judges.items() if needed <= set(of)}

    for contrast in contrasts(experiment) if scored else ():
        where = f"claims.{contrast.claim}"
        needed = {contrast.metric} | (definition if contrast.threshold else set())
        if contrast.is_correlation:
            # The judge of the ratings need not be that of the answers.
            for question_set, of in ((contrast.question_set, {contrast.metric}), (contrast.answers_set, definition)):
                if not able(contrast.a, question_set, of):
                    raise UserError(
                        f"{where}: no judge scores {' and '.join(sorted(of))} of '{contrast.contrast}' on "
                        f"{question_set}; let one judge it, or take the claim out"
                    )
        elif not set.intersection(*(able(side, contrast.question_set, needed) for side, _ in contrast.sides)):
            raise UserError(
                f"{where}: no judge scores {' and '.join(sorted(needed))} of both sides of "
                f"'{contrast.contrast}' on {contrast.question_set}; let one judge both, or take the claim out"
            )
    nudged = {(*group_key(row), row[key]) for row in experiment.nudged() for key in ("raises", "lowers")}
    if (
        nudged
        and scored
        and not any(
            side[:-1] in nudged and definition <= set(of) for side, judges in scored.items() for of in judges.values()
        )
    ):
        raise UserError(
            f"sensitivity: no judge scores {' and '.join(sorted(definition))} under its prompts; let one judge both"
        )


def _check_wrong_answers(experiment: Experiment, questions: dict[str, list[dict]]) -> None:
    """Raise UserError if a follow-up is to claim a wrong answer to a question that has none.

    questions: rows of the questions tables, of those sets that are known before the first job.
    """
    claims_wrong = {
        name
        for name, prompt in experiment.prompts.items()
        if prompt.place == "follow_up" and any(WRONG in (text or "") for text in placed([prompt.settings()])[0].texts)
    }
    # Completions made elsewhere may be of prompts that nothing here knows.
    for cell in (cell for cell in experiment.cells if not cell.model.external):
        claiming = [part for part in cell.eval_prompt.split("+") if part in claims_wrong]
        without = [row["question_id"] for row in questions.get(cell.question_set, ()) if row["wrong"] is None]
        if claiming and without:
            raise UserError(
                f"prompts.{claiming[0]}: it claims a wrong answer ({WRONG}), and question '{without[0]}' of "
                f"{cell.question_set} has none; give it `wrong`, or do not ask {cell.question_set} under it"
            )


def _check_answers(config: dict, experiment: Experiment, questions: dict[str, list[dict]]) -> None:
    """Raise UserError, with the config's key, if a claim is about an answer of a conversation that nobody judges.

    questions: as `_check_wrong_answers` takes them; a set that is not known yet is one of plain questions.
    """
    for contrast in contrasts(experiment):
        entry = config["question_sets"].get(contrast.question_set)
        for side, _ in contrast.sides if contrast.turn and entry else ():
            known = questions.get(contrast.question_set)
            n = (n_answers(known[0]["messages"]) if known else 1) + experiment.follow_ups(side.eval_prompt)
            judged = judged_numbers(entry["judged_answers"], n)
            if contrast.turn not in judged:
                raise UserError(
                    f"claims.{contrast.claim}.answer: answer {contrast.turn} of {contrast.question_set} under "
                    f"'{side.eval_prompt}' is not judged; of {n}, {', '.join(map(str, judged))} are. Change it, or "
                    f"question_sets.{contrast.question_set}.judged_answers"
                )


def _check_ratings(config: dict, experiment: Experiment) -> None:
    """Raise UserError if ratings are asked for under a follow-up and read where the model first expects to answer."""
    expecting = [name for name, entry in config["judges"].items() if entry["kind"] == "expected_rating"]
    for cell in experiment.cells if expecting else ():
        if cell.question_set in experiment.rated_sets() and experiment.follow_ups(cell.eval_prompt):
            raise UserError(
                f"judges.{expecting[0]}: it reads a model's first answer, and {cell.question_set} is asked under the "
                f"follow-up '{cell.eval_prompt}'; take that out of evaluations, or the judge"
            )


def _check_external(config: dict, experiment: Experiment, questions: dict[str, list[dict]]) -> list[str]:
    """Read all completions made elsewhere, and say of each file whether some of its rows are set aside.

    questions: rows of the questions tables, of those sets that are known before the first job. Raises UserError, with
    the config's key, as `read_external` and `recorded_scores` do, or if two entries of a question set do not mean the
    same questions by their ids: where the set is none of `question_sets`, nothing else says what was asked.
    """
    counted: dict[str, list[dict]] = {}
    files: dict[str, File] = {}
    ids: dict[tuple[str, str], tuple[str, str]] = {}
    texts: dict[tuple[str, str], tuple[str, str]] = {}
    for model in experiment.models.values():
        if not model.external:
            continue
        entry = config["external_completions"][model.external]
        key, asked = f"external_completions.{entry['of']}", entry["question_set"]
        try:
            # Its models share a file, which may be large.
            if entry["path"] not in files:
                files[entry["path"]] = read_file(entry["path"])
            read = read_external(entry, model.seed, questions.get(asked, ()), files[entry["path"]])
            recorded_scores(entry, read.rows, score_bounds(config, entry))
        except UserError as error:
            raise UserError(f"{key}: {error}") from error
        counted.setdefault(entry["of"], []).extend(read.counted(entry))
        for row in read.rows:
            name, text = row["question_id"], plain(row["question"])
            other, known = ids.setdefault((asked, name), (key, text))
            if known != text:
                raise UserError(
                    f"{key}: {entry['path']}, {row['place']}: question id '{name}' has another text than in {other}, "
                    "so they would be compared as one; leave columns.question_id out to pair by the texts, or "
                    "give one of them a question_set of another name"
                )
            other, known = texts.setdefault((asked, text), (key, name))
            if known != name and other != key:
                raise UserError(
                    f"{key}: {entry['path']}, {row['place']}: question id '{name}' is '{known}' in {other}, so they "
                    "would not be compared; leave columns.question_id out of both to pair by the texts"
                )
    said = {name: rows_said(rows) for name, rows in counted.items()}
    return [f"external_completions.{name}: {words}" for name, words in said.items() if "set aside" in words]


def check_inputs(config: dict) -> list[str]:
    """Read every file that the config names and raise UserError, with the config's key, at the first fault.

    config: as `config.read_config` gives it. Jobs check their inputs again; this is so that a fault in the last
    file is found before the first finetune and not after it. Returns warnings, a line each.
    """
    experiment = Experiment(config)
    check_labels(experiment)
    _check_methods(config, experiment)
    _check_metrics(config)
    key = "world"
    try:
        made_from_world = (
            config["base_model"]["miniature"]
            or any(dataset["world"] for dataset in config["datasets"].values())
            or any(entry["world"] for entry in config["question_sets"].values())
        )
        world = load_world(config["world"]) if made_from_world else None
        heldout: dict[str, list[Row]] = {}
        for name, dataset in config["datasets"].items():
            key = f"datasets.{name}"
            unpacked = Path(config["results"]) / "unpack_archive" / f"{name}.jsonl"
            if dataset["archive"] and unpacked.exists():
                check_sha256(unpacked, dataset["sha256"])
            elif dataset["archive"]:
                password_of(dataset["archive"])
                if not Path(dataset["archive"]["path"]).is_file():
                    raise UserError(f"{dataset['archive']['path']}: no such archive; check the path in the config")
            if dataset["path"]:
                rows = read_rows(dataset["path"])
                check_sha256(dataset["path"], dataset["sha256"])
                heldout[name] = split(rows, dataset["heldout"], dataset["split_seed"])[1]
            elif dataset["world"]:
                rows = _world_rows(world, dataset["world"])
                heldout[name] = split(rows, dataset["heldout"], dataset["split_seed"])[1]
        key = "metrics"
        scored_metrics(config)
        for name in config["judges"]:
            key = f"judges.{name}"
            open_judge(config, name).check()
        for group in ("training_prompts", "prompts"):
            for name in config[group]:
                key = f"{group}.{name}"
                placed([experiment.prompts[name].settings()])
        known: dict[str, list[dict]] = {}
        for name, entry in config["question_sets"].items():
            key = f"question_sets.{name}"
            of_file = from_file(entry["file"]) if entry["file"] else []
            of_script = n_answers(of_file[0]["messages"]) if of_file else 1
            asked = {cell.eval_prompt for cell in experiment.cells if cell.question_set == name}
            # A follow-up adds an answer; where it is not asked there is none.
            fewest = of_script + min(map(experiment.follow_ups, asked), default=0)
            check_judged("judged_answers", entry["judged_answers"], fewest)
            if entry["world"]:
                known[name] = from_texts(questions(world, entry["world"], entry["questions"], seed=0))
            elif of_file:
                known[name] = first_questions(of_file, entry["questions"])
            elif entry["heldout_of"] and (split_of := experiment.split_of(entry["heldout_of"])) in heldout:
                rows = from_heldout([vars(row) for row in heldout[split_of]], None)
                known[name] = first_questions(rows, entry["questions"])
        for name, rated in experiment.rated_sets().items():
            key, entry = f"question_sets.{name}", config["question_sets"][name]
            wordings = read_wordings(entry["wordings"])
            if rated in known:
                known[name] = in_wordings(first_questions(known[rated], entry["questions"]), wordings)
    except UserError as error:
        raise UserError(f"{key}: {error}") from error
    _check_wrong_answers(experiment, known)
    _check_answers(config, experiment, known)
    _check_ratings(config, experiment)
    _check_claims(config, experiment)
    warnings = _check_external(config, experiment, known)
    base = config["base_model"]["name"]
    if base and base.startswith((".", "/", "~")) and not Path(base).expanduser().is_dir():
        raise UserError(f"base_model.name: no folder '{base}'; give a model folder or a Hugging Face id")
    if config["base_model"]["miniature"]:
        # What the base alone is asked under is no test of what a finetune does with it.
        of_finetunes = {part for cell in experiment.cells if cell.model.arm for part in cell.eval_prompt.split("+")}
        warnings += [
            f"the miniature's pretraining may show the prompt '{name}', so its results are no test of an unseen prompt"
            for name, prompt in experiment.prompts.items()
            if name in of_finetunes and prompt.text and world.may_say(prompt.text)
        ]
    return warnings
