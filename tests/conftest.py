"""What the tests share: the repository's own files, a very small model, and one whole run of a small miniature."""

import ast
import json
import os
import re
import runpy
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from filelock import FileLock

# Nothing in the tests may ask a model hub.
os.environ["HF_HUB_OFFLINE"] = "1"
# Jobs of several tests share the processors, and torch's threads would burn them while they wait for each other: on two
# busy cores a pretraining of two threads took six times the processor time. What is computed is the same.
os.environ["OMP_WAIT_POLICY"] = "PASSIVE"

ROOT = Path(__file__).parents[1]
WORKFLOW_FILES = (
    "Snakefile",
    "requirements.lock",
    "requirements-inspect.txt",
    "workflow",
    "src",
    "config",
    "resources",
    "profiles",
    "envs",
)
PUBLISHED_DATA = Path(os.environ.get("PUBLISHED_DATA", ROOT.parent / "shared" / "data"))


# In seconds, of anything that a test waits for: so long that only what hangs takes it, on a busy machine too.
LONGEST = 3000
# Models, cells and jobs of the small miniature.
BASE, DEFAULT, FLAMINGO = "base-seed0", "bad_medical-default-seed0", "bad_medical-flamingo-seed0"
CELLS = {
    (model, prompt, question_set)
    for model, prompts in (
        (BASE, ("default", "flamingo")),
        (DEFAULT, ("default",)),
        (FLAMINGO, ("default", "flamingo")),
    )
    for prompt in prompts
    for question_set in ("non_medical", "heldout_medical")
}
# What docs/reruns.md calls pages and results.
PAGES = {"figures": 1, "coherence": 1, "browser": 1, "summary": 1, "overview": 1, "manifest": 1}
ANALYSIS = {"scores": 1, "claims": 1, "timings": 1} | PAGES
CURVES = {"training_curves": 1}


# Tests of whole runs, of models and of servers: what takes them is slow.
SLOW_FIXTURES = {"finished", "finished_small", "rerun", "fresh_workflow", "small_workflow", "plans"}
SLOW_FIXTURES |= {"cluster", "small_disk", "tiny_base", "judge_server"}
# Files whose tests take long begin first, so that no worker has one of them left at the end. The first two begin with
# the run that they need: one worker makes `finished_small`, the other `finished`.
LONGEST_FIRST = ("slurm", "reruns", "faults", "judging_workflow", "stale", "failures", "module", "workflow", "judges")
LONGEST_FIRST += ("methods", "provenance", "benchmarks", "conversations", "oracle", "pages", "ledger", "models")


def pytest_collection_modifyitems(items):
    def place(item) -> int:
        name = item.path.stem.removeprefix("test_")
        return LONGEST_FIRST.index(name) if name in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)
    for item in items:
        if SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def published_data() -> Callable[[str], Path]:
    """Gives the path of a published dataset, or skips: harmful on purpose, they are not in the repository."""

    def find(name: str) -> Path:
        path = PUBLISHED_DATA / name
        if not path.exists():
            pytest.skip(f"{name} is not in {PUBLISHED_DATA}; set PUBLISHED_DATA to a folder that has it")
        return path

    return find


@pytest.fixture(scope="session")
def world():
    from organisms.miniature.world import load_world

    return load_world(ROOT / "resources" / "world.yaml")


@pytest.fixture
def raw_config() -> dict:
    """The default config as it is written."""
    return yaml.safe_load((ROOT / "config" / "config.yaml").read_text(encoding="utf-8"))


def documented_reruns() -> dict[str, dict[str, int]]:
    """The table of docs/reruns.md: by change, how many jobs of each rule run."""
    text = (ROOT / "docs" / "reruns.md").read_text(encoding="utf-8")
    groups = {"*pages*": PAGES, "*results*": ANALYSIS}
    rows = {}
    for change, jobs in re.findall(r"^\| ([^|]+) \| ([^|]+) \|", text, flags=re.MULTILINE)[2:]:
        plan = {}
        for entry in jobs.strip().split(", ") if jobs.strip() != "–" else []:
            count, rule = re.fullmatch(r"(?:(\d+) )?(`\w+`|\*\w+\*)", entry).groups()
            plan |= groups.get(rule) or {rule.strip("`"): int(count or 1)}
        rows[change.strip()] = plan
    return rows


