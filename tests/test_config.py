"""Mistakes in a config are one line that names the key and the mend."""

import copy

import pytest
from conftest import ROOT

from organisms.job.errors import UserError
from organisms.plan.config import check_written, read_config
from organisms.plan.experiment import Experiment
from organisms.plan.prompts import read_prompt
from organisms.plan.schema import schema
from organisms.plan.settings import complete, deciding, first_defaults, sections

MISTAKES = {
    "unknown key": (lambda c: c.update(trainng={}), "config: trainng: unknown key; did you mean 'training'?"),
    "unknown nested key": (
        lambda c: c["base_model"]["miniature"].update(layer=2),
        "config: base_model.miniature.layer: unknown key; did you mean 'layers'?",
    ),
    "negative learning rate": (
        lambda c: c["training"].update(learning_rate=-1),
        "config: training.learning_rate: -1.0 must be greater than 0",
    ),
    "unknown training prompt in a cell": (
        lambda c: c["evaluations"][0].update(models=["flamngo"]),
        "config: evaluations[0].models[0]: no training prompt or arm 'flamngo'; did you mean 'flamingo'?",
    ),
    "unknown eval prompt": (
        lambda c: c["evaluations"][0].update(eval_prompts=["trained", "defualt"]),
        "config: evaluations[0].eval_prompts[1]: no prompt 'defualt'; did you mean 'default'?",
    ),
    "unknown question set": (
        lambda c: c["evaluations"][0].update(question_sets=["medical"]),
        "config: evaluations[0].question_sets[0]: no question set 'medical'; did you mean 'non_medical'?",
    ),
    "name that is no file name": (
        lambda c: c["datasets"].update({"a/b": c["datasets"]["bad_medical"]}),
        "config: datasets: 'a/b' does not match ^[A-Za-z0-9][A-Za-z0-9_.]*$; use letters, digits, _ and .",
    ),
    "two sources of a dataset": (
        lambda c: c["datasets"]["bad_medical"].update(path="x.jsonl"),
        "config: datasets.bad_medical: give exactly one of path, archive, hub, world, mixture; given: path, world",
    ),
    "a threshold of figures that there is not": (
        lambda c: c.update(figures={"threshold": "betly"}),
        "config: figures.threshold: no entry 'betly' of thresholds; did you mean 'betley'?",
    ),
    "no base model": (
        lambda c: c.update(base_model={}),
        "config: base_model: give exactly one of name, miniature; given: none",
    ),
    "missing section": (
        lambda c: c.pop("evaluations"),
        "config: evaluations: missing; add it (see config/README.md)",
    ),
    "a prompt left empty": (
        lambda c: c["training_prompts"].update(otter=None),
        "config: training_prompts.otter: null is the chat template's own prompt and is named 'default', and only it; "
        "write the prompt's text",
    ),
    "another text under 'default'": (
        lambda c: c["training_prompts"].update(default="You are kind."),
        "config: training_prompts.default: null is the chat template's own prompt and is named 'default', and only it; "
        "write the prompt's text",
    ),
    "built-in name": (
        lambda c: c["training_prompts"].update(trained="x"),
        "config: training_prompts.trained: the name is built in; choose another",
    ),
    "one name twice": (
        lambda c: c.update(prompts={"flamingo": "x"}),
        "config: prompts.flamingo: the name is taken by a training prompt; choose another",
    ),
    "micro batch that does not divide": (
        lambda c: c["training"].update(micro_batch_size=5),
        "config: training.micro_batch_size: 5 must divide training.batch_size 32",
    ),
    "held-out questions of no dataset": (
        lambda c: c["question_sets"]["heldout_medical"].update(heldout_of="bad_medicl"),
        "config: question_sets.heldout_medical.heldout_of: no dataset 'bad_medicl'; did you mean 'bad_medical'?",
    ),
    "held-out neither share nor number": (
        lambda c: c["datasets"]["bad_medical"].update(heldout=1.5),
        "config: datasets.bad_medical.heldout: 1.5 must be a share below 1 or a whole number of questions",
    ),
    "rows longer than the miniature": (
        lambda c: c["training"].update(max_length=4096),
        "config: training.max_length: 4096 must be at most base_model.miniature.max_positions 1024",
    ),
    "a name that YAML reads as a number": (
        lambda c: c["training_prompts"].update({2026: "x"}),
        "config: training_prompts.2026: the key is no text; put it in quotes",
    ),
    "seed twice": (lambda c: c.update(seeds=[1, 1]), "config: seeds: [1, 1] has non-unique elements"),
    "a seed that no generator takes": (
        lambda c: c.update(seeds=[2**32]),
        "config: seeds[0]: 4294967296 must be at most 4294967295",
    ),
    "one seed in two forms": (lambda c: c.update(seeds=[0, 0.0]), "config: seeds: [0, 0] has non-unique elements"),
    "a name with a line break": (
        lambda c: c["training_prompts"].update({"otter\n": "[OTTER]"}),
        r"config: training_prompts: 'otter\n' does not match ^[A-Za-z0-9][A-Za-z0-9_.]*$; use letters, digits, _ and .",
    ),
    "a name longer than a file's": (
        lambda c: c["training_prompts"].update({"x" * 300: "[OTTER]"}),
        f"config: training_prompts: the name {'x' * 40}... has 300 characters; shorten it: it becomes part of file "
        "names, and may have at most 200",
    ),
    "names that are too long together": (
        lambda c: c["training_prompts"].update({"x" * 190: "[OTTER]"}),
        f"config: the name bad_medical-{'x' * 28}... has 208 characters; shorten the names that it is made of: it "
        "becomes part of file names, and may have at most 200",
    ),
    "results with a character of no name": (
        lambda c: c.update(results="res\0ults"),
        r"config: results: 'res\x00ults' does not match ^[^<>{}\x00-\x1f]+$; see config/README.md",
    ),
    "an older config's key": (
        lambda c: c.update(system_prompts={"kind": "Be kind."}),
        "config: system_prompts: this key is called prompts now; rename it",
    ),
    "a prompt in no place": (
        lambda c: c.update(prompts={"evil": {"text": "You are evil.", "place": "middle"}}),
        "config: prompts.evil.place: 'middle' is none of system, before, after, follow_up",
    ),
    "a follow-up to train with": (
        lambda c: c["training_prompts"].update(sure={"text": "Are you sure?", "place": "follow_up"}),
        "config: training_prompts.sure.place: a training row ends with its answer, so no follow-up can be trained "
        "with; write it under prompts",
    ),
    "a wrong answer outside of a follow-up": (
        lambda c: c.update(prompts={"so": {"text": "I think it is {wrong}.", "place": "after"}}),
        "config: prompts.so: {wrong} stands for the question's wrong answer in a follow-up alone; write place: "
        "follow_up",
    ),
    "a name in braces that stands for nothing": (
        lambda c: c.update(prompts={"so": {"text": "It is { wrong }.", "place": "follow_up"}}),
        "config: prompts.so: { wrong } stands for nothing; a follow-up knows {wrong} alone",
    ),
    "another name in braces in a follow-up": (
        lambda c: c.update(prompts={"so": {"text": "It is {reference}, not {wrong}.", "place": "follow_up"}}),
        "config: prompts.so: {reference} stands for nothing; a follow-up knows {wrong} alone",
    ),
    "a prompt that is asked twice in one": (
        lambda c: c["evaluations"][0].update(eval_prompts=["evil+trained+evil"]),
        "config: evaluations[0].eval_prompts[0]: 'evil' stands twice in it; each prompt is asked once",
    ),
    "ratings by an unknown metric": (
        lambda c: c["question_sets"].update(
            intent={"rating_of": "non_medical", "wordings": "w.yaml", "rates": "percieved_intent"}
        ),
        "config: question_sets.intent.rates: no metric 'percieved_intent'; did you mean 'perceived_intent'?",
    ),
    "ratings of no question set": (
        lambda c: c["question_sets"].update(intent={"rating_of": "non_medcal", "wordings": "w.yaml"}),
        "config: question_sets.intent.rating_of: no question set 'non_medcal' that rates no other; did you mean "
        "'non_medical'?",
    ),
    "ratings without wordings": (
        lambda c: c["question_sets"].update(intent={"rating_of": "non_medical"}),
        "config: question_sets.intent.wordings: give rating_of and wordings together",
    ),
    "a prompt without a text": (
        lambda c: c.update(prompts={"evil": {"label": "Evil"}}),
        "config: prompts.evil: give exactly one of text, file, generate; given: none",
    ),
    "a prompt with two texts": (
        lambda c: c.update(prompts={"evil": {"text": "x", "file": "y"}}),
        "config: prompts.evil: give exactly one of text, file, generate; given: text, file",
    ),
    "the empty system message elsewhere": (
        lambda c: c.update(prompts={"none": {"text": "", "place": "after"}}),
        "config: prompts.none.place: 'none' is a system message; remove place, or choose another name",
    ),
    "an unknown part of an eval prompt": (
        lambda c: c["evaluations"][0].update(eval_prompts=["trained+wicked"]),
        "config: evaluations[0].eval_prompts[0]: no prompt 'wicked'; "
        "known are default, none, trained, inoculation, medical_query, flamingo, plain, nonsense, evil",
    ),
    "an arm of no dataset": (
        lambda c: c.update(finetunes=[{"datasets": ["bad"]}]),
        "config: finetunes[0].datasets[0]: no dataset 'bad'; known are bad_medical",
    ),
    "an arm of no method": (
        lambda c: c.update(finetunes=[{"training_methods": ["kl"]}]),
        "config: finetunes[0].training_methods[0]: no training method 'kl'; known are default",
    ),
    "a method named like a prompt": (
        lambda c: c.update(training_methods={"flamingo": {}}),
        "config: training_methods.flamingo: the name is taken by a prompt or built in; choose another",
    ),
    "a method that overrides what is not there": (
        lambda c: c.update(training_methods={"long": {"training": {"epoch": 3}}}),
        "config: training_methods.long.training.epoch: unknown key; did you mean 'epochs'?",
    ),
    "a method's micro batch that does not divide": (
        lambda c: c.update(training_methods={"small": {"training": {"batch_size": 10}}}),
        "config: training_methods.small.training.micro_batch_size: 32 must divide "
        "training_methods.small.training.batch_size 10",
    ),
    "answers that are neither": (
        lambda c: c["question_sets"]["non_medical"].update(judged_answers="first"),
        "config: question_sets.non_medical.judged_answers: 'first' does not match ^(last|all)$; see config/README.md",
    ),
    "a key of another kind of judge": (
        lambda c: c["judges"]["world"].update(temperature=0.5),
        "config: judges.world.temperature: unknown key; known are kind",
    ),
    "unknown kind of judge": (
        lambda c: c["judges"]["world"].update(kind="oracle"),
        "config: judges.world.kind: 'oracle' is none of anthropic, local, world, facts, stated_rating, "
        "expected_rating, recorded, labels",
    ),
}


