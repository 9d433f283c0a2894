"""A digest of what a script means: of every definition that it reaches, at any depth, and of its packages.

Snakemake judges a script by its modification time and does not look into the modules it imports. Each rule of this
workflow has this digest among its parameters instead. It counts what can decide the rule's result and nothing else:

- of the project's modules, the functions, classes and constants that the script reaches by name; another function in
the
  same file does not count;
- not comments, docstrings, layout and annotations; not the texts of errors, reports and prints, nor the meanings of
  columns;
- not the modules that only carry (`_CARRY`): files, logs, manifests, stores;
- the pins of packages that a counted definition uses, without those that read, ask or fetch.

A module that is found by its name at run time (a judge kind, a figure) is not reached by name; the rule says it
(`also`).
"""

import ast
import hashlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
# Of the room `job`: what carries bytes and words; no result depends on it.
_CARRY = {
    f"job.{name}"
    for name in (
        *("code", "dag", "equivalent", "errors", "files", "hashes", "lineage", "log", "manifest", "packages"),
        *("stale", "store", "why"),
    )
}
# Modules that declare tables or write them; the package that does it for them decides no result.
_DECLARE = {"tables", "columns"}
# Packages that read settings, ask or fetch, and decide no result.
CARRIERS = {"yaml", "jsonschema", "anthropic", "httpx2", "huggingface_hub"}
# Packages under the name of their distribution, where that is another one.
_DISTRIBUTIONS = {"sklearn": "scikit-learn", "vl_convert": "vl-convert-python"}
# Packages that compute for another one and that no code here imports.
_BROUGHT = {"trl": ["accelerate"], "transformers": ["tokenizers"]}
# Calls that only say something.
_SAYING = {"print", "report", "_report", "note", "warning"}


