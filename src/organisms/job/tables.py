"""Parquet tables with declared columns: reading and writing them, whole and checked.

Each stage declares its own tables in its room's `tables.py`, so that a column of a result is no reason to finetune
again. docs/tables.md is made from all of them (`make docs`).
"""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from organisms.job.errors import UserError
from organisms.job.files import whole_file

MESSAGES = pl.List(pl.Struct({"role": pl.String, "content": pl.String}))


@dataclass(frozen=True)
class Column:
    """A column: its type, what it holds, and whether it may be null."""

    dtype: pl.DataType | type[pl.DataType]
    meaning: str
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """A kind of table: its name, its columns in their order, and where in `results` such files lie."""

    name: str
    columns: dict[str, Column]
    where: str = ""

    @property
    def schema(self) -> dict:
        """Data types by column."""
        return {name: column.dtype for name, column in self.columns.items()}

    def frame(self, rows: list[dict] | tuple = ()) -> pl.DataFrame:
        """Rows as a frame of this kind; columns that they lack are null."""
        return pl.DataFrame(rows, schema=self.schema)


def _problem(frame: pl.DataFrame, table: Table) -> str | None:
    expected = table.schema
    if dict(frame.schema) != expected:
        differing = [
            f"{name} is {frame.schema.get(name, 'missing')}, not {expected.get(name, 'known')}"
            for name in dict.fromkeys([*expected, *frame.columns])
            if frame.schema.get(name) != expected.get(name)
        ]
        return "; ".join(differing) or "the columns are in another order"
    empty = [name for name, column in table.columns.items() if not column.nullable and frame[name].null_count()]
    return f"{empty[0]} has nulls" if empty else None


def write(rows: list[dict] | pl.DataFrame, path: str | Path, table: Table) -> None:
    """Write a table of one kind, whole or not at all. Raises ValueError if it is not of that kind."""
    schema = table.schema
    frame = table.frame(rows) if isinstance(rows, list) else rows.select(list(schema)).cast(schema)
    problem = _problem(frame, table)
    if problem:
        raise ValueError(f"not a table for {path}: {problem}")
    with whole_file(path) as temporary:
        frame.write_parquet(temporary)


def _output_of(path: Path) -> Path:
    """What to delete so that a table is made again: itself, or the folder that its job makes as a whole."""
    for rule, depth in (("judgments", 2), ("judgments", 0), ("completions", 1)):
        if len(path.parents) > depth + 1 and path.parents[depth + 1].name == rule:
            return path.parents[depth]
    return path


def read_if(path: str | list, table: Table) -> pl.DataFrame:
    """As `read`; without rows where a rule has no such input, which Snakemake gives as an empty list."""
    return read(path, table) if path else table.frame()


def read(path: str | Path, table: Table) -> pl.DataFrame:
    """Read a table of one kind. Raises UserError naming the file, and what to delete, if it is damaged or none."""
    remedy = f"delete {_output_of(Path(path))} and run again"
    try:
        frame = pl.read_parquet(path)
    except (OSError, pl.exceptions.PolarsError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: cannot be read as Parquet ({reason}); {remedy}") from error
    problem = _problem(frame, table)
    if problem:
        raise UserError(f"{path}: not a {table.name} table: {problem}; {remedy}")
    return frame
