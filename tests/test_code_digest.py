"""What counts as a change of code."""

from importlib.metadata import version

import pytest
from conftest import ROOT

from organisms.job import code as module
from organisms.job.code import code_digest, deciding_packages, reached_modules
from organisms.job.packages import installed_otherwise, pinned


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
    return code_digest(script, {"torch": "1.0", "accelerate": "2.0", "polars": "3.0", "pyyaml": "4.0"})


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


def test_packages_that_decide_results_count_by_their_pins_and_others_do_not(package):
    script, folder = package
    (folder / "tables.py").write_text("import polars\n")
    (folder / "job_log.py").write_text("import torch\n")
    script.write_text("import yaml\nfrom organisms import job_log, tables\n")
    assert len(digest(script).split()) == 1
    script.write_text("import yaml\nfrom organisms import job_log, tables\nfrom torch.nn import Linear\nimport trl\n")
    assert digest(script).split()[1:] == ["accelerate==2.0", "torch==1.0"]


def test_every_package_that_decides_results_is_pinned():
    pins = pinned(ROOT / "requirements.lock", ROOT / "requirements-inspect.txt")
    for script in (ROOT / "workflow" / "scripts").glob("*.py"):
        assert {name.lower() for name in deciding_packages(script)} <= set(pins), script.name
    assert {"torch", "trl", "peft", "accelerate"} <= set(
        deciding_packages(ROOT / "workflow" / "scripts" / "finetune.py")
    )


def test_what_is_installed_in_another_version_than_pinned_is_named():
    found = version("numpy")
    assert installed_otherwise({"numpy": "0.1", "polars": version("polars")}, ["numpy", "polars", "no-such"]) == [
        f"numpy {found} (pinned: 0.1)"
    ]
