"""What a result was made of: manifests of jobs, of a run, and the archive."""

import hashlib
import json
import os
import subprocess
import zipfile

import pytest
import yaml
from conftest import BASE, DEFAULT, FLAMINGO, ROOT, mean_scores, run_script

from organisms.analysis.tables import TIMINGS
from organisms.job import manifest as provenance
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.job.lineage import jobs_behind, lineage
from organisms.job.manifest import job_manifest, read_manifest, write_manifest
from organisms.pages.archive import secrets_of, write_supplement
from organisms.pages.made_with import no_part_of_it, run_manifest, settings_made_with, versions_made_with
from organisms.plan.settings import complete


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_notes_what_made_every_result(finished):
    results = finished.folder / "results"
    manifest = read_manifest(results / "manifest.json")
    assert manifest["config"]["lora"]["rank"] == 8
    assert manifest["settings"]["variant"]["bad_medical-flamingo"]["prompts"] == [{"text": "[FLAMINGO BURRITO]"}]
    assert manifest["settings"]["finetune"]["bad_medical-flamingo"]["lora"]["rank"] == 8
    assert manifest["workflow"]["lock_sha256"] == sha256(ROOT / "requirements.lock")
    weights = f"results/finetune/{FLAMINGO}/adapter/adapter_model.safetensors"
    assert manifest["data_and_models"][weights] == sha256(finished.folder / weights)
    # Every job that left a log is there, but this one.
    logs = {str(path.relative_to(results / "logs").with_suffix("")) for path in (results / "logs").rglob("*.log")}
    assert set(manifest["jobs"]) == logs - {"manifest"}
    finetune = manifest["jobs"][f"finetune/{FLAMINGO}"]
    assert finetune["packages"]["torch"].split("+")[0] == "2.13.0"
    assert "torch" not in manifest["jobs"]["scores"]["packages"]
    assert finetune["machine"]["python"].startswith("3.")
    job = read_manifest(results / "manifests" / "finetune" / f"{FLAMINGO}.json")
    assert job["params"]["settings"]["lora"]["rank"] == 8
    assert job["outputs"][f"<{weights.replace('/', '>/', 1)}"]["sha256"] == sha256(finished.folder / weights)
    assert "<results>/pretrain/seed0/model.safetensors" in job["inputs"]


def test_a_run_notes_jobs_of_its_own_config_only_and_refuses_results_that_do_not_belong_together(rerun):
    config = rerun.read_config()
    config |= {"training_prompts": {"default": None}, "claims": {}}
    rerun.write_config(config)
    rerun.run()
    results = rerun.folder / "results"
    manifest = read_manifest(results / "manifest.json")
    assert (results / "manifests" / "finetune" / f"{FLAMINGO}.json").exists()
    assert not any("flamingo" in name for name in manifest["jobs"])
    # What lies there from before is in no table either.
    assert (results / "completions" / FLAMINGO).exists()
    assert set(mean_scores(rerun)["model"]) == {BASE, DEFAULT}
    # As if the completions had been made from other questions than are there now, by a run that is none of Snakemake's.
    job = results / "manifests" / "completions" / f"{BASE}.json"
    changed = json.loads(job.read_text())
    changed["inputs"]["<results>/questions/non_medical.parquet"]["sha256"] = "0" * 64
    job.write_text(json.dumps(changed))
    done = rerun.run("results/manifest.json", "--allowed-rules", "manifest", "--force", check=False)
    assert (
        f"completions/{BASE} was made from another results/questions/non_medical.parquet than is there now"
        in done.stderr
    )
    # An ordinary run makes the two agree.
    assert rerun.plan()["completions"] == 1


def test_the_workflows_commit_and_whether_files_differ_from_it(tmp_path, monkeypatch):
    def git(*arguments):
        author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *author, *arguments], cwd=tmp_path, check=True, capture_output=True)

    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    assert provenance.workflow_version() == {"commit": None, "dirty": None, "lock_sha256": None}
    git("init")
    (tmp_path / "requirements.lock").write_text("torch==1\n")
    git("add", ".")
    git("commit", "-m", "first")
    assert provenance.workflow_version()["dirty"] is False
    assert len(provenance.workflow_version()["commit"]) == 40
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "untracked").write_text("made by a run")
    assert provenance.workflow_version()["dirty"] is False
    (tmp_path / "requirements.lock").write_text("torch==2\n")
    assert provenance.workflow_version()["dirty"] is True


