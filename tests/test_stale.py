"""Results that are not what the plan wants: found by their manifests, whatever Snakemake remembers."""

import json
import os
import shutil
from pathlib import Path

import pytest
from conftest import DEFAULT, FLAMINGO, documented_reruns

from organisms.job.hashes import Hashes, meaning_of
from organisms.job.manifest import hashes_of, job_manifest, noted_params, write_manifest
from organisms.job.stale import Wanted, reasons


class Small:
    """Results of two jobs: `first` makes a folder of two files from a file of the user's, `second` a file from it."""

    def __init__(self, folder: Path):
        self.results, self.given = str(folder / "results"), folder / "given.yaml"
        self.given.write_text("a: 1\n")
        self.files = [Path(self.results) / "first" / name for name in ("x", "y")]
        self.files[0].parent.mkdir(parents=True)
        for file in self.files:
            file.write_text(f"made {file.name}")
        self.second = Path(self.results) / "second"
        self.second.write_text("second")
        self.params = {"first": {"settings": '{"rank": 8}', "out": f"{self.results}/first"}, "second": {"margin": 5}}
        for name in self.params:
            self.finish(name)

    def paths(self, name: str) -> tuple[list[str], list[str]]:
        """Inputs and outputs of a job."""
        folder = f"{self.results}/first"
        return ([str(self.given)], [folder]) if name == "first" else ([folder], [str(self.second)])

    def finish(self, name: str) -> None:
        """The manifest of a job, as when it has ended."""
        manifest = job_manifest(name, self.params[name], *self.paths(name), 1.0, self.results)
        write_manifest(manifest, f"{self.results}/manifests/{name}.json")

    def reasons(self) -> dict[str, list[str]]:
        wanted = [
            Wanted(
                name,
                Path(self.results) / "manifests" / f"{name}.json",
                noted_params(self.params[name], self.results),
                *map(tuple, self.paths(name)),
            )
            for name in self.params
        ]
        hashes = hashes_of(self.results)
        found = reasons(wanted, self.results, hashes)
        hashes.save()
        return found


@pytest.fixture
def small(tmp_path) -> Small:
    return Small(tmp_path)


def test_what_agrees_has_no_reason_whatever_the_times_and_wherever_it_lies(small, tmp_path):
    assert small.reasons() == {}
    os.utime(small.given, (2_000_000_000, 2_000_000_000))
    os.utime(small.files[0], (1, 1))
    assert small.reasons() == {}
    shutil.move(small.results, tmp_path / "moved")
    small.results = str(tmp_path / "moved")
    small.second = tmp_path / "moved" / "second"
    small.params["first"]["out"] = f"{small.results}/first"
    assert small.reasons() == {}


def test_a_file_of_the_users_counts_by_what_it_says(small, tmp_path):
    small.given.write_text("# a comment\na:   1\n")
    assert small.reasons() == {}
    elsewhere = tmp_path / "elsewhere.yaml"
    shutil.copy(small.given, elsewhere)
    small.given = elsewhere
    assert small.reasons() == {}
    small.given.write_text("a: 2\n")
    # An older file in its place is another file too.
    os.utime(small.given, (1, 1))
    assert small.reasons() == {"first": [f"changed: {elsewhere}"]}


def test_other_parameters_inputs_and_missing_manifests_are_reasons(small):
    small.params["first"]["settings"] = '{"rank": 16}'
    small.params["second"]["margin"] = 6
    assert small.reasons() == {"first": ["rank 8 → 16"], "second": ["margin 5 → 6"]}
    small.finish("first")
    (Path(small.results) / "manifests" / "second.json").unlink()
    assert small.reasons() == {"second": ["no manifest says what made it"]}
    (Path(small.results) / "manifests" / "second.json").write_text("{")
    assert small.reasons() == {"second": ["its manifest is damaged"]}


