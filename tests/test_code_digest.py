"""What counts as a change of code: what can decide a rule's result, and nothing else."""

from importlib.metadata import version

import pytest
from conftest import ROOT

from organisms.job import code as module
from organisms.job.code import code_digest, deciding_packages, reached_definitions
from organisms.job.equivalent import canonical, read_equivalent
from organisms.job.errors import UserError
from organisms.job.packages import installed_otherwise, pinned

PINS = {"torch": "1.0", "accelerate": "2.0", "polars": "3.0", "pyyaml": "4.0"}
NEAR = '''"""Near."""
from organisms import far
from organisms.job.errors import UserError

LIMIT = 3


class Asked:
    size: int = 4

    def grown(self):
        return self.size + LIMIT


def f(x, report=print):
    if x > LIMIT:
        raise UserError(f"{x} is too large")
    report(f"{x} is fine")
    return far.g(x)


def not_asked(x):
    return x
'''


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package `organisms` of a few modules, and a script that reaches two of them."""
    folder = tmp_path / "organisms"
    (folder / "job").mkdir(parents=True)
    for name in ("", "job/"):
        (folder / f"{name}__init__.py").write_text("")
    (folder / "near.py").write_text(NEAR)
    (folder / "far.py").write_text("def g(x):\n    return x + 1\n\n\ndef h(x):\n    return x\n")
    (folder / "other.py").write_text("def h(x):\n    return x\n")
    (folder / "job" / "errors.py").write_text("class UserError(Exception):\n    pass\n")
    script = tmp_path / "script.py"
    script.write_text("from organisms.near import f\n\nprint(f(1))\nresult = f(1)\n")
    monkeypatch.setattr(module, "PACKAGE", folder)
    module._parsed.cache_clear()
    yield script, folder
    module._parsed.cache_clear()


def digest(script, also=()):
    module._parsed.cache_clear()
    return code_digest(script, PINS, also)


def test_a_script_reaches_definitions_through_others_and_only_these(package):
    script, _ = package
    assert reached_definitions(script) == ["organisms.far:g", "organisms.near:LIMIT", "organisms.near:f"]


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("far.py", "x + 1", "x + 2"),
        ("near.py", "far.g(x)", "far.g(-x)"),
        ("near.py", "LIMIT = 3", "LIMIT = 4"),
        ("near.py", "x > LIMIT", "x >= LIMIT"),
        ("near.py", "raise UserError", "raise ValueError"),
        ("near.py", "def f(x, report=print)", "def f(x, report=len)"),
        ("../script.py", "result = f(1)", "result = f(2)"),
    ],
)
def test_a_change_of_meaning_changes_the_digest(package, file, old, new):
    script, folder = package
    before = digest(script)
    path = folder / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    assert digest(script) != before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("near.py", '"""Near."""', '"""Another docstring."""\n# A comment.'),
        ("near.py", "return far.g(x)", "return far.g(\n        x\n    )"),
        ("near.py", "is too large", "is larger than it may be"),
        ("near.py", "is fine", "will do"),
        ("near.py", "def f(x, report=print)", "def f(x: int, report: object = print) -> int"),
        # What the script does not reach, in files that it does.
        ("near.py", "def not_asked(x):\n    return x", "def not_asked(x):\n    return x + 1"),
        ("near.py", "size: int = 4", "size: int = 5"),
        ("far.py", "def h(x):\n    return x", "def h(x):\n    return -x"),
        ("other.py", "return x", "return 2 * x"),
        ("job/errors.py", "pass", "line = 1"),
        ("../script.py", "print(f(1))", "print(f(1), 2)"),
    ],
)
def test_words_layout_and_what_is_not_reached_do_not(package, file, old, new):
    script, folder = package
    before = digest(script)
    path = folder / file
    assert path.read_text().count(old) == 1
    path.write_text(path.read_text().replace(old, new))
    assert digest(script) == before


def test_a_class_counts_whole_and_with_what_it_uses(package):
    script, folder = package
    script.write_text("from organisms.near import Asked\n\nresult = Asked().grown()\n")
    before = digest(script)
    assert reached_definitions(script) == ["organisms.near:Asked", "organisms.near:LIMIT"]
    (folder / "near.py").write_text(NEAR.replace("self.size + LIMIT", "self.size - LIMIT"))
    assert digest(script) != before


def test_the_meaning_of_a_column_is_words_and_its_type_is_not(package):
    script, folder = package
    script.write_text("from organisms.columns import ROW\n\nresult = ROW\n")
    (folder / "columns.py").write_text("def Column(*given):\n    return given\n\n\nROW = Column(int, 'a line', True)\n")
    before = digest(script)
    (folder / "columns.py").write_text("def Column(*given):\n    return given\n\n\nROW = Column(int, 'a row', True)\n")
    assert digest(script) == before
    (folder / "columns.py").write_text("def Column(*given):\n    return given\n\n\nROW = Column(int, 'a row', False)\n")
    assert digest(script) != before


def test_an_import_inside_a_function_and_a_module_as_a_value_count(package):
    script, _ = package
    script.write_text("def main():\n    from organisms.other import h\n    return h(1)\n")
    module._parsed.cache_clear()
    assert reached_definitions(script) == ["organisms.other:h"]
    script.write_text("from organisms import far\n\nresult = vars(far)\n")
    module._parsed.cache_clear()
    assert reached_definitions(script) == ["organisms.far:g", "organisms.far:h"]


def test_what_is_found_by_its_name_at_run_time_is_said_beside(package):
    script, folder = package
    alone = digest(script)
    with_other = digest(script, ["organisms.other"])
    assert with_other != alone
    (folder / "other.py").write_text("def h(x):\n    return 3 * x\n")
    assert digest(script) == alone
    assert digest(script, ["organisms.other"]) != with_other
    # One definition alone, without a script: what the keys of kept completions hold.
    before = digest(None, ["organisms.far:g"])
    (folder / "far.py").write_text("def g(x):\n    return x + 1\n\n\ndef h(x):\n    return 9 * x\n")
    assert digest(None, ["organisms.far:g"]) == before
    (folder / "far.py").write_text("def g(x):\n    return x + 2\n\n\ndef h(x):\n    return x\n")
    assert digest(None, ["organisms.far:g"]) != before


def test_packages_that_decide_results_count_by_their_pins_and_others_do_not(package):
    script, folder = package
    (folder / "tables.py").write_text("import polars\n\n\ndef read(path):\n    return polars.read_parquet(path)\n")
    (folder / "job" / "log.py").write_text("import torch\n\n\ndef job_log(job):\n    return torch\n")
    start = "import yaml\nfrom organisms import tables\nfrom organisms.job.log import job_log\n"
    script.write_text(f"{start}with job_log(1):\n    result = tables.read(yaml.load('x'))\n")
    assert len(digest(script).split()) == 1
    script.write_text(f"{start}from torch.nn import Linear\nimport trl\nresult = Linear(trl, 1)\n")
    assert digest(script).split()[1:] == ["accelerate==2.0", "torch==1.0"]
    # Imported and not used by what counts.
    script.write_text(f"{start}from torch.nn import Linear\n")
    assert len(digest(script).split()) == 1


def test_every_package_that_decides_results_is_pinned():
    module._parsed.cache_clear()
    pins = pinned(ROOT / "requirements.lock", ROOT / "requirements-inspect.txt")
    for script in (ROOT / "workflow" / "scripts").glob("*.py"):
        assert {name.lower() for name in deciding_packages(script)} <= set(pins), script.name
    assert {"torch", "trl", "peft", "accelerate"} <= set(
        deciding_packages(ROOT / "workflow" / "scripts" / "finetune.py")
    )


def test_the_code_that_samples_is_named_whole():
    from organisms.completions.kept import SAMPLES_WITH

    reached = set(reached_definitions(None, SAMPLES_WITH))
    # By way of the object that answers; were one of these left out, its change would leave old texts standing.
    for name in (
        "sampling:chooser",
        "sampling:uniforms",
        "continuous_batching:continuous_batches",
        "loading:load_base",
    ):
        assert f"organisms.models.{name}" in reached
    assert "organisms.completions.rows:random_key" in reached
    assert {"torch", "transformers", "peft", "numpy"} <= set(deciding_packages(None, SAMPLES_WITH))
    # And nothing of the job around it.
    assert not {name for name in reached if name.startswith(("organisms.job.", "organisms.plan.", "organisms.data."))}


def test_code_that_samples_scores_or_judges_is_no_code_of_a_finetune():
    module._parsed.cache_clear()
    scripts = ROOT / "workflow" / "scripts"
    reached = reached_definitions(scripts / "finetune.py", ["organisms.training.methods.sft"])
    rooms = {name.split(".")[1].split(":")[0] for name in reached if "." in name}
    assert rooms == {"data", "job", "models", "plan", "training"}
    files = {name.split(":")[0].removeprefix("organisms.models.") for name in reached if ".models." in name}
    assert files == {"loading", "opening", "progress"}
    assert not any("training" in name for name in reached_definitions(scripts / "completions.py"))


def test_what_is_installed_in_another_version_than_pinned_is_named():
    found = version("numpy")
    assert installed_otherwise({"numpy": "0.1", "polars": version("polars")}, ["numpy", "polars", "no-such"]) == [
        f"numpy {found} (pinned: 0.1)"
    ]


# Code that gives the same results.

A, B, C = "a" * 16, "b" * 16, "c" * 16


def test_equivalent_code_counts_as_the_oldest_of_its_class(tmp_path):
    path = tmp_path / "list.yaml"
    path.write_text(f'finetune:\n  - {{digests: ["{A}", "{B}"], shown_by: x, what: y}}\n')
    classes = read_equivalent(path)
    assert canonical("finetune", f"{B} torch==1.0", classes) == f"{A} torch==1.0"
    assert canonical("finetune", f"{C} torch==1.0", classes) == f"{C} torch==1.0"
    assert canonical("pretrain", B, classes) == B


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            f'finetune:\n  - {{digests: ["{A}", "{B}"], what: y}}\n',
            "finetune, entry 1: give digests, shown_by and what",
        ),
        (f'finetune:\n  - {{digests: ["{A}"], shown_by: x, what: y}}\n', "two or more of 16 hexadecimal digits"),
        (
            f'finetune:\n  - {{digests: ["{A}", "{B}"], shown_by: x, what: y}}\n'
            f'  - {{digests: ["{B}", "{C}"], shown_by: x, what: y}}\n',
            f"{B} stands in two entries",
        ),
    ],
)
def test_a_faulty_list_is_refused(tmp_path, text, message):
    path = tmp_path / "list.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=message):
        read_equivalent(path)


def test_the_committed_list_names_tests_that_exist():
    for entries in read_equivalent(ROOT / "workflow" / "equivalent_code.yaml").values():
        for entry in entries:
            file, _, test = entry["shown_by"].partition("::")
            assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")
