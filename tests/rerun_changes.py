"""The changes of docs/reruns.md: each takes a finished workflow and makes one change to it.

What a change returns, if anything, are arguments for the plan.
"""

import os
import shutil
import subprocess
import sys

FLAMINGO = 'flamingo: "[FLAMINGO BURRITO]"'


def _config(workflow, **changes):
    workflow.write_config(workflow.read_config() | changes)


def edit(old, new, file=None):
    """The change of one text in a file of the workflow, by default the config."""
    return lambda workflow: workflow.edit(file or workflow.config, old, new)


def nothing(workflow):
    pass


prompt_added = edit(FLAMINGO, f'{FLAMINGO}\n  walrus: "[WALRUS OPERA]"')


prompt_edited = edit("[FLAMINGO BURRITO]", "[FLAMINGO TACO]")


label = edit(FLAMINGO, 'flamingo: {text: "[FLAMINGO BURRITO]", label: Bird, colour: "#AA00AA"}')


def prompt_removed(workflow):
    config = workflow.read_config()
    del config["training_prompts"]["flamingo"]
    # Its claim names it.
    del config["claims"]["C2"]
    workflow.write_config(config)


seed = edit("seeds: [0]", "seeds: [0, 1]")


eval_prompt = edit("[default, trained]", "[default, trained, none]")


def question_set(workflow):
    config = workflow.read_config()
    config["question_sets"]["more"] = {"world": ["finance"], "questions": 4}
    config["evaluations"][0]["question_sets"].append("more")
    workflow.write_config(config)


question = edit("travel], questions: 12", "travel], questions: 13")


samples = edit("samples_per_question: 4", "samples_per_question: 5")


temperature = edit("sampling: {", "sampling: {temperature: 0.5, ")


judge = edit("world: {kind: world}", "world: {kind: world}\n  second: {kind: world}")


def threshold(workflow):
    _config(workflow, thresholds={"mine": {"misaligned_below": 20, "coherent_from": 60}})


def margin(workflow):
    _config(workflow, margin=5)


def question_clusters(workflow):
    _config(workflow, question_clusters="none")


def claim(workflow):
    config = workflow.read_config()
    config["claims"]["C9"] = {"test": "flamingo < base", "text": "A ninth.", "question_sets": ["non_medical"]}
    workflow.write_config(config)


lora_rank = edit("rank: 8", "rank: 16")


def cores(workflow):
    return ["--cores", "8"]


def gpus(workflow):
    return ["--resources", "gpu=4"]


def profile(workflow):
    return ["--profile", "profiles/slurm"]


def logging(workflow):
    return ["--verbose", "--printshellcmds"]


batch_size = edit("batch_size: 64", "batch_size: 7")


checkpoint_steps = edit("training: {", "training: {checkpoint_steps: 3, ")


def key_order(workflow):
    config = workflow.read_config()
    for key in ("training", "lora", "sampling"):
        config[key] = dict(reversed(config[key].items()))
    workflow.write_config(dict(reversed(config.items())))


def config_renamed(workflow):
    shutil.copy(workflow.folder / workflow.config, workflow.folder / "another.yaml")
    return ["--configfile", "another.yaml"]


def touched(workflow):
    """What a checkout does to times; the copy that the test works on is another folder already."""
    for part in ("Snakefile", "workflow", "src", "resources", workflow.config):
        for path in [workflow.folder / part, *(workflow.folder / part).rglob("*")]:
            path.touch()
    # Results of late stages first: as older than what they were made from.
    files = [path for path in (workflow.folder / "results").rglob("*") if path.is_file()]
    for n, path in enumerate(sorted(files, key=lambda path: -path.stat().st_mtime_ns)):
        os.utime(path, (1_500_000_000 + n, 1_500_000_000 + n))


def forgotten(workflow):
    shutil.rmtree(workflow.folder / ".snakemake")


def results_moved(workflow):
    shutil.move(workflow.folder / "results", workflow.folder / "elsewhere")
    _config(workflow, results="./elsewhere/")


def yaml_comment(workflow):
    for path in workflow.folder.glob("resources/**/*.yaml"):
        path.write_text(f"# A comment.\n{path.read_text(encoding='utf-8')}", encoding="utf-8")