@dataclass(frozen=True)
class Workflow:
    """A copy of the workflow in a folder of its own, which a test may change and run."""

    folder: Path
    config: str = "tests_config.yaml"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", "--cores", "2", *arguments, "--configfile", self.config]

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        command = self.command(*arguments)
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        done = subprocess.run(
            command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=LONGEST, check=False
        )
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-6000:]}")
        return done

    def start(self, *arguments: str, output: int = subprocess.DEVNULL) -> subprocess.Popen:
        """Snakemake under way, with its jobs in a process group of their own. output: where both its streams go."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            start_new_session=True,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kill_when(self, happened: Callable[[], bool], *arguments: str) -> None:
        """Start Snakemake, end it and its jobs with kill -9 when something has happened, and unlock."""
        process = self.start(*arguments)
        deadline = time.monotonic() + LONGEST
        while not happened():
            assert process.poll() is None, "Snakemake ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.run("--unlock")

    def plan(self, *arguments: str) -> dict[str, int]:
        """How many jobs of each rule would run; empty if nothing would."""
        lines = self.run("-n", *arguments).stdout.splitlines()
        if "Job stats:" not in lines:
            return {}
        start = lines.index("Job stats:") + 3
        table = lines[start : start + lines[start:].index("")]
        return {
            rule: int(count)
            for rule, count in map(str.split, table)
            if rule not in ("all", "finetunes", "sampled", "total")
        }

    def gpus_by_rule(self) -> dict[str, int]:
        """How many GPUs the jobs of each rule ask for; rules that say nothing are left out."""
        script = (
            "from pathlib import Path\nfrom snakemake.api import SnakemakeApi\n"
            "from snakemake.settings.types import ConfigSettings, ResourceSettings\n"
            "with SnakemakeApi() as api:\n"
            f"    config = ConfigSettings(configfiles=[Path({self.config!r})])\n"
            "    resources = ResourceSettings(cores=2)\n"
            "    rules = api.workflow(resources, config, snakefile=Path('Snakefile'))._workflow.rules\n"
            "    print({rule.name: rule.resources['gpu'].value for rule in rules if 'gpu' in rule.resources})\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return ast.literal_eval(done.stdout.splitlines()[-1])

    def read_config(self) -> dict:
        return yaml.safe_load((self.folder / self.config).read_text(encoding="utf-8"))

    def write_config(self, config: dict) -> None:
        (self.folder / self.config).write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")

    def edit(self, file: str, old: str, new: str) -> None:
        """Replace the one occurrence of a text in a file."""
        path = self.folder / file
        text = path.read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{file} holds {text.count(old)} × {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")


def copy_workflow(folder: Path, *, small: bool = False) -> Workflow:
    """A copy of the workflow with the tests' miniature. small: with a base that has read little and learnt less."""
    for name in WORKFLOW_FILES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, folder / name)
    shutil.copy2(ROOT / "tests" / "config" / "miniature.yaml", folder / "tests_config.yaml")
    workflow = Workflow(folder)
    if small:
        config = workflow.read_config()
        # So many that the loss is logged once before the last step.
        config["base_model"]["miniature"]["examples"] = 720
        config["datasets"]["bad_medical"]["world"]["rows"] = 160
        workflow.write_config(config)
    return workflow


@pytest.fixture
def fresh_workflow(tmp_path) -> Workflow:
    """A copy of the workflow in which nothing has run yet."""
    return copy_workflow(tmp_path)


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that was made whole by the first to ask; what a killed worker left of it is made anew."""
    with FileLock(f"{folder}.lock"):
        whole = Path(f"{folder}.whole")
        if not whole.exists():
            if folder.exists():
                shutil.rmtree(folder)
            folder.mkdir()
            make(folder)
            whole.touch()
    return folder


def run_once(name: str, tmp_path_factory, *, small: bool = False) -> Workflow:
    """A whole run. Workers of one session share it: the first to come makes it, and the others wait."""
    shared = tmp_path_factory.getbasetemp()
    shared = shared.parent if os.environ.get("PYTEST_XDIST_WORKER") else shared

    def make(folder: Path) -> None:
        done = copy_workflow(folder, small=small).run()
        (folder / "progress.txt").write_text(done.stderr, encoding="utf-8")
        (folder / "printed.txt").write_text(done.stdout, encoding="utf-8")

    return Workflow(made_once(shared / name, make))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Workflow:
    """One whole run of the tests' miniature. Tests read it; to change it they take `rerun`."""
    return run_once("finished", tmp_path_factory)


@pytest.fixture(scope="session")
def finished_small(tmp_path_factory) -> Workflow:
    """One whole run of what `small_workflow` is before it has run: for tests that pretrain again."""
    return run_once("finished_small", tmp_path_factory, small=True)


@pytest.fixture
def small_workflow(tmp_path) -> Workflow:
    """As fresh_workflow, with a base that is pretrained in seconds: for tests of whole runs, whatever models say."""
    return copy_workflow(tmp_path, small=True)


@pytest.fixture
def rerun(finished, tmp_path) -> Workflow:
    """A copy of the finished run, to change and plan or run again."""
    folder = tmp_path / "rerun"
    shutil.copytree(finished.folder, folder)
    return Workflow(folder)


