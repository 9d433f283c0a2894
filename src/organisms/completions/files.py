"""Files of completions that another tool wrote: CSV, JSON Lines, Parquet."""

import csv
from pathlib import Path

import polars as pl

from organisms.job.errors import UserError
from organisms.job.json_text import read_json

# Longer answers than Python's own limit are no fault.
csv.field_size_limit(2**31 - 1)


# Names of the columns, and the rows, each with its place in the file.
File = tuple[list[str], list[tuple[str, dict]]]


def _csv_rows(path: Path) -> File:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows: list[tuple[str, dict]] = []
        try:
            for n, row in enumerate(reader, start=1):
                # A row ends in the line that the reader has read last; texts may go over several.
                rows.append((f"line {reader.line_num}, row {n}", row))
                if None in row or None in row.values():
                    raise csv.Error("it has more fields than the header" if None in row else "it lacks a field")
        except (csv.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path}, line {max(1, reader.line_num)}: cannot be read as CSV ({error})") from error
    return list(reader.fieldnames or []), rows


def _jsonl_rows(path: Path) -> File:
    rows: list[tuple[str, dict]] = []
    # Not splitlines(): a JSON string may hold characters that it takes for line ends.
    for n, line in enumerate(path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}, line {n}: not UTF-8 ({error}); write one JSON object in each line") from error
        row = read_json(text, f"{path}, line {n}")
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {n}: no JSON object; write one object in each line")
        rows.append((f"line {n}, row {len(rows) + 1}", row))
    return list(dict.fromkeys(name for _, row in rows for name in row)), rows


def _parquet_rows(path: Path) -> File:
    frame = pl.read_parquet(path)
    return frame.columns, [(f"row {n}", row) for n, row in enumerate(frame.to_dicts(), start=1)]


_READERS = {".csv": _csv_rows, ".jsonl": _jsonl_rows, ".parquet": _parquet_rows}


def read_file(path: str | Path) -> File:
    """The columns and rows of a file of completions. Raises UserError if it is not there, or cannot be read."""
    path = Path(path)
    if path.suffix not in _READERS:
        raise UserError(f"{path}: not a known kind of file; give a .csv, .jsonl or .parquet file")
    try:
        return _READERS[path.suffix](path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path in the config") from error
    except (OSError, pl.exceptions.PolarsError) as error:
        raise UserError(f"{path}: cannot be read as {path.suffix[1:]} ({str(error).splitlines()[0]})") from error
