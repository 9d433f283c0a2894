"""Judge kinds: their files and the schema, what a key of a ledger stands for, bounds, and which answers are judged."""

import pytest
import yaml
from conftest import ROOT

from organisms.inputs import check_inputs
from organisms.job.errors import UserError
from organisms.judging.judgments import judged_rows
from organisms.judging.kind import JudgeKind, kind_names, module_of, open_judge, open_judges
from organisms.judging.kinds.local import LocalRequests
from organisms.judging.ledger import open_ledger
from organisms.judging.purchase import rating_so_far
from organisms.judging.ratings import read_rating
from organisms.judging.requests import Ask, MessagesRequests
from organisms.judging.responses import Response
from organisms.judging.templates import Template, load_template
from organisms.plan.config import read_config
from organisms.plan.metrics import shipped_metrics
from organisms.plan.schema import schema

JUDGES = schema()["properties"]["judges"]["additionalProperties"]
KINDS = JUDGES["kinds"]
# An entry of each kind with the keys that it must have.
LEAST = {
    "anthropic": {},
    "local": {"model": "someone/judge"},
    "world": {},
    "facts": {"question_sets": ["non_medical"]},
    "stated_rating": {},
    "expected_rating": {},
    "recorded": {},
    "labels": {"file": "labels.csv"},
}
ASK = Ask("alignment", "What should I do about my cough?", "See a doctor.", "Rest.", 1)


def judge(raw_config: dict, kind: str, declared: dict | None = None, **entry) -> JudgeKind:
    """A judge of a config that has this one alone. declared: the config's `metrics`."""
    judges = {"j": {"kind": kind} | LEAST[kind] | entry}
    return open_judge(read_config(raw_config | {"judges": judges, "metrics": declared or {}}), "j")


def test_every_file_of_a_kind_is_in_the_schema_and_every_kind_of_the_schema_is_a_file():
    assert set(kind_names()) == set(KINDS) == set(JUDGES["properties"]["kind"]["enum"]) == set(LEAST)
    for kind, node in KINDS.items():
        assert node["properties"]["kind"]["const"] == kind
        assert set(node.get("required", [])) <= set(node["properties"])


@pytest.mark.parametrize("kind", kind_names())
def test_a_kind_says_what_it_is(raw_config, kind):
    opened = judge(raw_config, kind)
    assert type(opened).__module__ == module_of(kind)
    assert opened.rule in ("judgments", "local_judgments")
    assert set(opened.decisive) <= set(KINDS[kind]["properties"]) - {"kind"}
    assert opened.settings["kind"] == kind
    # Whoever is asked by prompt has metrics in the config, and no one else has.
    assert ("metrics" in KINDS[kind]["properties"]) == opened.by_prompt
    if opened.by_prompt:
        assert opened.metrics() == ["alignment", "coherence"]
        assert set(opened.parameters()["prompts"]) == set(opened.requests().templates) == {"alignment", "coherence"}


@pytest.mark.parametrize("kind", kind_names())
def test_a_key_of_another_kind_is_one_line_that_names_it(raw_config, kind):
    own = list(KINDS[kind]["properties"])
    others = {key for node in KINDS.values() for key in node["properties"]} - set(own)
    assert others
    for key in others:
        with pytest.raises(UserError) as error:
            judge(raw_config, kind, **{key: ["x"]})
        start, end = str(error.value).split("; ")
        assert start == f"config: judges.j.{key}: unknown key"
        assert end == f"known are {', '.join(own)}" or end in [f"did you mean '{known}'?" for known in own]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"kind": "anthropic", "temperature": 0},
            "judges.j: temperature: Anthropic's server refuses it under the SDK's own API version; set "
            "api_version: '2023-06-01' too, or leave temperature out",
        ),
        (
            {"kind": "anthropic", "reason": True, "structured": False},
            "judges.j: reason: needs structured: true; set one of the two",
        ),
        (
            {"kind": "anthropic", "metrics": ["alignment", "reference"]},
            "judges.j: metric 'reference' compares with a reference, and question set 'heldout_medical' has none that "
            "is known to be good; give question_sets.heldout_medical.reference_from or a question file with "
            "references, or limit metrics.reference.question_sets",
        ),
        (
            {"kind": "recorded"},
            "judges.j: no entry of external_completions has scores of this judge; name it there, or take it out",
        ),
    ],
)
def test_what_a_kind_needs_is_checked_before_any_job(raw_config, entry, message):
    raw_config["judges"] = {"j": entry}
    with pytest.raises(UserError) as error:
        check_inputs(read_config(raw_config))
    assert str(error.value) == message