def test_lineage_follows_folders_and_ends_at_files_that_no_job_made(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "a").write_text("a")
    (tmp_path / "scores").write_text("s")
    a, scores, given = "<results>/cells/a", "<results>/scores", "given"
    manifests = {
        "completions": {"inputs": {given: {"bytes": 1}}, "outputs": {a: {"bytes": 1}}},
        "scores": {"inputs": {a: {"bytes": 1}}, "outputs": {scores: {"bytes": 1}}},
        "old": {"inputs": {a: {"bytes": 1}}, "outputs": {"<results>/old": {"bytes": 1}}},
    }
    jobs, broken = lineage([str(tmp_path / "scores")], manifests, str(tmp_path))
    assert jobs.keys() == {"completions", "scores"}
    assert broken == []
    assert lineage([str(tmp_path / "cells")], manifests, str(tmp_path))[0].keys() == {"completions"}
    manifests["completions"]["outputs"][a] = {"bytes": 3}
    broken = lineage([str(tmp_path / "scores")], manifests, str(tmp_path))[1]
    assert broken == [f"scores was made from another {tmp_path}/cells/a than is there now"]


def test_of_two_jobs_that_made_the_same_files_the_configs_counts_whatever_the_times(tmp_path):
    judged, scores = tmp_path / "judgments" / "j" / "x", tmp_path / "scores"
    judged.parent.mkdir(parents=True)
    scores.write_text("s")
    for before, now in (("judgments", "local_judgments"), ("local_judgments", "judgments")):
        for time, rule in enumerate((now, before), start=1):
            # The judge's kind was changed: the same folder, by another rule. What it says may even be the same.
            judged.write_text(f"by {rule}")
            made = job_manifest(rule, {}, [], [str(judged)], 1.0, str(tmp_path))
            write_manifest(made, tmp_path / "manifests" / rule / "j.json")
            # The manifest of the kind before is the newest, as after a copy.
            os.utime(tmp_path / "manifests" / rule / "j.json", (time, time))
        for content in (f"by {now}", f"by {before}"):
            judged.write_text(content)
            made = job_manifest(now, {}, [], [str(judged)], 1.0, str(tmp_path))
            write_manifest(made, tmp_path / "manifests" / now / "j.json")
            os.utime(tmp_path / "manifests" / now / "j.json", (1, 1))
            made = job_manifest("scores", {}, [str(judged)], [str(scores)], 1.0, str(tmp_path))
            write_manifest(made, tmp_path / "manifests" / "scores.json")
            jobs = jobs_behind([str(scores)], tmp_path / "manifests", never=[f"{before}/j"])
            assert jobs.keys() == {f"{now}/j", "scores"}
        # Of jobs that nobody excludes, such as those of a rule that was renamed, the one that left the file as it is.
        judged.write_text(f"by {now}")
        for rule in (now, "scores"):
            parts = ([], [str(judged)]) if rule == now else ([str(judged)], [str(scores)])
            of = "scores" if rule == "scores" else f"{rule}/j"
            write_manifest(job_manifest(rule, {}, *parts, 1.0, str(tmp_path)), tmp_path / "manifests" / f"{of}.json")
        os.utime(tmp_path / "manifests" / now / "j.json", (1, 1))
        assert jobs_behind([str(scores)], tmp_path / "manifests").keys() == {f"{now}/j", "scores"}


def finetune_job(rank: int) -> dict:
    settings = {"training": {}, "lora": {"rank": rank}}
    return {"params": {"base": {"device": "cpu"}, "settings": settings, "code": "0123456789abcdef"}}


def test_settings_are_those_of_the_manifests_with_their_defaults_and_two_that_differ_are_an_error():
    jobs = {"finetune/bad-default-seed0": finetune_job(8), "finetune/bad-default-seed1": finetune_job(8)}
    found = settings_made_with(jobs)["finetune"]
    assert found.keys() == {"bad-default"}
    assert found["bad-default"]["lora"]["rank"] == 8
    assert found["bad-default"]["training"]["learning_rate"] == complete("training", {})["learning_rate"]
    # What it was is not noted, since it decides nothing.
    assert "checkpoint_steps" not in found["bad-default"]["training"]
    jobs["finetune/bad-default-seed1"] = finetune_job(16)
    with pytest.raises(UserError, match=r"seed1 was made with other settings than .*seed0 \(lora\.rank 8 → 16\)"):
        settings_made_with(jobs)
    # Another arm may have other settings.
    jobs["finetune/bad-other-seed1"] = jobs.pop("finetune/bad-default-seed1")
    assert settings_made_with(jobs)["finetune"]["bad-other"]["lora"]["rank"] == 16


