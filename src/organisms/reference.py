"""The reference pages that are made from the code: the keys of the config, and the columns of the tables.

`python -m organisms.reference` writes them; a test fails when they are out of date.
"""

from pathlib import Path

from organisms.analysis_tables import ANALYSIS_TABLES
from organisms.config import schema
from organisms.tables import TABLES

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- made by `make docs` from the schema: begin -->", "<!-- end -->"


def _type(node: dict) -> str:
    if "enum" in node:
        return " or ".join(f"`{value}`" for value in node["enum"])
    types = [node["type"]] if isinstance(node["type"], str) else node["type"]
    words = {
        "object": "mapping",
        "array": "list",
        "string": "text",
        "integer": "whole number",
        "boolean": "true or false",
    }
    text = " or ".join(words.get(name, name) for name in types)
    bounds = [
        f"{sign} {node[key]:g}"
        for key, sign in (("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<"))
        if key in node
    ]
    return ", ".join([text, *bounds])


def _default(node: dict, required: bool) -> str:
    if required:
        return "required"
    if "default" not in node or (node["default"] == {} and node.get("properties")):
        return ""
    value = node["default"]
    return "`null`" if value is None else f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _config_rows(node: dict, path: str) -> list[str]:
    rows = []
    for key, child in node.get("properties", {}).items():
        name = f"{path}.{key}".lstrip(".")
        description = " ".join(child.get("description", "").split())
        required = key in node.get("required", [])
        rows.append(f"| `{name}` | {description} | {_type(child)} | {_default(child, required)} |")
        rows += _config_rows(child, name)
        for inner, suffix in ((child.get("additionalProperties"), ".NAME"), (child.get("items"), "[]")):
            if isinstance(inner, dict):
                rows += _config_rows(inner, name + suffix)
    return rows


def config_table() -> str:
    """The config's keys as a Markdown table."""
    return "\n".join(["| key | meaning | type | default |", "| --- | --- | --- | --- |", *_config_rows(schema(), "")])


def config_page() -> str:
    """config/README.md as it should be: the file's own text with the table of keys put in anew."""
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{config_table()}\n{END}{rest.split(END)[1]}"


def tables_page() -> str:
    """docs/tables.md as it should be."""
    parts = [
        "# The tables",
        "",
        "Every table is a Parquet file with exactly these columns, checked when it is written and when it is read.",
        "This page is made from `src/organisms/tables.py` and `analysis_tables.py` by `make docs`.",
    ]
    where = {
        "dataset": "results/dataset/{dataset}/train.parquet and heldout.parquet",
        "variant": "results/variant/{dataset}-{training_prompt}.parquet",
        "questions": "results/questions/{question_set}.parquet",
        "training_log": "results/finetune/{model}/training_log.parquet",
        "completions": "results/completions/{model}/{eval_prompt}/{question_set}.parquet",
        "judgments": "results/judgments/{judge}/{model}/{eval_prompt}/{question_set}.parquet",
        "verdicts": "results/verdicts/{judge}/gold.parquet and attacks.parquet",
        "usage": "results/judgments/{judge}/usage.parquet",
        "recorded_scores": "results/external_completions/{model}/scores.parquet",
    }
    for table, columns in (TABLES | ANALYSIS_TABLES).items():
        parts += [
            "",
            f"## {table}",
            "",
            f"`{where.get(table, f'results/tables/{table}.parquet')}`",
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
        ]
        parts += [f"| `{name}` | {column.dtype} | {column.meaning} |" for name, column in columns.items()]
    return (
        "\n".join(parts).replace("List(Struct({'role': String, 'content': String}))", "list of {role, content}") + "\n"
    )


if __name__ == "__main__":
    (ROOT / "config" / "README.md").write_text(config_page(), encoding="utf-8")
    (ROOT / "docs" / "tables.md").write_text(tables_page(), encoding="utf-8")