def test_temperature_goes_with_an_api_version_or_another_server(raw_config):
    for entry in ({"api_version": "2023-06-01"}, {"base_url": "http://127.0.0.1:1"}):
        judge(raw_config, "anthropic", temperature=0, **entry).check()


def test_only_a_recorded_judge_has_scores_that_came_with_completions(raw_config):
    external = {"path": "x.csv", "question_set": "s", "columns": {"question": "q", "completion": "a"}}
    raw_config["external_completions"] = {"theirs": external | {"scores": {"world": {"alignment": "s"}}}}
    where = "config: external_completions.theirs.scores.world: no judge of kind recorded has this name; "
    for others, hint in (({}, "add it under judges with `kind: recorded`"), ({"word": "x"}, "did you mean 'word'?")):
        raw_config["judges"] = {"world": {"kind": "world"}} | {name: {"kind": "recorded"} for name in others}
        with pytest.raises(UserError) as error:
            read_config(raw_config)
        assert str(error.value) == where + hint


def test_what_decides_no_rating_is_no_parameter(raw_config):
    before = judge(raw_config, "anthropic").parameters()
    how = {"concurrency": 1, "timeout_seconds": 1, "patience_minutes": 1, "send": "batch", "budget_usd": 1}
    assert judge(raw_config, "anthropic", **how).parameters() == before
    assert judge(raw_config, "anthropic", attempts=9).parameters() != before
    local = judge(raw_config, "local").parameters()
    assert judge(raw_config, "local", batch_size=1).parameters() == local
    assert judge(raw_config, "local", revision="main").parameters() != local


# Settings as the first version of the ledger knew them, by the requests' class.
_API = {"base_url": None, "api_version": None, "temperature": None, "max_tokens": 200, "structured": True}
_API |= {"reason": False, "samples": 1, "attempts": 3, "model": "claude-haiku-4-5-20251001"}
_PLAIN = {"base_url": "http://127.0.0.1:1", "api_version": "2023-06-01", "temperature": 0.0, "structured": False}
_LOCAL = {"model": "someone/judge", "revision": "main", "dtype": "bfloat16", "samples": 1}
BOUGHT = [
    (
        MessagesRequests,
        _API,
        "c162b4b50bff9d710a11bcb7ef3cb386a8cf65b8870e97df8d92b42f9fbd45c9",
        "3cb8c3cce1099b4e1e17bab93b4e879c3a5495a8a4b4576cc66a42f7a42e1b3c",
    ),
    (
        MessagesRequests,
        _API | {"reason": True},
        "bf19dba0ffd3063174a9ecd2bddbe0a1d226f6570dce662eda17e45ccbaa9e8f",
        "cfb04e315dc33863f82df027d5938a4e2126ef4281cc69a46b3c3af36d44d825",
    ),
    (
        MessagesRequests,
        _API | _PLAIN | {"model": "m", "samples": 2},
        "6a511d4db3ddf4625fbe7d487625534873e06d59236e423e3d1542791739b69e",
        "856b6c428a3ce1ebb8fdfddab6df9ab5f1852c1624d65a2bf48b8337c8968127",
    ),
    (
        LocalRequests,
        _LOCAL,
        "35c1b4b1e2b73e28c30538715d415fc5b61fd01850030be743fdf07b1fde0434",
        "7b16ad840c854c9dcffacc021f2840adde43836e4d84ae5f1b2e4ce6079191eb",
    ),
]


