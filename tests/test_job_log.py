"""What a job shows on the terminal, and what stands in its log."""

import hashlib
import json
import subprocess
import sys

from conftest import LONGEST, ROOT

from organisms.job.files import sha256_of
from organisms.job.log import visible


def job(tmp_path, body):
    script = (
        f"import sys\nsys.path.insert(0, {str(ROOT / 'src')!r})\n"
        "from organisms.job.errors import UserError\nfrom organisms.job.log import job_log\n"
        "from types import SimpleNamespace\n"
        f"job = SimpleNamespace(log=[{str(tmp_path / 'logs' / 'job.log')!r}], config={{'results': {str(tmp_path)!r}}},"
        f"rule='finetune', params={{'rank': 8}}, input=[], output=[{str(tmp_path / 'out.txt')!r}])\n"
        f"with job_log(job, 'finetune x') as report:\n    {body}\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=LONGEST)
    return done, (tmp_path / "logs" / "job.log").read_text(encoding="utf-8")


def test_progress_is_on_the_terminal_and_everything_in_the_log(tmp_path):
    done, log = job(tmp_path, "print('noise'); import os; os.system('echo from a child'); report('step 1/2')")
    assert done.returncode == 0
    assert done.stdout == ""
    assert done.stderr == "[finetune x] step 1/2\n"
    assert all(text in log for text in ("noise", "from a child", "step 1/2", "done in"))


def test_a_user_error_is_one_line(tmp_path):
    done, log = job(tmp_path, "raise UserError('a.jsonl, line 3: no messages')")
    assert done.returncode == 1
    assert done.stderr == "[finetune x] error: a.jsonl, line 3: no messages\n"
    assert "Traceback" not in log


def test_another_error_is_one_line_that_names_the_log(tmp_path):
    done, log = job(tmp_path, "1 / 0")
    assert done.returncode == 1
    assert done.stderr.startswith("[finetune x] error: ZeroDivisionError: division by zero (traceback in ")
    assert done.stderr.count("\n") == 1
    assert "Traceback" in log


def test_what_a_job_was_made_of_is_noted_when_it_has_ended_well(tmp_path):
    job(tmp_path, f"open({str(tmp_path / 'out.txt')!r}, 'w').write('made')")
    manifest = json.loads((tmp_path / "manifests" / "job.json").read_text(encoding="utf-8"))
    assert manifest["outputs"] == {"<results>/out.txt": {"bytes": 4, "sha256": hashlib.sha256(b"made").hexdigest()}}
    assert (manifest["rule"], manifest["params"]) == ("finetune", {"rank": 8})
    assert manifest["workflow"]["lock_sha256"] == sha256_of(ROOT / "requirements.lock")
    # A job that fails leaves none, and takes away the one before: its outputs are gone too.
    job(tmp_path, "1 / 0")
    assert not (tmp_path / "manifests" / "job.json").exists()


def test_what_a_terminal_would_obey_is_shown_and_not_obeyed(tmp_path):
    """Texts of models, users and servers reach the terminal: none may clear it or write a line of its own."""
    hostile = "a\x1b[2Jb\x9b31mc\r[finetune x] done\n[finetune x] done\u202ed\ud800"
    shown = "a\\x1b[2Jb\\x9b31mc\\r[finetune x] done\\n[finetune x] done\\u202ed\\ud800"
    for body, said in (
        (f"report({hostile!r})", f"[finetune x] {shown}\n"),
        (f"raise UserError({hostile!r})", f"[finetune x] error: {shown}\n"),
    ):
        done, log = job(tmp_path, body)
        assert done.stderr == said
        assert shown in log
    done, log = job(tmp_path, f"raise ValueError({hostile!r})")
    assert "\\x1b[2J" in done.stderr
    assert "\x1b" not in done.stderr
    assert "Traceback" in log
    # What is only foreign stays as it is.
    assert visible("ünïcödé 日本語 👩‍🔬\tשלום") == "ünïcödé 日本語 👩‍🔬\tשלום"