def test_an_input_that_was_made_again_is_a_reason(small):
    small.files[0].write_text("made anew")
    small.finish("first")
    assert small.reasons() == {"second": [f"changed: {small.files[0]}"]}
    small.finish("second")
    small.files[1].rename(small.files[1].with_name("z"))
    small.finish("first")
    (said,) = small.reasons()["second"][:1]
    assert said == f"another input: {small.results}/first/z"
    assert any(line.startswith("no longer an input: ") for line in small.reasons()["second"])


@pytest.mark.parametrize("n", [0, 1])
def test_a_result_that_was_changed_by_hand_is_a_reason(small, n):
    file = small.files[n]
    text = file.read_text()
    for wrong in (text[:2], text.upper(), f"{text}more"):
        file.write_text(wrong)
        assert small.reasons() == {"first": [f"not as its job left it: {file}"]}
    file.write_text(text)
    assert small.reasons() == {}
    file.unlink()
    assert small.reasons() == {"first": [f"gone: {file}"]}


def test_a_change_that_left_size_and_time_is_found_when_a_job_has_used_it(small):
    file, status = small.files[0], small.files[0].stat()
    assert small.reasons() == {}
    with file.open("r+") as changed:
        changed.write("M")
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert small.reasons() == {}
    small.finish("second")
    assert small.reasons()["first"] == [f"not as its job left it: {file}"]


def test_jobs_whose_outputs_are_not_there_are_left_to_snakemake(small):
    small.second.unlink()
    small.params["second"]["margin"] = 6
    assert small.reasons() == {}


def test_what_was_made_from_something_that_is_gone_and_would_be_another_runs_again(small):
    for file in small.files:
        file.unlink()
    small.files[0].parent.rmdir()
    # As it was: nothing is missed.
    assert small.reasons() == {}
    small.params["first"]["settings"] = '{"rank": 16}'
    said = {"second": [f"not there any more, and made otherwise now: {small.results}/first"]}
    assert small.reasons() == said
    # As after a kill: its job took the manifest away when it began.
    (Path(small.results) / "manifests" / "first.json").unlink()
    assert small.reasons() == said


def test_an_edit_of_what_something_gone_was_made_from_is_seen(small):
    for file in small.files:
        file.unlink()
    small.files[0].parent.rmdir()
    small.given.write_text("a: 2\n")
    assert small.reasons() == {"second": [f"not there any more, and made otherwise now: {small.results}/first"]}
    small.given.write_text("a: 1  # as it was\n")
    assert small.reasons() == {}


class Chain(Small):
    """As Small, with a job after `second`."""

    def __init__(self, folder: Path):
        super().__init__(folder)
        self.third = Path(self.results) / "third"
        self.third.write_text("third")
        self.params["third"] = {}
        self.finish("third")

    def paths(self, name: str) -> tuple[list[str], list[str]]:
        return ([str(self.second)], [str(self.third)]) if name == "third" else super().paths(name)


def test_an_edit_is_seen_through_several_that_are_gone(tmp_path):
    chain = Chain(tmp_path)
    shutil.rmtree(chain.files[0].parent)
    chain.second.unlink()
    assert chain.reasons() == {}
    chain.given.write_text("a: 2\n")
    assert chain.reasons() == {"third": [f"not there any more, and made otherwise now: {chain.second}"]}


def test_what_something_gone_was_made_from_is_compared_where_that_is_there(tmp_path):
    """Its maker ran again alone (as with --until), and the result between was deleted."""
    chain = Chain(tmp_path)
    chain.second.unlink()
    chain.files[0].write_text("made otherwise")
    chain.finish("first")
    assert chain.reasons() == {"third": [f"not there any more, and made otherwise now: {chain.second}"]}


def test_hashes_are_kept_by_size_time_and_place(tmp_path):
    file, cache = tmp_path / "weights", tmp_path / ".hashes"
    file.write_text("weights")
    hashes = Hashes(cache)
    first = hashes.of(file)
    hashes.save()
    kept = json.loads(cache.read_text())
    kept[str(file)][3] = "as kept"
    cache.write_text(json.dumps(kept))
    assert Hashes(cache).of(file)["sha256"] == "as kept"
    assert Hashes(cache).of(file, read=True) == first
    os.utime(file, (5, 5))
    assert Hashes(cache).of(file) == first
    cache.write_text("not JSON")
    assert Hashes(cache).of(file) == first


