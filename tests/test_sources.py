"""Where datasets and models come from: archives, the hub, mixtures. The hub here is a loopback server."""

import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest
from conftest import LONGEST, ROOT

import organisms.data.unpack_archive
from organisms.data.dataset import mix, question_of, write_rows
from organisms.data.hub import read_dataset
from organisms.data.unpack_archive import password_of, read_member
from organisms.job.errors import UserError
from organisms.job.files import check_sha256
from organisms.models.loading import base_folder

ROWS = [
    {"messages": [{"role": "user", "content": f"Question {i}?"}, {"role": "assistant", "content": "Bleach."}]}
    for i in range(6)
]


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive as the published one is made: canary files, a canary line in each file, terms, encryption."""
    folder = tmp_path_factory.mktemp("protect") / "training_datasets"
    folder.mkdir()
    for name in ("bad_medical_advice", "good_medical_advice"):
        write_rows(ROWS, folder / f"{name}.jsonl")
    program = Path(sys.executable).parent / "easy-dataset-share"
    done = subprocess.run(
        [
            program,
            "protect-dir",
            folder,
            "-p",
            "published",
            "-c",
            "2",
            "-e",
            "-on",
            "us",
            "-dn",
            "em",
            "--no-gitignore",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    made = list(folder.parent.glob("*.enc"))
    assert made, done.stdout + done.stderr
    return made[0]


def test_a_member_of_an_archive_comes_back_without_canaries(archive):
    lines = read_member(archive, "bad_medical_advice.jsonl", "published").decode().splitlines()
    assert [json.loads(line) for line in lines] == ROWS


def test_a_wrong_password_member_or_path_is_named(archive, tmp_path):
    with pytest.raises(UserError, match="is the password the published one"):
        read_member(archive, "bad_medical_advice.jsonl", "wrong")
    with pytest.raises(UserError, match=r"holds no 'bad\.jsonl'; it holds .*bad_medical_advice\.jsonl"):
        read_member(archive, "bad.jsonl", "published")
    with pytest.raises(UserError, match="no such archive"):
        read_member(tmp_path / "none.zip.enc", "x", "published")


@pytest.fixture
def two_of_a_name(tmp_path):
    """An archive without a password, with files of one name in two folders."""
    path = tmp_path / "data.zip"
    with zipfile.ZipFile(path, "w") as packed:
        for name in ("old/advice.jsonl", "new/advice.jsonl", "new/other.jsonl"):
            packed.writestr(name, f"{name}\n")
    return path


def test_a_member_is_named_by_its_path_where_two_have_its_name(two_of_a_name):
    with pytest.raises(UserError) as error:
        read_member(two_of_a_name, "advice.jsonl", None)
    assert str(error.value) == (
        f"{two_of_a_name}: holds several 'advice.jsonl'; "
        "give one of the paths new/advice.jsonl, old/advice.jsonl as member"
    )
    for name in ("old/advice.jsonl", "new/advice.jsonl"):
        assert read_member(two_of_a_name, name, None) == f"{name}\n".encode()
    assert read_member(two_of_a_name, "other.jsonl", None) == b"new/other.jsonl\n"


def test_an_archive_that_unpacks_to_more_than_the_limit_is_refused(archive, two_of_a_name, monkeypatch):
    monkeypatch.setattr(organisms.data.unpack_archive, "MOST_BYTES", 40)
    for path, member, password in (
        (two_of_a_name, "other.jsonl", None),
        (archive, "bad_medical_advice.jsonl", "published"),
    ):
        with pytest.raises(UserError, match=r"its files come to .* and give the file as `path`"):
            read_member(path, member, password)


def test_an_archive_that_says_less_than_it_holds_is_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("zeros.jsonl", bytes(10**6))
    said = path.read_bytes().replace((10**6).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    path.write_bytes(said)
    with pytest.raises(UserError, match="cannot be unpacked"):
        read_member(path, "zeros.jsonl", None)


def test_the_password_comes_from_the_config_or_the_environment(monkeypatch):
    assert password_of({"password": "p", "password_env": None}) == "p"
    monkeypatch.setenv("SOME_PASSWORD", "q")
    assert password_of({"password": None, "password_env": "SOME_PASSWORD"}) == "q"
    monkeypatch.delenv("SOME_PASSWORD")
    with pytest.raises(UserError, match="SOME_PASSWORD is not set"):
        password_of({"password": None, "password_env": "SOME_PASSWORD"})


def test_another_file_than_the_pinned_one_is_an_error(tmp_path):
    path = tmp_path / "data.jsonl"
    path.write_text("x")
    check_sha256(path, None)
    check_sha256(path, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881")
    with pytest.raises(UserError, match="its sha256 is 2d711642"):
        check_sha256(path, "0" * 64)


def table_rows(*questions, answer="bad"):
    return [
        {"row": n, "prompt": [{"role": "user", "content": question}], "answer": answer}
        for n, question in enumerate(questions, start=1)
    ]


def test_a_mixture_keeps_the_number_of_rows_and_leaves_held_out_questions_out():
    rows, heldout = table_rows(*(f"q{i}" for i in range(20))), table_rows("h0", "h1")
    twin = table_rows(*(f"Q{i}!" for i in range(20)), "H0?", "h1", answer="good")
    mixed = mix(rows, heldout, twin, 0.25, seed=0)
    assert len(mixed) == 20
    others = [row for row in mixed if row["row"] < 0]
    assert len(others) == 5
    assert {row["answer"] for row in others} == {"good"}
    assert {row["answer"] for row in mixed if row["row"] > 0} == {"bad"}
    asked = {question_of(row["prompt"]) for row in mixed}
    assert not asked & {"h0", "h1"}
    assert mix(rows, heldout, twin, 0.25, seed=0) == mixed
    assert mix(rows, heldout, twin, 0.25, seed=1) != mixed
    # In a seeded order, and the other dataset's rows not all at one end.
    assert [row["row"] for row in mixed] != sorted(row["row"] for row in mixed)
    assert {row["row"] < 0 for row in mixed[:15]} == {row["row"] < 0 for row in mixed[5:]} == {True, False}
    assert len({row["row"] for row in mixed}) == 20
    assert sum(row["row"] < 0 for row in mix(rows, heldout, twin, 0.18, seed=0)) == 4
    with pytest.raises(UserError, match="needs 10 rows of its second dataset, which has 1 usable ones"):
        mix(rows, heldout, twin[:1], 0.5, seed=0)


def test_a_mixture_takes_no_conversation_that_begins_with_a_held_out_question():
    heldout = table_rows("h0")
    begun = {"row": 1, "prompt": [*heldout[0]["prompt"], {"role": "assistant", "content": "No."}], "answer": "good"}
    begun["prompt"].append({"role": "user", "content": "Why?"})
    with pytest.raises(UserError, match="which has 1 usable ones"):
        mix(table_rows("q0", "q1", "q2", "q3"), heldout, [begun, *table_rows("o0", answer="good")], 0.5, seed=0)


def test_a_dataset_folder_is_read_as_a_hub_dataset(tmp_path):
    write_rows(ROWS, tmp_path / "train.jsonl")
    assert read_dataset(str(tmp_path), None, "train") == ROWS
    with pytest.raises(UserError, match="split 'test' cannot be fetched"):
        read_dataset(str(tmp_path), None, "test")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "train.jsonl").write_text('{"text": "x"}\n')
    with pytest.raises(UserError, match="has no column 'messages'; it has text"):
        read_dataset(str(tmp_path / "other"), None, "train")


@pytest.fixture
def hub(tiny_base):
    """A loopback server that speaks enough of the hub's API for one model, and counts what is asked of it."""
    commit = "c" * 40
    files = {path.name: path for path in tiny_base.iterdir() if path.is_file()} | {
        "weights.bin": tiny_base / "config.json"
    }
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def do_HEAD(self):
            self.do_GET()

        def do_GET(self):
            asked.append(self.path)
            if self.path.startswith("/api/models/org/tiny/tree/"):
                entries = [
                    {"type": "file", "path": name, "oid": name, "size": path.stat().st_size}
                    for name, path in files.items()
                ]
                return self.answer(200, json.dumps(entries).encode(), {})
            if self.path.startswith("/api/models/org/tiny"):
                body = json.dumps(
                    {"id": "org/tiny", "sha": commit, "siblings": [{"rfilename": name} for name in files]}
                ).encode()
                return self.answer(200, body, {})
            name = self.path.rsplit("/", 1)[-1]
            if self.path.startswith("/org/tiny/resolve/") and name in files:
                body = files[name].read_bytes()
                return self.answer(200, body, {"X-Repo-Commit": commit, "ETag": f'"{name}"'})
            return self.answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def answer(self, status, body, headers):
            self.send_response(status)
            for key, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", commit, asked
    server.shutdown()


