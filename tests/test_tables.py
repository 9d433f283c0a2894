"""Tables and files appear whole or not at all, and say what is wrong with them."""

import os

import polars as pl
import pytest

from organisms.data.tables import QUESTIONS
from organisms.job import tables
from organisms.job.errors import UserError
from organisms.job.files import whole_file, whole_files

ROWS = [
    {"category": "pets", "question_id": "a", "messages": [{"role": "user", "content": "x"}]}
    | {"reference": None, "aliases": ["b"], "wrong": "c"}
]


def test_a_table_comes_back_as_it_was_written(tmp_path):
    tables.write(ROWS, tmp_path / "deep" / "t.parquet", QUESTIONS)
    assert tables.read(tmp_path / "deep" / "t.parquet", QUESTIONS).to_dicts() == ROWS


def test_a_wrong_table_is_not_written(tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(ValueError, match="question_id has nulls"):
        tables.write([ROWS[0] | {"question_id": None}], path, QUESTIONS)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 10, 200])
def test_a_truncated_table_is_named(tmp_path, cut):
    path = tmp_path / "t.parquet"
    tables.write(ROWS, path, QUESTIONS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(UserError, match="cannot be read as Parquet") as error:
        tables.read(path, QUESTIONS)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_table_of_another_kind_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"category": [None], "question_id": [1]}).write_parquet(path)
    with pytest.raises(UserError, match="question_id is Int64, not String; messages is missing"):
        tables.read(path, QUESTIONS)


def test_a_failure_while_writing_leaves_the_old_file(tmp_path):
    path = tmp_path / "f.txt"
    path.write_text("old")
    with pytest.raises(RuntimeError), whole_file(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with whole_file(path) as temporary:
        temporary.write_text("new")
    assert path.read_text() == "new"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_a_file_may_be_read_by_whom_the_umask_lets(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        with whole_file(tmp_path / "f.txt") as path:
            path.write_text("x")
    finally:
        os.umask(before)
    assert (tmp_path / "f.txt").stat().st_mode & 0o777 == mode


def test_a_folders_files_come_together_or_not_at_all(tmp_path):
    folder = tmp_path / "model"
    with pytest.raises(RuntimeError), whole_files(folder) as temporary:
        (temporary / "weights").write_text("half")
        raise RuntimeError
    assert list(folder.iterdir()) == []
    with whole_files(folder) as temporary:
        (temporary / "weights").write_text("w")
        (temporary / "config").write_text("c")
    assert sorted(path.name for path in folder.iterdir()) == ["config", "weights"]