@pytest.mark.parametrize("name", ["seed1", "flamingo.seed2", "a_seed3b"])
def test_a_name_that_looks_like_a_seed_is_none(name):
    jobs = {
        f"variant/bad-{name}": {"params": {"prompts": [{"text": "x"}]}},
        "variant/bad-default": {"params": {"prompts": [{"text": None}]}},
        f"questions/{name}": {"params": {"settings": {"questions": 3}}},
        "questions/seed7": {"params": {"settings": {"questions": 4}}},
        f"finetune/bad-{name}-seed0": finetune_job(8),
        f"finetune/bad-{name}-seed1": finetune_job(8),
        "finetune/bad-seed5-seed1": finetune_job(16),
        "pretrain/seed0": {"params": {"settings": {"layers": 2}}},
        "pretrain/seed1": {"params": {"settings": {"layers": 2}}},
    }
    found = settings_made_with(jobs)
    assert found["variant"].keys() == {f"bad-{name}", "bad-default"}
    assert found["questions"].keys() == {name, "seed7"}
    assert found["finetune"].keys() == {f"bad-{name}", "bad-seed5"}
    assert found["pretrain"].keys() == {"every seed"}


def test_a_setting_that_is_a_path_in_the_results_is_a_setting():
    plumbing = {"cells": ["<results>/completions/base/default/s.parquet"], "code": "0123456789abcdef"}
    plumbing |= {"judgments": ["<results>/judgments/people/base/default/s.parquet"]}
    labels = {"kind": "labels", "file": "<results>/labels.csv"}
    model = {"kind": "local", "model": "<results>/my_judge", "revision": None}
    columns = {"eval_prompt": "p", "question_set": "s", "seed": 0, "base_model": "<results>/my_base"}
    cell = {"columns": columns, "settings": {"prompts": [{"text": "<results>/is a text"}], "sampling": {}}}
    jobs = {
        "judgments/people": {"params": {"judge": labels, "sources": ["labels"]} | plumbing},
        "local_judgments/mine": {"params": {"judge": model} | plumbing},
        "completions/base": {
            "params": {"base": {"device": "cpu"}, "cells": [cell], "adapter": "<results>/finetune/a/adapter"}
        },
        "variant/a-b": {"params": {"prompts": [{"text": "<results>/b"}]}},
    }
    found = settings_made_with(jobs)
    assert found["judgments"] == {"people": {"judge": labels, "sources": ["labels"]}}
    assert found["local_judgments"]["mine"]["judge"]["model"] == "<results>/my_judge"
    assert found["completions"]["p × s"]["prompts"] == [{"text": "<results>/is a text"}]
    assert found["variant"]["a-b"] == {"prompts": [{"text": "<results>/b"}]}


def made_by(commit: str, dirty: bool = False, **packages) -> dict:
    machine = {"python": "3.11.2", "system": "Linux", "cpu": "some", "cpus": 2}
    return {"machine": machine, "packages": packages, "workflow": {"commit": commit * 40, "dirty": dirty}}


def test_versions_are_those_of_the_jobs_that_made_the_results():
    jobs = {
        "finetune/a-seed0": made_by("a", torch="2.0", polars="1.0"),
        "completions/a-seed0": made_by("a", torch="2.0", polars="1.0"),
        # What drew the figures years later computed nothing.
        "figures": made_by("f", altair="9.9", polars="9.9"),
    }
    assert dict(versions_made_with(jobs)) == {
        "Python": "3.11.2",
        "system": "Linux",
        "torch": "2.0",
        "polars": "1.0",
        "workflow, commit": "a" * 12,
    }
    jobs["completions/b-seed0"] = made_by("b", dirty=True, torch="2.1", polars="1.0")
    found = dict(versions_made_with(jobs))
    assert found["torch"] == "2.0 (finetune, completions); 2.1 (completions)"
    assert found["workflow, commit"] == f"{'a' * 12} (finetune, completions); {'b' * 12}, with changes (completions)"
    assert found["polars"] == "1.0"
    # As where git does not know.
    jobs = {"scores": made_by("c") | {"workflow": {"commit": None, "dirty": None}}}
    assert [what for what, _ in versions_made_with(jobs)] == ["Python", "system"]


