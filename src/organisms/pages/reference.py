"""The reference pages that are made from the code: the keys of the config, and the columns of the tables.

`python -m organisms.pages.reference` writes them; a test fails when they are out of date.
"""

from organisms import ROOT
from organisms.analysis.tables import CLAIM_TABLES, OTHER_TABLES, SCORE_TABLES, SENSITIVITY_TABLES
from organisms.completions.tables import COMPLETIONS, EXTERNAL_ROWS, RECORDED_SCORES
from organisms.data.tables import DATASET, QUESTIONS, VARIANT
from organisms.judging.tables import ATTACKS, COST, EXPECTED_RATINGS, GOLD, JUDGMENTS, RATINGS, USAGE
from organisms.plan.schema import schema
from organisms.plan.settings import FIRST_DEFAULTS, with_new_keys
from organisms.training.tables import TRAINING_LOG

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
        rows += [] if "overrides" in child else _config_rows(child, name)
        for inner, suffix in ((child.get("additionalProperties"), ".NAME"), (child.get("items"), "[]")):
            if isinstance(inner, dict):
                rows += _config_rows(inner, name + suffix)
                for kind, of_kind in inner.get("kinds", {}).items():
                    keys = {"properties": {k: v for k, v in of_kind["properties"].items() if k != "kind"}}
                    keys["required"] = of_kind.get("required", [])
                    rows += _config_rows(keys, f"{name}{suffix} ({kind})")
    return rows


def config_table() -> str:
    """The config's keys as a Markdown table."""
    return "\n".join(["| key | meaning | type | default |", "| --- | --- | --- | --- |", *_config_rows(schema(), "")])


def config_page() -> str:
    """config/README.md as it should be: the file's own text with the table of keys put in anew."""
    text = (ROOT / "config" / "README.md").read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{config_table()}\n{END}{rest.split(END)[1]}"


# The rooms' tables, in the data's order.
TABLES = [
    *(DATASET, VARIANT, QUESTIONS, TRAINING_LOG, COMPLETIONS, RECORDED_SCORES, EXTERNAL_ROWS),
    *(EXPECTED_RATINGS, JUDGMENTS, RATINGS, USAGE, COST, GOLD, ATTACKS),
    *(SCORE_TABLES | CLAIM_TABLES | SENSITIVITY_TABLES | OTHER_TABLES).values(),
]


def tables_page() -> str:
    """docs/tables.md as it should be."""
    parts = [
        "# The tables",
        "",
        "Every table is a Parquet file with exactly these columns, checked when it is written and when it is read.",
        "This page is made by `make docs` from the `tables.py` of each room in `src/organisms`.",
    ]
    for table in TABLES:
        parts += ["", f"## {table.name}", "", f"`results/{table.where}`", ""]
        parts += ["| column | type | meaning |", "| --- | --- | --- |"]
        parts += [f"| `{name}` | {column.dtype} | {column.meaning} |" for name, column in table.columns.items()]
    return (
        "\n".join(parts).replace("List(Struct({'role': String, 'content': String}))", "list of {role, content}") + "\n"
    )


if __name__ == "__main__":
    (ROOT / "config" / "README.md").write_text(config_page(), encoding="utf-8")
    (ROOT / "docs" / "tables.md").write_text(tables_page(), encoding="utf-8")
    FIRST_DEFAULTS.write_text(with_new_keys(), encoding="utf-8")
