"""Each kind of output on a disk that is too small for it: an error that is known as such, and no file."""

import os
from pathlib import Path

import altair as alt
import polars as pl
import pytest

from organisms.completions.kept import open_kept
from organisms.data.dataset import write_rows
from organisms.data.tables import DATASET
from organisms.figures.charts import save
from organisms.job import tables
from organisms.job.files import whole_file, whole_files
from organisms.job.log import disk_is_full
from organisms.job.manifest import write_manifest
from organisms.models.loading import load_base, load_tokenizer
from organisms.pages.archive import write_supplement
from organisms.training.finetune import save_adapter

# A file system of so many KiB; every output here is larger.
SMALL = 16
LONG = os.urandom(60_000).hex()


def table(folder: Path, base: Path) -> None:
    rows = [{"row": n, "prompt": [{"role": "user", "content": LONG[n : n + 50]}], "answer": "a"} for n in range(20_000)]
    tables.write(pl.DataFrame(rows, schema=DATASET.schema), folder / "rows.parquet", DATASET)


def json_lines(folder: Path, base: Path) -> None:
    with whole_file(folder / "corpus.jsonl.gz") as path:
        write_rows([{"messages": LONG}], path)


def page(folder: Path, base: Path) -> None:
    with whole_file(folder / "index.html") as path:
        path.write_text(LONG, encoding="utf-8")


def chart(ending: str):
    def draw(folder: Path, base: Path) -> None:
        points = pl.DataFrame({"x": range(4000), "y": [int(LONG[n : n + 4], 16) for n in range(4000)]})
        save(alt.Chart(points).mark_point().encode(x="x:Q", y="y:Q").properties(width=600), folder / f"chart.{ending}")

    return draw


def base_model(folder: Path, base: Path) -> None:
    model, tokenizer = load_base(str(base), "cpu", "float32"), load_tokenizer(str(base))
    with whole_files(folder / "base") as files:
        model.save_pretrained(files)
        tokenizer.save_pretrained(files)


def adapter(folder: Path, base: Path) -> None:
    from peft import LoraConfig, get_peft_model

    model = get_peft_model(load_base(str(base), "cpu", "float32"), LoraConfig(r=16, target_modules="all-linear"))
    with whole_files(folder / "adapter") as files:
        save_adapter(model, files)


def manifest(folder: Path, base: Path) -> None:
    write_manifest({"params": LONG}, folder / "manifest.json")


def supplement(folder: Path, base: Path) -> None:
    write_supplement({"model": base / "model.safetensors"}, {}, {}, folder / "archive.zip")


KINDS = {
    "table": table,
    "JSON Lines": json_lines,
    "page": page,
    **{ending.upper(): chart(ending) for ending in ("png", "svg", "pdf", "html")},
    "base model": base_model,
    "adapter": adapter,
    "manifest": manifest,
    "archive": supplement,
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_does_not_fit_leaves_no_file_and_fits_later(kind, small_disk, tiny_base, tmp_path):
    disk = tmp_path / "disk"
    small_disk(disk, SMALL)
    with pytest.raises(Exception) as failed:
        KINDS[kind](disk, tiny_base)
    assert disk_is_full(failed.value, disk)
    assert [path for path in disk.rglob("*") if path.is_file() or path.name.startswith(".")] == []
    small_disk(disk, 8192)
    KINDS[kind](disk, tiny_base)
    assert [path for path in disk.rglob("*") if path.is_file()]


def test_a_store_that_is_full_keeps_what_was_committed(small_disk, tmp_path):
    disk = tmp_path / "disk"
    small_disk(disk, 128)
    path = disk / "base.sqlite"
    entry = {"completion": LONG[:4000], "finish_reason": "stop", "n_tokens": 3}
    kept = 0
    with pytest.raises(Exception) as failed, open_kept(path, print) as store:
        for n in range(200):
            store.add([(f"key{n}", entry)])
            kept = n
    assert disk_is_full(failed.value, disk)
    assert kept > 3
    small_disk(disk, 8192)
    with open_kept(path, print) as store:
        assert all(store.get(f"key{n}") == entry for n in range(kept + 1))
        store.add([("one more", entry)])
        assert store.get("one more") == entry