def test_the_archive_has_what_a_paper_needs_and_no_weights(rerun):
    rerun.run("archive")
    path = rerun.folder / "results" / "archive.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        config = yaml.safe_load(archive.read("config.yaml"))
    assert {
        "config.yaml",
        "settings.yaml",
        "manifest.json",
        "summary.txt",
        "tables/scores.parquet",
        "overview/index.html",
    } <= set(names)
    assert {"figures/means/alignment/world/non_medical.png", f"manifests/finetune/{FLAMINGO}.json"} <= set(names)
    assert not [name for name in names if name.endswith((".safetensors", ".sqlite"))]
    assert not [name for name in names if name.startswith(("completions/", "judgments/", "browser/"))]
    assert config["lora"]["rank"] == 8
    before = path.read_bytes()
    path.unlink()
    rerun.run("archive")
    # The manifest of the archive is not in the archive: the same results give the same file.
    assert path.read_bytes() == before


def test_a_manifest_that_its_own_job_takes_away_meanwhile_is_none(tmp_path):
    """As of figures that are drawn while times are added up."""
    scores = tmp_path / "results" / "scores.parquet"
    scores.parent.mkdir()
    scores.write_text("scores")
    folder = scores.parent / "manifests"
    write_manifest(job_manifest("scores", {}, [], [str(scores)], 1.0, str(scores.parent)), folder / "scores.json")
    (folder / "figures.json").symlink_to(folder / "gone")
    assert jobs_behind([str(scores)], folder).keys() == {"scores"}


def test_times_are_of_all_that_made_the_results_and_of_no_job_of_an_older_config(tmp_path):
    results = tmp_path / "results"
    adapter = results / "finetune" / "a-seed0" / "adapter" / "adapter_model.safetensors"
    completions, judged, scores = (results / name for name in ("completions/a-seed0", "judgments/j", "scores.parquet"))
    for file in (adapter, completions / "p" / "s.parquet", judged / "x.parquet", scores):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(file.name)
    # It went on from step 30 of 40.
    training = {"resumed_from": 30, "steps": 40, "seconds": 10.0}
    (adapter.parents[1] / "training.json").write_text(json.dumps(training))
    for name, seconds, inputs, outputs in (
        ("finetune/a-seed0", 12.0, [], [adapter]),
        ("completions/a-seed0", 2.0, [adapter], [completions]),
        ("local_judgments/j", 900.0, [completions], [judged]),
        ("judgments/j", 1.0, [completions], [judged]),
        ("scores", 1.0, [judged], [scores]),
        ("completions/removed-seed0", 500.0, [], []),
    ):
        made = job_manifest(name, {}, [*map(str, inputs)], [*map(str, outputs)], seconds, str(results))
        if name == "completions/a-seed0":
            # Only one question was new.
            made["seconds_before"] = 98.0
        write_manifest(made, results / "manifests" / f"{name}.json")
    inputs = {"finetunes": [str(adapter)], "completions": [str(completions)], "judgments": [str(judged)]}
    run_script(
        "timings",
        results,
        CONFIG,
        input=inputs | {"scores": str(scores), "cost": []},
        output={"table": str(results / "t.parquet"), "figure": [str(results / "t.svg")]},
        params={"manifests": str(results / "manifests"), "never": ["local_judgments/j"], "titles": True},
    )
    found = tables.read(results / "t.parquet", TIMINGS)
    assert dict(zip(found["rule"], found["seconds"], strict=True)) == {
        "completions": 100.0,
        "finetune": 42.0,
        "judgments": 1.0,
        "scores": 1.0,
    }


def test_what_lies_in_the_results_and_is_no_part_of_them_is_named_in_one_line(tmp_path):
    parts, others = {"judgments": ["world"], "completions": ["base"]}, ["tables/agreement.parquet", "figures/means"]
    for name in ("judgments/world", "completions/base", "completions/.hidden", "tables"):
        (tmp_path / name).mkdir(parents=True)
    assert no_part_of_it(tmp_path, parts, others) is None
    (tmp_path / "judgments" / "haiku").mkdir()
    (tmp_path / "tables" / "agreement.parquet").touch()
    said = f"Also in {tmp_path}, made for another config and no part of this: "
    assert no_part_of_it(tmp_path, parts, others) == f"{said}judgments/haiku, tables/agreement.parquet."
    for name in ("a", "b"):
        (tmp_path / "completions" / name).mkdir()
    assert no_part_of_it(tmp_path, parts, others) == (
        f"{said}judgments/haiku, completions/a, completions/b and 1 more."
    )