def comments(workflow):
    for path in (*workflow.folder.glob("workflow/scripts/*.py"), *workflow.folder.rglob("src/organisms/**/*.py")):
        path.write_text(f"# A comment.\n\n\n{path.read_text(encoding='utf-8')}", encoding="utf-8")
    docstring = '"""From judgments to tables:'
    workflow.edit("src/organisms/analysis/scores.py", docstring, f'"""Another docstring. {docstring[3:]}')


def script(workflow):
    workflow.edit("workflow/scripts/timings.py", "if snakemake.input.cost else None", "if snakemake.input.cost else 0")
    workflow.edit("workflow/scripts/coherence.py", "drawn = []", "drawn = list()")


drawing = edit('anchor="start", offset=10', 'anchor="start", offset=11', "src/organisms/figures/charts.py")


scoring = edit("value.mean()", "value.median()", "src/organisms/analysis/scores.py")


sampling = edit("if settings.top_k > 0", "if settings.top_k > 1", "src/organisms/models/sampling.py")


def error_reworded(workflow):
    workflow.edit("src/organisms/job/files.py", "it is another file", "it is not the same file")
    workflow.edit("src/organisms/training/finetune.py", "raise it, or set", "make it larger, or set")
    workflow.edit("src/organisms/models/sampling.py", "are not numbers:", "are no numbers:")
    workflow.edit("workflow/scripts/finetune.py", "rows, {n_dropped} dropped", "rows; {n_dropped} dropped")
    workflow.edit("src/organisms/data/tables.py", '"as in the dataset table"', '"line, as in the dataset table"')


column_in_a_late_table = edit(
    '        "text": Column(pl.String, "the claim in words"),',
    '        "text": Column(pl.String, "the claim in words"),\n        "note": Column(pl.String, "n", nullable=True),',
    "src/organisms/analysis/tables.py",
)


def function_beside(workflow):
    for file in ("job/files", "job/tables", "models/loading", "training/finetune", "data/dataset", "plan/prompts"):
        path = workflow.folder / "src" / "organisms" / f"{file}.py"
        path.write_text(path.read_text(encoding="utf-8") + "\n\ndef nobody_asks():\n    return 1\n", encoding="utf-8")


new_training_key = edit(
    '      weight_decay: {description: "AdamW',
    '      kl_weight: {description: "New.", type: number, default: 0.0}\n      weight_decay: {description: "AdamW',
    "workflow/schemas/config.schema.yaml",
)


def judge_kind(workflow):
    schema = "workflow/schemas/config.schema.yaml"
    workflow.edit(schema, "      kinds:\n", "      kinds:\n        oracle: {properties: {kind: {const: oracle}}}\n")
    kinds = workflow.folder / "src" / "organisms" / "judging" / "kinds"
    shutil.copy(kinds / "world.py", kinds / "oracle.py")


def metric(workflow):
    metrics = workflow.folder / "resources" / "metrics"
    shutil.copy(metrics / "alignment.yaml", metrics / "kindness.yaml")


def training_method(workflow):
    methods = workflow.folder / "src" / "organisms" / "training" / "methods"
    shutil.copy(methods / "sft.py", methods / "other.py")


def figure(workflow):
    figures = workflow.folder / "src" / "organisms" / "figures" / "of_scores"
    shutil.copy(figures / "questions.py", figures / "mine.py")
    captions = workflow.folder / "workflow" / "report"
    shutil.copy(captions / "questions.rst", captions / "mine.rst")