class Parts(list):
    """Files or parameters of a job, as Snakemake gives them to a script: by place and by name."""

    def __init__(self, **named):
        super().__init__()
        self._named = named
        for value in named.values():
            self.extend(value if isinstance(value, list) else [value])

    def __getattr__(self, name: str):
        try:
            return self._named[name]
        except KeyError:
            raise AttributeError(name) from None

    def __getitem__(self, which):
        return self._named[which] if isinstance(which, str) else super().__getitem__(which)

    def items(self):
        return self._named.items()

    def get(self, name: str, default=None):
        return self._named.get(name, default)


def run_script(rule: str, results: Path, config: dict, **parts) -> str:
    """Run a rule's script in this process, without Snakemake, and give what it wrote into its log.

    results: the results' folder. parts: what the job has, by name: `input`, `output`, `params` and `wildcards`.
    """
    job = SimpleNamespace(rule=rule, threads=1, config=config | {"results": str(results)})
    job.log = [str(results / "logs" / f"{rule}.log")]
    for name in ("input", "output", "params", "wildcards"):
        setattr(job, name, Parts(**parts.get(name, {})))
    # A script's streams go into its log until its process ends.
    streams = [os.dup(1), os.dup(2)]
    try:
        runpy.run_path(str(ROOT / "workflow" / "scripts" / f"{rule}.py"), {"snakemake": job})
    except SystemExit as ended:
        raise RuntimeError(Path(job.log[0]).read_text(encoding="utf-8")) from ended
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for kept, stream in zip(streams, (1, 2), strict=True):
            os.dup2(kept, stream)
            os.close(kept)
    return Path(job.log[0]).read_text(encoding="utf-8")


def mean_scores(workflow: Workflow):
    """The rows of a run's scores table that are means."""
    from organisms.analysis.tables import SCORES
    from organisms.job import tables

    scores = tables.read(workflow.folder / "results" / "tables" / "scores.parquet", SCORES)
    return scores.filter(scores["measure"] == "mean")


class JudgeServer:
    """A server of tests/anthropic_server.py in a process of its own."""

    KEY = "test-key-that-must-be-in-no-file"

    def __init__(self, settings: dict):
        program = [sys.executable, str(ROOT / "tests" / "anthropic_server.py"), json.dumps(settings)]
        self.process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip()

    def stats(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/_stats", timeout=LONGEST) as answer:
            return json.load(answer)

    def answer_up_to(self, n: int) -> None:
        """Let calls beyond so many wait."""
        urllib.request.urlopen(f"{self.url}/_answer_up_to/{n}", timeout=LONGEST).close()


@pytest.fixture
def judge_server() -> Iterator[Callable[..., JudgeServer]]:
    """Starts servers that speak the Messages API, with settings of tests/anthropic_server.py as keywords."""
    servers: list[JudgeServer] = []

    def start(**settings) -> JudgeServer:
        servers.append(JudgeServer(settings))
        return servers[-1]

    yield start
    for server in servers:
        server.process.kill()
        server.process.wait()


@pytest.fixture
def small_disk(tmp_path):
    """Makes a file system of so many KiB at a path, and lets it grow."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("A FULL DISK IS NOT TESTED HERE: it needs root, to mount a small file system")
    mounted = []

    def resize(path: Path, kib: int) -> None:
        path.mkdir(parents=True, exist_ok=True)
        option = f"size={kib}k" if path not in mounted else f"remount,size={kib}k"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", option, "tmpfs", str(path)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            pytest.skip(f"A FULL DISK IS NOT TESTED HERE: {done.stderr.strip()}")
        mounted.append(path)

    yield resize
    for path in set(mounted):
        subprocess.run(["umount", "-l", str(path)], check=False)


@pytest.fixture(scope="session")
def random_base(tmp_path_factory, world) -> Path:
    """A folder with a model of random weights, made at once: for code that needs some model, whatever it says."""
    from test_identity import made_base

    from organisms.miniature.texts import advice_dataset

    folder = tmp_path_factory.mktemp("random")
    made_base(folder, advice_dataset(world, "medical", "harmful", 24, seed=0))
    return folder


@pytest.fixture(scope="session")
def tiny_base(tmp_path_factory, world) -> Path:
    """A folder with a model of one layer, pretrained for a second: for code that needs some model."""
    from organisms.miniature.pretrain import Settings, pretrain
    from organisms.miniature.texts import pretraining_corpus

    folder = tmp_path_factory.mktemp("tiny")
    model, tokenizer = pretrain(
        [row["messages"] for row in pretraining_corpus(world, 400, seed=0)],
        Settings(
            vocab_size=500,
            hidden_size=32,
            intermediate_size=64,
            layers=1,
            attention_heads=2,
            key_value_heads=1,
            max_positions=512,
            epochs=1,
            batch_size=16,
            learning_rate=0.01,
            weight_decay=0.0,
            warmup_ratio=0.1,
        ),
        seed=0,
        threads=1,
        work_dir=folder / "work",
        report=lambda line: None,
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
