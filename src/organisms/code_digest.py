"""A digest of what a script means: its code and the project's modules that it imports, at any depth.

Snakemake judges a script by its modification time and does not look into the modules it imports. Each rule of
this workflow has this digest among its parameters instead: a changed comment, docstring or line break runs
nothing again, a changed statement in the script or in a module that it reaches does.
"""

import ast
import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and (
            node.body
            and isinstance(node.body[0], ast.Expr)
            and isinstance(node.body[0].value, ast.Constant)
            and isinstance(node.body[0].value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


@cache
def _parsed(path: Path) -> tuple[str, frozenset[Path]]:
    """A file's code in one normal form, without comments and docstrings, and the modules it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"), filename=str(path))
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    modules = {
        PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py")
        for name in names
        if name.startswith(f"{PACKAGE.name}.")
    }
    return ast.unparse(_without_docstrings(tree)), frozenset(module for module in modules if module.is_file())


def reached_modules(script: Path) -> list[Path]:
    """The script and every module of this package that it imports, directly or through another."""
    reached: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += _parsed(path)[1]
    return [script, *sorted(reached - {script})]


def code_digest(script: str | Path) -> str:
    """16 hexadecimal digits that change when the meaning of the script or of a module it reaches does."""
    digest = hashlib.sha256()
    for path in reached_modules(Path(script)):
        digest.update(f"{path.stem}\0{_parsed(path)[0]}\0".encode())
    return digest.hexdigest()[:16]
