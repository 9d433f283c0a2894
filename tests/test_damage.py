"""Damaged, foreign and hostile files: each is named, and nothing of it is taken for a result."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest

from organisms.completions.kept import open_kept
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.job.manifest import read_manifest
from organisms.judging.tables import JUDGMENTS
from organisms.models.loading import base_folder, check_files, load_base, load_organism, load_tokenizer
from organisms.training.finetune import save_adapter


@pytest.fixture
def model(tiny_base, tmp_path) -> Path:
    return Path(shutil.copytree(tiny_base, tmp_path / "model"))


@pytest.fixture
def adapter(tiny_base, tmp_path) -> Path:
    from peft import LoraConfig, get_peft_model

    base = load_base(str(tiny_base), "cpu", "float32")
    folder = tmp_path / "adapter"
    modules = ["q_proj", "v_proj", "o_proj", "k_proj"]
    save_adapter(get_peft_model(base, LoraConfig(r=2, target_modules=modules)), folder)
    return folder


def cut(path: Path) -> None:
    """Leave the first half of a file."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_damaged_file_of_a_base_model_is_named(model, name):
    cut(model / name)
    with pytest.raises(UserError, match=f"model/{name}: damaged"):
        load_tokenizer(str(model))
    with pytest.raises(UserError, match=f"model/{name}: damaged"):
        load_base(str(model), "cpu", "float32")


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
def test_a_damaged_file_of_an_adapter_is_named(tiny_base, adapter, name):
    cut(adapter / name)
    with pytest.raises(UserError, match=f"adapter/{name}: damaged"):
        load_organism(str(tiny_base), adapter, "cpu", "float32")


def test_an_adapters_configuration_is_the_same_file_each_time(adapter):
    assert json.loads((adapter / "adapter_config.json").read_text())["target_modules"] == [
        "k_proj",
        "o_proj",
        "q_proj",
        "v_proj",
    ]


def test_a_damaged_note_of_a_fetched_model_is_named(tmp_path):
    note = tmp_path / "model.json"
    note.write_text('{"folder": "/som')
    with pytest.raises(UserError, match=r"model\.json: damaged"):
        base_folder([str(note)])


def test_a_damaged_manifest_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"rule": ')
    with pytest.raises(UserError, match=r"x\.json: damaged"):
        read_manifest(tmp_path / "x.json")


def test_a_damaged_table_says_what_to_delete(tmp_path):
    for path, delete in (
        ("results/judgments/world/base-seed0/default/a.parquet", "results/judgments/world"),
        ("results/judgments/world/usage.parquet", "results/judgments/world"),
        ("results/completions/base-seed0/default/a.parquet", "results/completions/base-seed0"),
        ("results/tables/scores.parquet", "results/tables/scores.parquet"),
    ):
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        pl.DataFrame({"x": range(1000)}).write_parquet(file)
        cut(file)
        with pytest.raises(UserError, match=f"{path}: cannot be read .* delete {tmp_path / delete} and run again"):
            tables.read(file, JUDGMENTS)


def test_a_damaged_store_of_completions_is_named(tmp_path):
    path = tmp_path / "base.sqlite"
    with open_kept(path, print):
        pass
    path.write_bytes(b"no database" * 500)
    with pytest.raises(UserError, match=r"base\.sqlite: not a file of this workflow"), open_kept(path, print):
        pass


def test_weights_in_a_format_that_can_run_code_are_not_loaded(model):
    import torch

    torch.save(load_base(str(model), "cpu", "float32").state_dict(), model / "pytorch_model.bin")
    (model / "model.safetensors").unlink()
    with pytest.raises(UserError, match="no safetensors weights; other formats can run code"):
        load_base(str(model), "cpu", "float32")


def test_code_that_comes_with_a_model_runs_only_if_the_config_says_so(model, tmp_path):
    ran = tmp_path / "ran"
    (model / "own.py").write_text(
        f"open({str(ran)!r}, 'w').close()\n"
        "from transformers import Qwen2Config, Qwen2ForCausalLM\n"
        "class OwnConfig(Qwen2Config):\n    model_type = 'own'\n"
        "class OwnModel(Qwen2ForCausalLM):\n    config_class = OwnConfig\n"
    )
    config = json.loads((model / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}}
    (model / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="comes with Python code of its own, which is not run"):
        load_base(str(model), "cpu", "float32")
    # The tokenizer is an ordinary one and needs none of it.
    load_tokenizer(str(model))
    assert not ran.exists()
    load_base(str(model), "cpu", "float32", trust_remote_code=True)
    assert ran.exists()


def test_whole_models_pass_the_check(model, adapter):
    check_files(model)
    check_files(adapter)