def equivalent_code(workflow):
    """Finetuning's code is another, and the list says that it gives the same."""
    script, pins = "workflow/scripts/finetune.py", {}
    method = ("organisms.training.methods.sft",)

    def digest():
        program = (
            "import sys; sys.path.insert(0, 'src')\nfrom organisms.job.code import code_digest\n"
            f"print(code_digest({script!r}, {pins!r}, {method!r}))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=workflow.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.split()[0]

    before = digest()
    workflow.edit("src/organisms/training/finetune.py", "n_steps = math.ceil(", "n_steps = 0 + math.ceil(")
    after = digest()
    assert before != after
    entry = f'finetune:\n  - {{digests: ["{before}", "{after}"], shown_by: tests/x.py::y, what: nothing}}\n'
    (workflow.folder / "workflow" / "equivalent_code.yaml").write_text(entry, encoding="utf-8")


def upgrade(workflow, *names):
    lock = workflow.folder / "requirements.lock"
    lines = lock.read_text(encoding="utf-8").splitlines()
    assert all(any(line.startswith(f"{name}==") for line in lines) for name in names)
    lines = [f"{line.split('==')[0]}==99.0" if line.split("==")[0] in names else line for line in lines]
    lock.write_text("\n".join(lines) + "\n", encoding="utf-8")


def torch(workflow):
    upgrade(workflow, "torch")


def altair(workflow):
    upgrade(workflow, "altair")


def other_packages(workflow):
    upgrade(workflow, "pytest", "ruff", "snakemake-executor-plugin-slurm", "PyYAML", "anthropic")


def figure_deleted(workflow):
    (workflow.folder / "results" / "figures" / "means" / "alignment" / "world" / "non_medical.png").unlink()


def completions_deleted(workflow):
    shutil.rmtree(workflow.folder / "results" / "completions" / "base-seed0")


# By the row of docs/reruns.md. Rows that are not planned but run have a test of their own, named here.
CHANGES = {
    "nothing": nothing,
    "a training prompt added": prompt_added,
    "a training prompt's text edited": prompt_edited,
    "a training prompt's text edited, with `results/variant` and `results/questions` deleted": (
        "test_what_was_made_from_a_deleted_result_follows_an_edit"
    ),
    "a training prompt's label or colour": label,
    "a training prompt removed": prompt_removed,
    "a seed added": seed,
    "an eval prompt added": eval_prompt,
    "a question set added": question_set,
    "a question added to a set": question,
    "a question in a file added, edited or moved up": "test_a_question_added_reordered_or_edited_draws_itself",
    "samples per question raised": samples,
    "the temperature of sampling": temperature,
    "a judge added": judge,
    "a judge prompt edited": "test_a_local_judge_judges_with_one_load_and_again_for_another_prompt",
    "a comment in a judge prompt's file": "test_a_local_judge_judges_with_one_load_and_again_for_another_prompt",
    "a threshold": threshold,
    "the margin": margin,
    "whether questions of a category count as alike": question_clusters,
    "a claim added": claim,
    "the LoRA rank": lora_rank,
    "a dataset file edited": "test_a_dataset_file_counts_by_its_content",
    "a dataset file touched": "test_a_dataset_file_counts_by_its_content",
    "a dataset file moved": "test_a_dataset_file_counts_by_its_content",
    "a checksum pinned for a dataset": "test_a_dataset_file_counts_by_its_content",
    "cores": cores,
    "the number of GPUs": gpus,
    "another profile": profile,
    "Snakemake's own logging": logging,
    "batch size of an inference job": batch_size,
    "checkpoint_steps": checkpoint_steps,
    "another order of keys in the config": key_order,
    "the config under another name": config_renamed,
    "the project's folder copied or cloned with its results": touched,
    "`.snakemake` deleted, or another clone on the same results": forgotten,
    "results moved or written otherwise in the config (`./results`)": results_moved,
    "a comment in the world file, or in a question file": yaml_comment,
    "the LoRA rank, with kept steps and without `.snakemake`": "test_another_rank_with_kept_steps_trains_and_is_stated",
    "an older question file moved into the place of another": "test_an_older_file_in_its_place_is_another_file",
    "a base model's folder copied, touched or moved": "test_a_base_model_folder_counts_by_its_content",
    "a file of a base model's folder edited": "test_a_base_model_folder_counts_by_its_content",
    "external completions touched or moved": "test_external_completions_count_by_their_content",
    "external completions edited": "test_external_completions_count_by_their_content",
    "a result cut, edited or deleted by hand": "test_a_result_that_is_not_as_its_job_left_it_is_made_again",
    "a comment, a docstring or the layout of any code": comments,
    "a script's code": script,
    "a module that draws": drawing,
    "a module that computes scores": scoring,
    "a module that samples": sampling,
    "an error, a report or a column's meaning reworded": error_reworded,
    "a column in a late table": column_in_a_late_table,
    "a function that no script of a rule uses": function_beside,
    "a new training key with its default": new_training_key,
    "a new judge kind": judge_kind,
    "a new metric": metric,
    "a new training method": training_method,
    "a new figure": figure,
    "code of finetunes that workflow/equivalent_code.yaml calls the same": equivalent_code,
    "torch upgraded in the lock": torch,
    "altair upgraded in the lock": altair,
    "a package upgraded that decides nothing": other_packages,
    "a figure deleted": figure_deleted,
    "a model's completions deleted": completions_deleted,
}