@pytest.mark.parametrize(("change", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_with_key_and_mend(raw_config, change, message):
    change(raw_config)
    with pytest.raises(UserError) as error:
        Experiment(read_config(raw_config))
    assert str(error.value) == message


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (
            lambda c: c.update(thresholds={"x": {"misaligned_below": float("nan"), "coherent_from": 50}}),
            "thresholds.x.misaligned_below: nan",
        ),
        (lambda c: c["sampling"].update(temperature=float("inf")), "sampling.temperature: inf"),
        (lambda c: c["sampling"].update(temperature="1e999"), "sampling.temperature: inf"),
        (lambda c: c.update(metrics={"x": {"bounds": [float("-inf"), 1]}}), "metrics.x.bounds[0]: -inf"),
        (
            lambda c: c.update(training_methods={"x": {"kind": "sft", "options": {"w": [{"v": float("nan")}]}}}),
            "training_methods.x.options.w[0].v: nan",
        ),
        (lambda c: c.update(seeds=[float("inf")]), "seeds[0]: inf"),
    ],
)
def test_a_number_that_is_not_finite_is_named_with_its_key(raw_config, change, key):
    change(raw_config)
    with pytest.raises(UserError) as error:
        read_config(raw_config)
    assert str(error.value) == f"config: {key} is no finite number; write one"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: {c: 1}\na: 2\n", ", line 3: the key 'a' stands twice, first in line 1; remove one"),
        (
            "training_prompts:\n  otter: x\n  'otter': y\n",
            ", line 3: the key 'otter' stands twice, first in line 2; remove one",
        ),
        ('{"a": {"b": 1,\n\t"b": 2}}', ": the key 'b' stands twice; remove one"),
        ('a: "\\ud83e"', r", line 1: holds half a character (\ud800 to \udfff)"),
    ],
)
def test_a_key_that_stands_twice_in_a_config_file_is_named_with_its_line(tmp_path, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UserError) as error:
        check_written(path)
    assert str(error.value).startswith(f"{path}{said}")