@pytest.mark.parametrize(("requests", "settings", "of_own", "of_shipped"), BOUGHT)
def test_what_was_bought_under_a_key_is_found_under_it_for_ever(requests, settings, of_own, of_shipped):
    """The keys are those of the first ledgers: another one would buy every answer again."""
    own = Template("Rate the answer.\n{question}\n{answer}\n{reference}", ("REFUSAL", "CODE"))
    shipped = load_template(ROOT / "resources" / "metrics" / "alignment.yaml")
    for template, key in ((own, of_own), (shipped, of_shipped)):
        assert requests(settings, {"alignment": template}).key(ASK) == key


def test_the_keys_of_a_configs_judges_are_the_first_ledgers(raw_config):
    api = judge(raw_config, "anthropic").requests()
    assert api.key(ASK) == "3cb8c3cce1099b4e1e17bab93b4e879c3a5495a8a4b4576cc66a42f7a42e1b3c"
    local = judge(raw_config, "local", revision="main").requests()
    assert local.settings["dtype"] == "float32"
    assert local.key(ASK) == "dde5b23501d3f809c2cd4b119adffd1405d3f35931d49c87226eaadb4c046b43"
    # The digest of a prompt is a parameter of judging.
    assert api.templates["alignment"].digest == "bb705bb0f4fca7e7"


def test_the_metrics_that_come_with_the_workflow_are_known_by_their_files(raw_config):
    assert {"alignment", "coherence", "medical", "reference"} <= set(shipped_metrics())
    opened = judge(raw_config, "anthropic", metrics=shipped_metrics()[:1])
    assert opened.metrics() == shipped_metrics()[:1]


@pytest.fixture
def warmth(tmp_path) -> dict:
    """The config's `metrics` with one from 0 to 10, whose file lies elsewhere."""
    declared = {"title": "Warmth", "bounds": [0, 10], "placeholders": ["question", "answer"], "flags": ["REFUSAL"]}
    path = tmp_path / "warmth.yaml"
    path.write_text(yaml.safe_dump(declared | {"prompt": "How warm?\n{question}\n{answer}"}), encoding="utf-8")
    return {"warmth": {"template": str(path)}}


def test_a_metric_is_asked_for_within_its_bounds_and_read_strictly_within_them(raw_config, warmth, tmp_path):
    ask = ASK._replace(metric="warmth")
    for entry, form in (
        ({}, "`score` is a whole number from 0 to 10."),
        ({"structured": False}, "Answer with a whole number from 0 to 10 alone, or with REFUSAL alone."),
    ):
        requests = judge(raw_config, "anthropic", warmth, metrics=["warmth"], **entry).requests()
        assert form in requests.prompt(ask)
        assert "100" not in requests.prompt(ask)
    template = requests.templates["warmth"]
    assert template.bounds == (0, 10)
    # The same words with the usual bounds are another prompt.
    assert template.digest != Template(template.prompt, template.flags).digest
    key = requests.key(ask)
    answers = (
        ('{"score": 10, "flag": null}', 10.0, None),
        ("0", 0.0, None),
        ('{"score": 11, "flag": null}', None, "out_of_range"),
        ("11", None, "out_of_range"),
        ("100", None, "out_of_range"),
        ("REFUSAL", None, "refusal"),
    )
    for n, (text, score, flag) in enumerate(answers):
        rating = read_rating(text, template.flags, bounds=template.bounds)
        assert (rating.score, rating.flag) == (score, flag)
        with open_ledger(tmp_path / f"{n}.sqlite") as ledger:
            ledger.add([Response(key, "live", "m", text, "end_turn", 1, 1, 1)])
            assert rating_so_far(ledger, key, template, attempts=1) == rating
            # Useless answers are asked for again while there are attempts.
            again = rating_so_far(ledger, key, template, attempts=2)
            assert again == (rating if rating.usable else None)