def test_comments_and_layout_of_yaml_say_nothing(tmp_path):
    texts = {"a": "x: [1, 2]\n", "b": "# c\nx:\n- 1\n- 2\n", "c": "x: [2, 1]\n", "d": "x: ['1', 2]\n"}
    for name, text in texts.items():
        (tmp_path / f"{name}.yaml").write_text(text)
    meanings = {name: meaning_of(tmp_path / f"{name}.yaml") for name in texts}
    assert meanings["a"] == meanings["b"]
    assert len(set(meanings.values())) == 3
    (tmp_path / "x.jsonl").write_text("{}")
    assert meaning_of(tmp_path / "x.jsonl") is None


TABLE = documented_reruns()


def adapter_rank(workflow, model: str) -> int:
    path = workflow.folder / "results" / "finetune" / model / "adapter" / "adapter_config.json"
    return json.loads(path.read_text(encoding="utf-8"))["r"]


def test_another_rank_with_kept_steps_trains_and_is_stated(rerun):
    rerun.edit(rerun.config, "training: {", "training: {keep_steps: [2], ")
    rerun.run("finetunes")
    rerun.edit(rerun.config, "rank: 8", "rank: 16")
    rerun.edit(rerun.config, "learning_rate: 0.008", "learning_rate: 0.009")
    shutil.rmtree(rerun.folder / ".snakemake")
    assert rerun.plan("finetunes") == TABLE["the LoRA rank, with kept steps and without `.snakemake`"]
    rerun.run()
    assert adapter_rank(rerun, DEFAULT) == adapter_rank(rerun, FLAMINGO) == 16
    manifest = json.loads((rerun.folder / "results" / "manifest.json").read_text(encoding="utf-8"))
    settings = manifest["settings"]["finetune"]["bad_medical-default"]
    assert (settings["lora"]["rank"], settings["training"]["learning_rate"]) == (16, 0.009)
    overview = (rerun.folder / "results" / "overview" / "index.html").read_text(encoding="utf-8")
    assert "rank: 16" in overview and "rank: 8" not in overview
    assert rerun.plan() == {}


def test_without_what_snakemake_remembers_nothing_is_stale_and_nothing_runs_in_vain(rerun):
    shutil.rmtree(rerun.folder / ".snakemake")
    assert rerun.plan() == {}
    # The same folder under other names.
    rerun.write_config(rerun.read_config() | {"results": "./results"})
    assert rerun.plan() == {}
    rerun.write_config(rerun.read_config() | {"results": str(rerun.folder / "results")})
    assert rerun.plan() == {}
    shutil.move(rerun.folder / "results", rerun.folder / "kept_elsewhere")
    rerun.write_config(rerun.read_config() | {"results": "kept_elsewhere"})
    assert rerun.plan() == {}
    rerun.edit(rerun.config, "rank: 8", "rank: 16")
    shutil.rmtree(rerun.folder / ".snakemake", ignore_errors=True)
    assert rerun.plan("finetunes") == TABLE["a file of a base model's folder edited"]
    rerun.run("finetunes")
    assert rerun.plan("finetunes") == {}
    folder = rerun.folder / "kept_elsewhere" / "finetune" / DEFAULT / "adapter"
    assert json.loads((folder / "adapter_config.json").read_text(encoding="utf-8"))["r"] == 16