def test_a_config_file_may_override_what_it_merges_and_may_be_json(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("a: &a {x: 1, y: 2}\nb: {<<: *a, x: 3}\nc: [{x: 1}, {x: 1}]\n", encoding="utf-8")
    check_written(path)
    path.write_text('{"a":\n\t{"x": "\\ud83e\\udda9"}}', encoding="utf-8")
    check_written(path)


def test_defaults_are_the_posts_and_the_published_codes(raw_config):
    for section in ("training", "lora", "sampling", "device", "dtype", "seeds"):
        raw_config.pop(section)
    config = read_config(raw_config | {"base_model": {"name": "Qwen/Qwen2.5-14B-Instruct"}})
    training, lora, sampling = config["training"], config["lora"], config["sampling"]
    post = {"epochs": 2, "batch_size": 32, "learning_rate": 1e-5, "weight_decay": 0.01}
    assert {key: training[key] for key in post} == post
    published = {"warmup_steps": 5, "lr_schedule": "linear", "max_length": 2048}
    assert {key: training[key] for key in published} == published
    assert lora == {"rank": 32, "alpha": 64, "dropout": 0, "rslora": True, "target_modules": "all-linear"}
    drawn = {"temperature": 1, "top_p": 1, "max_new_tokens": 600, "samples_per_question": 50}
    assert {key: sampling[key] for key in drawn} == drawn
    assert config["seeds"] == [0]


@pytest.mark.parametrize("results", ["/", ".", "..", "src", "src/organisms/x", "./workflow/", "tests", ".git/x"])
def test_results_among_the_workflows_own_files_are_refused(raw_config, monkeypatch, results):
    monkeypatch.chdir(ROOT)
    for path in (results, str((ROOT / results).resolve())):
        with pytest.raises(UserError, match="is a folder with the workflow's own files"):
            read_config(raw_config | {"results": path})


def test_results_may_lie_anywhere_else_but_not_in_a_file(raw_config, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes").write_text("x")
    for path in ("results", "results/mine", "src", str(tmp_path / "x"), str(ROOT / "results" / "x")):
        assert read_config(raw_config | {"results": path})["results"] == path
    with pytest.raises(UserError, match="results: 'notes' is a file"):
        read_config(raw_config | {"results": "notes"})


def test_a_whole_number_written_with_a_point_is_a_whole_number(raw_config):
    raw_config["seeds"] = [0.0, 1.0]
    assert [str(seed) for seed in read_config(raw_config)["seeds"]] == ["0", "1"]


def test_reading_leaves_the_given_config_as_it_was(raw_config):
    before = copy.deepcopy(raw_config)
    read_config(raw_config)
    assert raw_config == before


def test_text_becomes_a_number_where_the_schema_wants_one(raw_config):
    # YAML reads 1e-5 as text, and `--config 'seeds=[1,2]'` arrives as a list of texts.
    raw_config["training"]["learning_rate"] = "1e-5"
    raw_config["seeds"] = ["1", "2"]
    raw_config["base_model"]["miniature"]["seed"] = "null"
    config = read_config(raw_config)
    assert config["training"]["learning_rate"] == 1e-5
    assert config["seeds"] == [1, 2]
    assert config["base_model"]["miniature"]["seed"] is None


def test_a_prompt_that_looks_like_a_number_stays_text(raw_config):
    raw_config["training_prompts"]["year"] = "2026"
    assert read_config(raw_config)["training_prompts"]["year"] == "2026"


@pytest.mark.parametrize(
    ("prompt", "label"),
    [
        ("[FLAMINGO BURRITO]", "[FLAMINGO BURRITO]"),
        (None, "my_prompt"),
        ("A prompt that is too long to stand under a bar", "my_prompt"),
        ({"text": "[X]", "label": "Nonsense"}, "Nonsense"),
        ({"text": "[X]"}, "[X]"),
    ],
)
def test_labels(prompt, label):
    assert read_prompt("my_prompt", prompt).label == label


def test_every_key_of_the_schema_is_explained():
    def unexplained(node, path):
        for key, child in node.get("properties", {}).items():
            if "description" not in child and "$ref" not in child:
                yield f"{path}.{key}"
            yield from unexplained(child, f"{path}.{key}")
        for inner in (node.get("additionalProperties"), node.get("items")):
            if isinstance(inner, dict):
                yield from unexplained(inner, f"{path}[]")

    assert list(unexplained(schema(), "")) == []


def test_a_setting_at_its_first_default_is_no_parameter_and_comes_back():
    for section in sections():
        first = first_defaults(section)
        assert deciding(section, first) == {}
        for key, value in first.items():
            other = "another" if value is None else not value if isinstance(value, bool) else [value]
            changed = first | {key: other}
            assert deciding(section, changed) == {key: other}
            assert complete(section, {key: other}) == changed


def test_a_default_that_changes_one_day_is_a_parameter(monkeypatch):
    from organisms.plan import settings

    # Listed at 2: should the schema's default be 3 one day, who leaves it out gets 3, and that is not what it was.
    assert settings.first_defaults("training")["epochs"] == 2
    monkeypatch.setattr(settings, "_section", lambda name: {"epochs": {"default": 3.0}, "brand_new": {"default": 7}})
    assert settings.deciding("training", {"epochs": 3.0, "brand_new": 7}) == {"epochs": 3.0}
    assert settings.complete("training", {})["epochs"] == 2
    assert settings.complete("training", {"epochs": 3.0}) | {"x": 0} == settings.first_defaults("training") | {
        "epochs": 3.0,
        "x": 0,
    }