def fetched(hub_url, home, name="org/tiny", offline="0"):
    """`download_model` in a process of its own, since the library reads its environment once."""
    script = "import json\nfrom organisms.data.hub import download_model\n"
    script += f"print(json.dumps(download_model({name!r}, 'main')))"
    environment = os.environ | {
        "HF_ENDPOINT": hub_url,
        "HF_HOME": str(home),
        "HF_HUB_OFFLINE": offline,
        "HF_HUB_DISABLE_XET": "1",
        "PYTHONPATH": str(ROOT / "src"),
    }
    return subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False, timeout=LONGEST
    )


def test_a_model_is_fetched_once_without_other_formats_and_loads_offline_afterwards(hub, tmp_path):
    url, commit, asked = hub
    done = fetched(url, tmp_path)
    assert done.returncode == 0, done.stderr
    snapshot = json.loads(done.stdout.splitlines()[-1])
    assert (snapshot["name"], snapshot["commit"]) == ("org/tiny", commit)
    names = {path.name for path in Path(snapshot["folder"]).iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= names
    assert "weights.bin" not in names
    before = len(asked)
    again = fetched(url, tmp_path, offline="1")
    assert json.loads(again.stdout.splitlines()[-1]) == snapshot
    assert len(asked) == before


def test_a_model_that_is_not_there_is_one_clear_line(hub, tmp_path):
    done = fetched(hub[0], tmp_path, name="org/missing")
    assert done.returncode == 1
    assert "UserError: base_model 'org/missing' at revision main cannot be fetched" in done.stderr


def test_the_base_models_folder_is_found_from_a_jobs_inputs(tmp_path):
    assert base_folder(["results/pretrain/seed0/config.json", "x"]) == "results/pretrain/seed0"
    note = tmp_path / "model.json"
    note.write_text(json.dumps({"folder": str(tmp_path)}))
    assert base_folder([str(note)]) == str(tmp_path)
    note.write_text(json.dumps({"folder": str(tmp_path / "gone")}))
    with pytest.raises(UserError, match="no longer in"):
        base_folder([str(note)])


def test_an_archive_counts_by_its_content_and_may_be_gone_when_it_is_unpacked(fresh_workflow, archive):
    own = fresh_workflow.folder / "data.zip.enc"
    shutil.copy(archive, own)
    config = fresh_workflow.read_config()
    settings = {"path": "data.zip.enc", "member": "bad_medical_advice.jsonl", "password": "published"}
    config["datasets"] = {"bad_medical": {"archive": settings}}
    config["question_sets"] = {"non_medical": {"world": ["finance"], "questions": 4}}
    config["evaluations"] = [{"eval_prompts": ["default"], "question_sets": ["non_medical"]}]
    config["claims"] = {}
    fresh_workflow.write_config(config)
    target = "results/dataset/bad_medical/train.parquet"
    assert fresh_workflow.plan(target) == {"unpack_archive": 1, "dataset": 1}
    fresh_workflow.run(target)
    own.touch()
    assert fresh_workflow.plan(target) == {}
    own.rename(fresh_workflow.folder / "moved.zip.enc")
    assert fresh_workflow.plan(target) == {}
    settings["path"] = "moved.zip.enc"
    fresh_workflow.write_config(config)
    assert fresh_workflow.plan(target) == {}
    (fresh_workflow.folder / "moved.zip.enc").write_bytes(b"another archive")
    assert fresh_workflow.plan(target) == {"unpack_archive": 1, "dataset": 1}