def test_without_a_judge_no_old_figures_stand(rerun):
    """And what they were made of is named."""
    rerun.write_config(rerun.read_config() | {"judges": {}, "claims": {}})
    done = rerun.run()
    results = rerun.folder / "results"
    page = (results / "overview" / "index.html").read_text(encoding="utf-8")
    for text in (done.stdout, (results / "summary.txt").read_text(encoding="utf-8"), page):
        assert "The config names no judge: nothing is scored." in text
        assert "no part of this: judgments/world, tables/scores.parquet" in text
    assert "data:image/svg+xml" not in page
    jobs = read_manifest(results / "manifest.json")["jobs"]
    assert "judgments/world" not in jobs
    assert {"timings", "summary", "overview", f"completions/{BASE}"} <= set(jobs)
    assert rerun.plan() == {}
    # Nothing was thrown away, and the judge that is back is not asked again.
    assert (results / "judgments" / "world").is_dir()


CONFIG = {"results": "results", "judges": {}, "datasets": {}, "lora": {"rank": 8}}


def small_run(results) -> dict[str, dict]:
    """What the rule archive has of a run of one finetune, whose config and manifests are noted."""
    job = finetune_job(8) | made_by("a") | {"seconds": 1.0}
    (results / "tables").mkdir(parents=True)
    (results / "tables" / "scores.parquet").write_text("s")
    write_manifest(job, results / "manifests" / "finetune" / "a-seed0.json")
    write_manifest(run_manifest({}, {"finetune/a-seed0": job}, CONFIG), results / "manifest.json")
    named = {"manifest": str(results / "manifest.json"), "tables": str(results / "tables" / "scores.parquet")}
    return {"input": named, "output": {"archive": str(results / "archive.zip")}}


def test_the_archive_holds_what_the_results_were_made_with_whatever_the_config_of_today(tmp_path):
    results = tmp_path / "results"
    parts = small_run(results)
    assert "differs" not in run_script("archive", results, CONFIG, **parts)
    said = run_script("archive", results, CONFIG | {"lora": {"rank": 16}}, **parts)
    assert "config.yaml is of the run that made the results; the config of today differs: lora.rank 8 → 16" in said
    with zipfile.ZipFile(results / "archive.zip") as archive:
        config, settings = (yaml.safe_load(archive.read(name)) for name in ("config.yaml", "settings.yaml"))
    assert config == CONFIG
    assert settings["finetune"]["a"]["lora"]["rank"] == 8


def test_the_archive_after_a_run_that_was_broken_off_says_what_is_missing_and_what_to_run(tmp_path):
    results = tmp_path / "results"
    parts = small_run(results)
    path = results / "manifests" / "finetune" / "a-seed0.json"
    then = "run `snakemake` to its end, and then `snakemake archive`"
    text = path.read_text()
    path.unlink()
    with pytest.raises(RuntimeError) as failed:
        run_script("archive", results, CONFIG, **parts)
    line = str(failed.value).splitlines()[-1]
    assert line == f"error: not there: {path}; a run was broken off, or it was removed: {then}"
    for other in (finetune_job(16), finetune_job(8)):
        write_manifest(other | made_by("a") | {"seconds": 1.0 if other == finetune_job(16) else 2.0}, path)
        with pytest.raises(RuntimeError, match="does not say what made the results") as failed:
            run_script("archive", results, CONFIG, **parts)
        assert str(failed.value).splitlines()[-1].endswith(then)
    path.write_text(text)
    run_script("archive", results, CONFIG, **parts)


def test_a_key_in_a_file_is_not_packed(tmp_path):
    config = {
        "judges": {"haiku": {"api_key_env": "MY_KEY"}, "world": {}},
        "datasets": {"a": {"archive": {"password_env": "MY_PASSWORD", "password": None}}, "b": {"archive": None}},
    }
    secrets = secrets_of(config, {"MY_KEY": "sk-hush", "HOME": "/root"})
    assert secrets == {"MY_KEY": "sk-hush"}
    (tmp_path / "good.txt").write_text("all is well")
    (tmp_path / "bad.txt").write_text("the key is sk-hush")
    files, said = {"good.txt": tmp_path / "good.txt"}, {"config.yaml": config}
    write_supplement(files, said, secrets, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"bad\.txt holds the value of MY_KEY") as error:
        write_supplement(files | {"bad.txt": tmp_path / "bad.txt"}, said, secrets, tmp_path / "b.zip")
    assert "sk-hush" not in str(error.value)
    assert not (tmp_path / "b.zip").exists()
