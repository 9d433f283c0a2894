"""What counts as a change of code."""

import pytest

from organisms import code_digest as module
from organisms.code_digest import code_digest, reached_modules


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `organisms` of three modules, and a script that reaches two of them."""
    folder = tmp_path / "organisms"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "near.py").write_text('"""Near."""\nfrom organisms import far\n\ndef f(x):\n    return far.g(x)\n')
    (folder / "far.py").write_text("def g(x):\n    return x + 1\n")
    (folder / "other.py").write_text("def h(x):\n    return x\n")
    script = tmp_path / "script.py"
    script.write_text("from organisms.near import f\n\nprint(f(1))\n")
    monkeypatch.setattr(module, "PACKAGE", folder)
    return script, folder


def digest(script):
    module._parsed.cache_clear()
    return code_digest(script)


def test_a_script_reaches_modules_through_others_and_only_these(package):
    script, folder = package
    module._parsed.cache_clear()
    assert reached_modules(script) == [script, folder / "far.py", folder / "near.py"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [("far.py", "x + 1", "x + 2"), ("near.py", "far.g(x)", "far.g(-x)"), ("../script.py", "f(1)", "f(2)")],
)
def test_a_change_of_meaning_changes_the_digest(package, file, old, new):
    script, folder = package
    before = digest(script)
    path = folder / file
    path.write_text(path.read_text().replace(old, new))
    assert digest(script) != before


def test_comments_docstrings_layout_and_unreached_modules_do_not(package):
    script, folder = package
    before = digest(script)
    (folder / "near.py").write_text(
        '"""Another docstring."""\n\n# A comment.\nfrom organisms import far\n\n\ndef f(x):\n    """New."""\n'
        "    return far.g(\n        x\n    )\n"
    )
    (folder / "other.py").write_text("def h(x):\n    return 2 * x\n")
    script.write_text("# Why.\n" + script.read_text())
    assert digest(script) == before


def test_an_import_inside_a_function_counts(package):
    script, folder = package
    script.write_text("def main():\n    from organisms.other import h\n    return h(1)\n")
    module._parsed.cache_clear()
    assert folder / "other.py" in reached_modules(script)