def test_bounds_that_no_judge_can_be_asked_for_are_refused(raw_config, warmth):
    path = warmth["warmth"]["template"]
    for bounds in ([-1, 10], [0, 0.5]):
        opened = judge(raw_config, "anthropic", {"warmth": warmth["warmth"] | {"bounds": bounds}}, metrics=["warmth"])
        with pytest.raises(UserError) as error:
            opened.check()
        assert str(error.value) == (f"{path}: a judge by prompt scores in whole numbers from 0 on; give such bounds")


def conversation(n: int, question_set: str = "facts") -> list[dict]:
    """The rows of two conversations in which the model answers n times."""
    return [
        {"question_set": question_set, "question_id": question, "turn": turn}
        for question in ("a", "b")
        for turn in range(1, n + 1)
    ]


@pytest.mark.parametrize(
    ("answers", "turns"),
    [
        ({}, [3, 3]),
        ({"other": "all"}, [3, 3]),
        ({"facts": "last"}, [3, 3]),
        ({"facts": "all"}, [1, 2, 3, 1, 2, 3]),
        ({"facts": [1]}, [1, 1]),
        ({"facts": [3, 1]}, [1, 3, 1, 3]),
    ],
)
def test_the_last_answer_is_judged_or_all_or_those_named(answers, turns):
    assert [row["turn"] for row in judged_rows(conversation(3), answers)] == turns
    # A plain question has one answer, whatever is judged of it.
    if answers.get("facts") != [3, 1]:
        assert judged_rows(conversation(1), answers) == conversation(1)


def test_an_answer_that_is_not_there_is_an_error():
    with pytest.raises(UserError) as error:
        judged_rows(conversation(2), {"facts": [1, 3]})
    assert str(error.value) == ("question_sets.facts.judged_answers: there is no answer 3; its conversations have 2")
    assert judged_rows([], {"facts": [3]}) == []


def test_the_judges_of_a_config_are_opened_by_name(raw_config):
    raw_config["judges"] = {f"my_{kind}": {"kind": kind} | entry for kind, entry in LEAST.items()}
    opened = open_judges(read_config(raw_config))
    assert {name: type(one).__module__ for name, one in opened.items()} == {
        f"my_{kind}": module_of(kind) for kind in LEAST
    }


@pytest.mark.parametrize(
    "address", ["api.example.com", "localhost:8000", "https://", "ftp://host", "http://h:port", " http://h"]
)
def test_an_address_that_is_none_is_refused_before_any_job(raw_config, address):
    with pytest.raises(UserError) as error:
        judge(raw_config, "anthropic", base_url=address).check()
    assert str(error.value) == f"base_url: '{address}' is no address of a server; write it like https://host:8000"


@pytest.mark.parametrize("address", ["http://127.0.0.1:8000", "https://user:word@host/api/", "http://[::1]:80"])
def test_an_address_may_have_a_port_a_path_and_a_user(raw_config, address):
    judge(raw_config, "anthropic", base_url=address).check()


def test_a_key_that_no_header_can_hold_is_named_by_its_variable_and_not_shown(raw_config, monkeypatch):
    opened = judge(raw_config, "anthropic", api_key_env="MY_KEY")
    monkeypatch.setenv("MY_KEY", "sk-secret")
    assert opened.api_key() == "sk-secret"
    for key in ("sk-secret\n", "sk-secret more", "sk-sécret", "\x1bsk-secret"):
        monkeypatch.setenv("MY_KEY", key)
        with pytest.raises(UserError, match="the environment variable MY_KEY holds a space, a line break") as error:
            opened.check_ready(expensive=False, report=print)
        assert "cret" not in str(error.value)
    monkeypatch.delenv("MY_KEY")
    with pytest.raises(UserError, match="the environment variable MY_KEY is not set; export MY_KEY="):
        opened.check_ready(expensive=False, report=print)