class _Meaning(ast.NodeTransformer):
    """Takes out of a statement what decides no result."""

    def _body(self, node):
        first = node.body[0] if node.body else None
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
            node.body = node.body[1:]
        self.generic_visit(node)
        node.body = node.body or [ast.Pass()]
        return node

    def visit_ClassDef(self, node):
        return self._body(node)

    def visit_FunctionDef(self, node):
        node.returns = None
        return self._body(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_AnnAssign(self, node):
        node.annotation = ast.Name("_", ast.Load())
        return self.generic_visit(node)

    def visit_Assert(self, node):
        node.msg = None
        return self.generic_visit(node)

    def visit_Expr(self, node):
        if isinstance(node.value, ast.Call) and _called(node.value) in _SAYING:
            return None
        return self.generic_visit(node)

    def generic_visit(self, node):
        super().generic_visit(node)
        # A body that only said something.
        for name in ("body", "orelse", "finalbody"):
            if name == "body" and getattr(node, name, None) == [] and not isinstance(node, ast.Module):
                node.body = [ast.Pass()]
        return node

    def visit_Raise(self, node):
        if isinstance(node.exc, ast.Call):
            node.exc = ast.Call(node.exc.func, [], [])
        return self.generic_visit(node)

    def visit_Call(self, node):
        name = _called(node)
        if name == "UserError":
            return ast.Call(node.func, [], [])
        if name == "Column":
            node.args = [*node.args[:1], *node.args[2:]]
        if name == "job_log":
            node.args = node.args[:1]
        return self.generic_visit(node)


def _called(call: ast.Call) -> str:
    return call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")


@dataclass
class _Code:
    """A part of a module: its text, and which names it uses. attributes: by name, what is asked of it with a dot."""

    text: str
    names: set[str] = field(default_factory=set)
    attributes: dict[str, set[str]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


@dataclass
class _Module:
    """A file: its definitions by name, what stands outside of them, and what it imports, by the name it has there.

    An import is a module (`organisms.data.dataset`, or a package) and a name in it, or None for the module itself.
    """

    definitions: dict[str, list[_Code]] = field(default_factory=dict)
    always: list[_Code] = field(default_factory=list)
    imports: dict[str, tuple[str, str | None]] = field(default_factory=dict)


def _path(module: str) -> Path | None:
    """The file of a module of this package; None if it is none."""
    parts = module.split(".")
    if parts[0] != PACKAGE.name:
        return None
    place = PACKAGE.joinpath(*parts[1:])
    return next((path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()), None)


def _imports(node: ast.AST) -> dict[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    if isinstance(node, ast.Import):
        for alias in node.names:
            found[alias.asname or alias.name.split(".")[0]] = (alias.name, None)
    elif isinstance(node, ast.ImportFrom) and node.module:
        for alias in node.names:
            inner = f"{node.module}.{alias.name}"
            found[alias.asname or alias.name] = (inner, None) if _path(inner) else (node.module, alias.name)
    return found


def _code(node: ast.stmt) -> _Code:
    meant = _Meaning().visit(node)
    code = _Code(ast.unparse(ast.fix_missing_locations(meant)) if meant else "")
    dotted = set()
    for inner in ast.walk(meant) if meant else ():
        code.imports |= _imports(inner)
        if isinstance(inner, ast.Attribute) and isinstance(inner.value, ast.Name):
            code.attributes.setdefault(inner.value.id, set()).add(inner.attr)
            dotted.add(id(inner.value))
    for inner in ast.walk(meant) if meant else ():
        if isinstance(inner, ast.Name) and id(inner) not in dotted:
            code.names.add(inner.id)
    return code


def _targets(node: ast.stmt) -> list[str]:
    """The names that a statement at the top of a module defines."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        return [node.name]
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return [
        inner.id
        for target in targets
        if target is not None
        for inner in ast.walk(target)
        if isinstance(inner, ast.Name)
    ]


@cache
def _parsed(path: Path) -> _Module:
    module = _Module()
    for node in ast.parse(path.read_text(encoding="utf-8"), filename=str(path)).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            module.imports |= _imports(node)
        elif (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)) or (
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            continue
        elif names := _targets(node):
            code = _code(node)
            for name in names:
                module.definitions.setdefault(name, []).append(code)
        else:
            module.always.append(_code(node))
    return module


class _Reached:
    """Everything that some code reaches: texts of definitions by module and name, and packages."""

    def __init__(self):
        self.texts: dict[tuple[str, str], str] = {}
        self.packages: set[str] = set()
        self._modules: set[str] = set()

    def module(self, name: str) -> None:
        """All of a module of this package."""
        path = _path(name)
        for definition in [*_parsed(path).definitions] if path and not self._carried(name) else []:
            self.name(name, definition)

    def name(self, module: str, name: str | None) -> None:
        """A definition, or what a module imports under this name; None is the module itself."""
        path = _path(module)
        if path is None:
            self.packages.add(module.split(".")[0])
            return
        if self._carried(module):
            return
        if name is None:
            self.module(module)
            return
        parsed = _parsed(path)
        if module not in self._modules:
            self._modules.add(module)
            for i, code in enumerate(parsed.always):
                self.texts[module, f" {i}"] = code.text
                self.follow(module, parsed, code)
        if name in parsed.definitions:
            if (module, name) not in self.texts:
                self.texts[module, name] = "\0".join(code.text for code in parsed.definitions[name])
                for code in parsed.definitions[name]:
                    self.follow(module, parsed, code)
        elif name in parsed.imports:
            self.name(*parsed.imports[name])

    def follow(self, module: str, parsed: _Module, code: _Code) -> None:
        """What a part of a module uses. module: where it stands."""
        imports = parsed.imports | code.imports
        for name in code.names | set(code.attributes):
            if name in imports:
                where, what = imports[name]
                if what is None and _path(where) and name not in code.names:
                    for attribute in code.attributes[name]:
                        self.name(where, attribute)
                else:
                    self.name(where, what)
            elif module and name in parsed.definitions:
                self.name(module, name)

    def _carried(self, module: str) -> bool:
        return module.partition(".")[2] in _CARRY

    def distributions(self) -> list[str]:
        """The packages that may decide a result, by their distributions' names."""
        imported = self.packages - {PACKAGE.name, *sys.stdlib_module_names} - CARRIERS
        found = {_DISTRIBUTIONS.get(name, name.replace("_", "-")) for name in imported}
        return sorted(found | {name for of in imported for name in _BROUGHT.get(of, [])})


class _Counted(_Reached):
    """As `_Reached`, but that packages of modules which only declare or write tables do not count."""

    def follow(self, module: str, parsed: _Module, code: _Code) -> None:
        before = set(self.packages)
        super().follow(module, parsed, code)
        if module.split(".")[-1] in _DECLARE:
            own = {where.split(".")[0] for where, _ in parsed.imports.values() if _path(where) is None}
            self.packages -= own - before


def _reached(script: Path | None, also: Iterable[str]) -> _Reached:
    reached = _Counted()
    if script is not None:
        parsed = _parsed(script)
        for i, code in enumerate([*parsed.always, *(c for of in parsed.definitions.values() for c in of)]):
            reached.texts["", f"{i:04d}"] = code.text
            reached.follow("", parsed, code)
    for name in also:
        module, _, definition = name.partition(":")
        reached.name(module, definition) if definition else reached.module(module)
    return reached


def reached_definitions(script: str | Path | None, also: Iterable[str] = ()) -> list[str]:
    """What a script reaches in this package, as `module:name`; see `code_digest` for also."""
    return sorted(f"{m}:{n}" for m, n in _reached(script and Path(script), also).texts if m and not n.startswith(" "))


def deciding_packages(script: str | Path | None, also: Iterable[str] = ()) -> list[str]:
    """Distributions, by name, that a definition which counts uses, and that may decide a result."""
    return _reached(script and Path(script), also).distributions()


def code_digest(script: str | Path | None, pins: Mapping[str, str], also: Iterable[str] = ()) -> str:
    """16 hexadecimal digits that change when the meaning of what a script reaches does, and the pins of its packages.

    pins: versions by distribution, as `packages.pinned` gives them; a package without a pin is left out. also: what the
    script finds by name at run time: modules (`organisms.judging.kinds.world`) or definitions in them (`module:name`).
    script: None for these alone.
    """
    reached = _reached(script and Path(script), also)
    digest = hashlib.sha256()
    for (module, name), text in sorted(reached.texts.items()):
        digest.update(f"{module}\0{name}\0{text}\0".encode())
    versions = [f"{name}=={pins[name.lower()]}" for name in reached.distributions() if name.lower() in pins]
    return " ".join([digest.hexdigest()[:16], *versions])
