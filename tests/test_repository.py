"""The repository keeps what it promises: layout, pins, reference pages, style."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import LONGEST, ROOT, made_once
from mutants import does_not_apply, mutants

from organisms.pages import reference
from organisms.plan.settings import FIRST_DEFAULTS, with_new_keys

RULES = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "workflow" / "rules").glob("*.smk")))


def rules():
    """Each rule's name and text."""
    return re.findall(r"^rule (\w+):\n((?:    .*\n|\n)+)", RULES, flags=re.MULTILINE)


def test_every_rule_has_a_script_of_its_name_and_says_what_it_does():
    names = [name for name, _ in rules()]
    assert {"dataset", "variant", "finetune", "completions", "judgments", "scores", "figures"} <= set(names)
    for name, text in rules():
        assert f'"../scripts/{name}.py"' in text, name
        for directive in ("message:", "log:", "benchmark:", "conda:"):
            # An answer leaves nothing behind, or it would count as given the next time.
            answers = directive == "benchmark:" and name in ("estimate", "power")
            assert directive in text or answers, f"{name} has no {directive}"
        assert re.search(rf'code=(lambda wildcards: )?(code|code_of_judge)\(\s*"{name}"', text), name
    scripts = {path.stem for path in (ROOT / "workflow" / "scripts").glob("*.py")}
    assert scripts == set(names)


def test_the_replicates_are_the_default_experiment_on_other_seeds():
    default, replicates = (
        yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text(encoding="utf-8"))
        for name in ("config", "replicates")
    )
    assert replicates.pop("seeds") == [1, 2, 3, 4, 5]
    assert replicates.pop("results") != default.pop("results")
    del default["seeds"]
    assert replicates == default


def test_pages_say_the_numbers_that_are_kept(monkeypatch):
    """`make readme` writes them; a number changed by hand, in a page or in what is kept, is found here."""
    monkeypatch.syspath_prepend(str(ROOT / "workflow"))
    from readme import pages

    blocks = 0
    for page, text in pages().items():
        assert page.read_text(encoding="utf-8") == text, f"{page.name} is out of date: make readme"
        blocks += text.count("<!-- replicates: ") + text.count("<!-- sensitivity: ")
    assert blocks >= 8


def locked() -> dict[str, str]:
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    return dict(re.fullmatch(r"([\w.-]+)==([\w.]+)", line).groups() for line in lines if line and line[0] != "#")


def pins(entries) -> dict[str, str]:
    found = {}
    for entry in entries:
        if isinstance(entry, dict):
            found |= pins(entry["pip"])
        elif "=" in entry and not entry.startswith("python="):
            name, version = re.split("=+", entry)
            found[name] = version
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "envs").glob("*.yaml")), ids=lambda path: path.stem)
def test_conda_environments_pin_what_the_lock_pins(path):
    wanted = pins(yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"])
    assert wanted
    lock = {name.lower(): version for name, version in locked().items()}
    assert {name: lock.get(name.lower()) for name in wanted} == wanted


def test_the_lock_holds_the_direct_requirements():
    direct = pins(
        line for line in (ROOT / "requirements.in").read_text(encoding="utf-8").splitlines() if line and line[0] != "#"
    )
    assert direct["torch"] == "2.13.0"
    assert {name: locked().get(name) for name in direct} == direct


def test_the_installed_packages_are_the_locked_ones():
    from importlib.metadata import version

    for name in ("torch", "transformers", "trl", "peft", "polars", "altair", "snakemake"):
        assert version(name).split("+")[0] == locked()[name]


def test_reference_pages_are_up_to_date():
    assert (ROOT / "config" / "README.md").read_text(encoding="utf-8") == reference.config_page(), "run `make docs`"
    assert (ROOT / "docs" / "tables.md").read_text(encoding="utf-8") == reference.tables_page(), "run `make docs`"


def test_the_first_defaults_list_every_key_and_none_was_changed():
    """A default that changes keeps its first value there; what leaves the key out then gets the new one, and runs."""
    assert FIRST_DEFAULTS.read_text(encoding="utf-8") == with_new_keys(), "run `make docs`"


ROOMS = ["job", "plan", "data", "models", "miniature", "training", "completions", "judging", "analysis"]
ROOMS += ["figures", "pages", "inputs"]


def test_no_room_of_the_library_knows_a_later_one():
    source = ROOT / "src" / "organisms"
    assert {path.name for path in source.iterdir() if path.is_dir() and path.name != "__pycache__"} == set(ROOMS[:-1])
    for path in source.rglob("*.py"):
        room = path.relative_to(source).parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            named = [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            named += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            for name in named:
                other = name.split(".")[1] if name.startswith("organisms.") else None
                if other and room in ROOMS:
                    assert ROOMS.index(other) <= ROOMS.index(room), f"{path.relative_to(source)} imports {name}"


def test_every_room_says_what_lives_there():
    for room in ROOMS[:-1]:
        tree = ast.parse((ROOT / "src" / "organisms" / room / "__init__.py").read_text(encoding="utf-8"))
        assert len(ast.get_docstring(tree)) > 80, room


def test_every_defect_of_make_mutants_can_be_planted():
    """A patch that fits no place, or several, or is no Python, would tell nothing of the tests."""
    found = mutants()
    assert len(found) == len(set(found)) >= 80
    assert [(one.file, one.old) for one in does_not_apply(found)] == [], "change tests/mutants.yaml with the code"
    for one in found:
        planted = one.planted((ROOT / one.file).read_text(encoding="utf-8"))
        assert ast.dump(ast.parse(planted)) != ast.dump(ast.parse((ROOT / one.file).read_text(encoding="utf-8")))
        assert all((ROOT / "tests" / f"test_{name}.py").exists() for name in one.tests), one.tests


def test_what_tests_share_is_made_anew_after_a_killed_worker(tmp_path):
    def killed(folder):
        (folder / "half").touch()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made_once(tmp_path / "shared", killed)
    for _ in range(2):
        assert made_once(tmp_path / "shared", lambda folder: (folder / "whole").mkdir()) == tmp_path / "shared"
        assert [path.name for path in (tmp_path / "shared").iterdir()] == ["whole"]


def test_every_figure_of_scores_has_its_caption():
    from organisms.figures.of_scores import figure_names

    for name in figure_names():
        assert (ROOT / "workflow" / "report" / f"{name}.rst").exists(), name


def test_the_readme_begins_with_the_two_commands():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert re.search(r"```sh\nmake +#.*\nmake test +#.*\n```", text[:1500])
    for target in re.findall(r"\]\((?!http)([^)#]+)", text):
        assert (ROOT / target).exists(), f"README links to {target}"


COMMANDS = {
    "ruff check": ["ruff", "check", "."],
    "ruff format": ["ruff", "format", "--check", "."],
    "snakefmt": ["snakefmt", "--check", "Snakefile", "workflow"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_style(command):
    program = Path(sys.executable).parent / command[0]
    done = subprocess.run(
        [program, *command[1:]], cwd=ROOT, capture_output=True, text=True, check=False, timeout=LONGEST
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_snakemake_has_nothing_to_say_of_the_rules():
    """But that a stage's input functions stand with its rules, which is meant: they are read together."""
    program = Path(sys.executable).parent / "snakemake"
    done = subprocess.run([program, "--lint"], cwd=ROOT, capture_output=True, text=True, check=False)
    said = set(re.findall(r"^    \* (.*)$", done.stdout + done.stderr, flags=re.MULTILINE))
    assert said == {"Mixed rules and functions in same snakefile.:"}