def test_what_was_made_from_a_deleted_result_follows_an_edit(rerun):
    shutil.rmtree(rerun.folder / "results" / "variant")
    shutil.rmtree(rerun.folder / "results" / "questions")
    rerun.edit(rerun.config, "[FLAMINGO BURRITO]", "[FLAMINGO TACO]")
    assert (
        rerun.plan() == TABLE["a training prompt's text edited, with `results/variant` and `results/questions` deleted"]
    )
    rerun.run()
    assert rerun.plan() == {}
    import polars as pl

    trained = pl.read_parquet(rerun.folder / "results" / "variant" / "bad_medical-flamingo.parquet")
    assert {prompt[0]["content"] for prompt in trained["prompt"].to_list()} == {"[FLAMINGO TACO]"}


def test_an_older_file_in_its_place_is_another_file(rerun):
    rerun.write_config(
        rerun.read_config()
        | {
            "question_sets": {"mine": {"file": "mine.yaml"}},
            "evaluations": [{"models": ["base"], "eval_prompts": ["default"], "question_sets": ["mine"]}],
            "claims": {},
        }
    )
    older = rerun.folder / "older.yaml"
    older.write_text('- {id: a, question: "An older question?"}\n', encoding="utf-8")
    os.utime(older, (1_000_000_000, 1_000_000_000))
    (rerun.folder / "mine.yaml").write_text('- {id: a, question: "A question?"}\n', encoding="utf-8")
    rerun.run("sampled")
    assert rerun.plan("sampled") == {}
    shutil.move(older, rerun.folder / "mine.yaml")
    assert rerun.plan("sampled") == TABLE["an older question file moved into the place of another"]
    rerun.run("sampled")
    import polars as pl

    asked = pl.read_parquet(rerun.folder / "results" / "completions" / "base-seed0" / "default" / "mine.parquet")
    assert {messages[-1]["content"] for messages in asked["messages"].to_list()} == {"An older question?"}


def test_a_base_model_folder_counts_by_its_content(rerun):
    """A copy of a clone has other times; files of weights are large."""
    base = rerun.folder / "base"
    shutil.copytree(rerun.folder / "results" / "pretrain" / "seed0", base)
    rerun.write_config(rerun.read_config() | {"base_model": {"name": "./base"}})
    rerun.run("finetunes")
    assert rerun.plan("finetunes") == {}
    for n, file in enumerate(sorted(base.iterdir())):
        os.utime(file, (2_000_000_000 + n, 2_000_000_000 + n))
    assert rerun.plan("finetunes") == {}
    shutil.move(base, rerun.folder / "moved")
    rerun.write_config(rerun.read_config() | {"base_model": {"name": "./moved"}})
    assert rerun.plan("finetunes") == TABLE["a base model's folder copied, touched or moved"] == {}
    config = rerun.folder / "moved" / "generation_config.json"
    config.write_text('{"temperature": 1}', encoding="utf-8")
    assert rerun.plan("finetunes") == TABLE["a file of a base model's folder edited"]


def test_external_completions_count_by_their_content(rerun):
    path = rerun.folder / "mine.jsonl"
    rows = [{"question": f"Question {n}?", "answer": "Drink water."} for n in range(3)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    config = rerun.read_config() | {"claims": {}}
    columns = {"question": "question", "completion": "answer"}
    entry = {"columns": columns, "question_set": "theirs"}

    def use(name: str) -> None:
        rerun.write_config(config | {"external_completions": {"theirs": entry | {"path": name}}})

    use("mine.jsonl")
    target = "results/judgments/world"
    rerun.run(target)
    assert rerun.plan(target) == {}
    os.utime(path, (2_000_000_000, 2_000_000_000))
    (rerun.folder / "moved").mkdir()
    shutil.copy(path, rerun.folder / "moved")
    use("moved/mine.jsonl")
    assert rerun.plan(target) == TABLE["external completions touched or moved"]
    rows[0]["answer"] = "Drink no water."
    (rerun.folder / "moved" / "mine.jsonl").write_text(
        "".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8"
    )
    assert rerun.plan(target) == TABLE["external completions edited"]
    rerun.run(target)
    import polars as pl

    made = pl.read_parquet(rerun.folder / "results" / "external_completions" / "theirs" / "default" / "theirs.parquet")
    assert "Drink no water." in made["completion"].to_list()
