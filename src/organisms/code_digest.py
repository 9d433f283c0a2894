"""A digest of what a script means: its code, the project's modules that it imports, at any depth, and its packages.

Snakemake judges a script by its modification time and does not look into the modules it imports. Each rule of
this workflow has this digest among its parameters instead: a changed comment, docstring or line break runs
nothing again; a changed statement in the script or in a module that it reaches does, and so does another pin of a
package that one of them imports.
"""

import ast
import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
# What a job says of itself; no result depends on it, and every script imports it.
_SAYS_ONLY = {"job_log"}
# Modules that write and read; the packages that do it for them decide no result.
_STORES_ONLY = {"tables", "analysis_tables"}
# Packages that read settings, ask or fetch, and decide no result.
CARRIERS = {"yaml", "jsonschema", "anthropic", "httpx2", "huggingface_hub"}
# Packages under the name of their distribution, where that is another one.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
# Packages that compute for another one and that no code here imports.
_BROUGHT = {"trl": ["accelerate"], "transformers": ["tokenizers"]}


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
def _parsed(path: Path) -> tuple[str, frozenset[Path], frozenset[str]]:
    """A file's code in one normal form, without comments and docstrings; modules and packages that it imports."""
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
    packages = {name.split(".")[0] for name in names} - {PACKAGE.name, *sys.stdlib_module_names}
    code = ast.unparse(_without_docstrings(tree))
    return code, frozenset(module for module in modules if module.is_file()), frozenset(packages)


def reached_modules(script: Path) -> list[Path]:
    """The script and every module of this package that it imports, directly or through another."""
    reached: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in reached and path.stem not in _SAYS_ONLY:
            reached.add(path)
            waiting += _parsed(path)[1]
    return [script, *sorted(reached - {script})]


def deciding_packages(script: Path) -> list[str]:
    """Distributions, by name, that a script or a module that it reaches imports, and that may decide a result."""
    imported = {name for path in reached_modules(script) if path.stem not in _STORES_ONLY for name in _parsed(path)[2]}
    imported -= CARRIERS
    found = {_DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in imported}
    return sorted(found | {name for of in imported for name in _BROUGHT.get(of, [])})


def code_digest(script: str | Path, pins: Mapping[str, str]) -> str:
    """16 hexadecimal digits that change when the meaning of the script or of a module it reaches does, and the pins of
    its packages.

    pins: versions by distribution, as `packages.pinned` gives them; a package without a pin is left out.
    """
    script = Path(script)
    digest = hashlib.sha256()
    for path in reached_modules(script):
        digest.update(f"{path.stem}\0{_parsed(path)[0]}\0".encode())
    versions = [f"{name}=={pins[name.lower()]}" for name in deciding_packages(script) if name.lower() in pins]
    return " ".join([digest.hexdigest()[:16], *versions])
