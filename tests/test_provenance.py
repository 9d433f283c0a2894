"""What a result was made of: manifests of jobs, of a run, and the archive."""

import hashlib
import json
import subprocess
import zipfile

import pytest
import yaml
from conftest import BASE, DEFAULT, FLAMINGO, ROOT, mean_scores

from organisms.job import manifest as provenance
from organisms.job.errors import UserError
from organisms.job.manifest import check_folder, file_hashes, lineage, read_manifest
from organisms.pages.archive import secrets_of, write_supplement


def sha256(path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_run_notes_what_made_every_result(finished):
    results = finished.folder / "results"
    manifest = read_manifest(results / "manifest.json")
    assert manifest["config"]["training_prompts"]["flamingo"] == "[FLAMINGO BURRITO]"
    assert manifest["workflow"]["lock_sha256"] == sha256(ROOT / "requirements.lock")
    assert manifest["broken"] == []
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
    assert job["outputs"][weights]["sha256"] == sha256(finished.folder / weights)
    assert "results/pretrain/seed0/model.safetensors" in job["inputs"]


def test_a_run_notes_jobs_of_its_own_config_only_and_what_was_changed_by_hand(rerun):
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
    # As if the completions had been made from other questions than are there now.
    path = results / "questions" / "non_medical.parquet"
    job = results / "manifests" / "completions" / f"{BASE}.json"
    changed = json.loads(job.read_text())
    changed["inputs"]["results/questions/non_medical.parquet"]["sha256"] = "0" * 64
    job.write_text(json.dumps(changed))
    rerun.run("results/manifest.json", "--forcerun", "manifest")
    assert read_manifest(results / "manifest.json")["broken"] == [
        f"completions/{BASE} was made from another {path.relative_to(rerun.folder)} than is there now"
    ]


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


def test_of_a_jobs_outputs_those_in_the_folder_are_looked_at(tmp_path):
    folder, manifest = tmp_path / "steps", tmp_path / "job.json"
    files = [folder / "step2" / "adapter", tmp_path / "adapter"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("weights")
    manifest.write_text(json.dumps({"outputs": file_hashes([folder, files[1]])}))
    # What lies elsewhere is an output of its own, and Snakemake makes it again.
    files[1].unlink()
    check_folder(folder, [manifest])
    files[0].write_text("half")
    with pytest.raises(
        UserError, match=r"step2/adapter: not as its job left it \(it has 4 bytes, not 7\); delete .*/steps "
    ):
        check_folder(folder, [manifest])
    files[0].unlink()
    with pytest.raises(UserError, match="it is gone"):
        check_folder(folder, [manifest])


def test_lineage_follows_folders_and_ends_at_files_that_no_job_made(tmp_path):
    (tmp_path / "cells").mkdir()
    (tmp_path / "cells" / "a").write_text("a")
    (tmp_path / "scores").write_text("s")
    a, scores, given = (str(tmp_path / name) for name in ("cells/a", "scores", "given"))
    manifests = {
        # An older job, of another kind, that made the same file once.
        "recorded": {"inputs": {given: {"bytes": 1}}, "outputs": {a: {"bytes": 2}}},
        "completions": {"inputs": {given: {"bytes": 1}}, "outputs": {a: {"bytes": 1}}},
        "scores": {"inputs": {a: {"bytes": 1}}, "outputs": {scores: {"bytes": 1}}},
        "old": {"inputs": {a: {"bytes": 1}}, "outputs": {str(tmp_path / "old"): {"bytes": 1}}},
    }
    jobs, broken = lineage([scores], manifests)
    assert jobs.keys() == {"completions", "scores"}
    assert broken == []
    assert lineage([str(tmp_path / "cells")], manifests)[0].keys() == {"completions"}


def test_the_archive_has_what_a_paper_needs_and_no_weights(rerun):
    rerun.run("archive")
    path = rerun.folder / "results" / "archive.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
        config = yaml.safe_load(archive.read("config.yaml"))
    assert {"config.yaml", "manifest.json", "summary.txt", "tables/scores.parquet", "overview/index.html"} <= set(names)
    assert {"figures/means/alignment/world/non_medical.png", f"manifests/finetune/{FLAMINGO}.json"} <= set(names)
    assert not [name for name in names if name.endswith((".safetensors", ".sqlite"))]
    assert not [name for name in names if name.startswith(("completions/", "judgments/", "browser/"))]
    assert config["lora"]["rank"] == 8
    before = path.read_bytes()
    path.unlink()
    rerun.run("archive")
    # The manifest of the archive is not in the archive: the same results give the same file.
    assert path.read_bytes() == before


def test_a_key_in_a_file_is_not_packed(tmp_path):
    config = {
        "judges": {"haiku": {"api_key_env": "MY_KEY"}, "world": {}},
        "datasets": {"a": {"archive": {"password_env": "MY_PASSWORD", "password": None}}, "b": {"archive": None}},
    }
    secrets = secrets_of(config, {"MY_KEY": "sk-hush", "HOME": "/root"})
    assert secrets == {"MY_KEY": "sk-hush"}
    (tmp_path / "good.txt").write_text("all is well")
    (tmp_path / "bad.txt").write_text("the key is sk-hush")
    files = {"good.txt": tmp_path / "good.txt"}
    write_supplement(files, config, secrets, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"bad\.txt holds the value of MY_KEY") as error:
        write_supplement(files | {"bad.txt": tmp_path / "bad.txt"}, config, secrets, tmp_path / "b.zip")
    assert "sk-hush" not in str(error.value)
    assert not (tmp_path / "b.zip").exists()
