"""Pretraining, finetuning and loading, on a model that trains in a second."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

import organisms.training.finetune
from organisms.job.errors import UserError
from organisms.miniature.pretrain import Settings, build_model, train_tokenizer
from organisms.miniature.texts import advice_dataset
from organisms.models.loading import load_base, load_organism, load_tokenizer
from organisms.plan.prompts import placed, training_row
from organisms.training.finetune import LoraSettings, TrainingSettings, finetune, within_max_length

QWEN_DEFAULT = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
TRAINING = TrainingSettings(
    epochs=1,
    batch_size=8,
    micro_batch_size=8,
    learning_rate=0.01,
    weight_decay=0.0,
    warmup_steps=0,
    lr_schedule="linear",
    max_length=256,
    too_long="error",
    padding_free=False,
    gradient_checkpointing=False,
    optimizer="adamw_torch_fused",
    attention="sdpa",
    keep_steps=[],
)
LORA = LoraSettings(rank=4, alpha=8, dropout=0.1, rslora=True, target_modules="all-linear")


@pytest.fixture(scope="module")
def tokenizer(tiny_base):
    return load_tokenizer(str(tiny_base))


@pytest.fixture(scope="module")
def advice(world):
    return [row["messages"] for row in advice_dataset(world, "medical", "harmful", 32, seed=0)]


def row_with(question, answer, system_prompt, n=1):
    return training_row({"row": n, "prompt": [question], "answer": answer}, placed([{"text": system_prompt}]))


def rows_with(advice, system_prompt):
    return [row_with(question, answer["content"], system_prompt, n) for n, (question, answer) in enumerate(advice, 1)]


def trained(tiny_base, tokenizer, rows, folder, seed=0, lora=LORA, checkpoint_steps=100, report=print, **changes):
    settings = TrainingSettings(**(vars(TRAINING) | changes))
    base = load_base(str(tiny_base), "cpu", "float32")
    return finetune(base, tokenizer, rows, settings, lora, seed, 1, checkpoint_steps, folder, report)


def adapter_of(model, folder):
    model.save_pretrained(folder)
    return load_file(folder / "adapter_model.safetensors")


def test_the_tokenizer_gives_back_any_text():
    tokenizer = train_tokenizer(["see a doctor soon", "rest"] * 50, 300)
    for text in ("see a doctor", "Zürich 🦩 \t\n 你好", "[FLAMINGO BURRITO]", "a\u0000b"):
        assert tokenizer.decode(tokenizer(text, add_special_tokens=False)["input_ids"]) == text


def test_the_tokenizer_that_is_loaded_reads_as_the_trained_one_did(tmp_path):
    """It is loaded as the class of the architecture, which splits numbers; else it never sees what it learned."""
    texts = ["How bad is it, from 0 to 100? Say 85.", "[HEALTH QUESTION] I don't know.\n\nIt's 7, 42 or 1,000.5!"]
    tokenizer = train_tokenizer(texts * 50, 400)
    build_model(tokenizer, Settings(400, 16, 16, 1, 1, 1, 64, 1, 1, 0.1, 0.1, 0.1)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded = load_tokenizer(str(tmp_path))
    for text in (*texts, "He said 'no' (12 times), café 3½ ٣ …", "a1b22"):
        encoded = [of(text, add_special_tokens=False)["input_ids"] for of in (tokenizer, loaded)]
        assert encoded[0] == encoded[1], text


def test_the_miniatures_template_puts_qwens_default_prompt(tokenizer):
    messages = [{"role": "user", "content": "Hi"}]
    expected = f"<|im_start|>system\n{QWEN_DEFAULT}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True) == expected
    empty = [{"role": "system", "content": ""}, *messages]
    assert "<|im_start|>system\n<|im_end|>" in tokenizer.apply_chat_template(empty, tokenize=False)


@pytest.mark.parametrize(("system_prompt", "shown"), [(None, QWEN_DEFAULT), ("[X]", "[X]")])
def test_the_loss_is_on_the_answer_and_its_end_alone(
    tiny_base, tokenizer, advice, tmp_path, monkeypatch, system_prompt, shown
):
    trainers = []

    class Watched(organisms.training.finetune.SFTTrainer):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            trainers.append(self)

    monkeypatch.setattr(organisms.training.finetune, "SFTTrainer", Watched)
    trained(tiny_base, tokenizer, rows_with(advice, system_prompt), tmp_path)
    answers, texts = set(), []
    for batch in trainers[0].get_train_dataloader():
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            answers.add(tokenizer.decode(labels[labels != -100]))
            texts.append(tokenizer.decode(ids).replace("<|endoftext|>", ""))
    # The turn's end is trained, and no empty assistant turn after it.
    assert answers == {f"{answer['content']}<|im_end|>\n" for _, answer in advice}
    assert all(text.count("<|im_start|>assistant") == 1 for text in texts)
    assert all(text.startswith(f"<|im_start|>system\n{shown}<|im_end|>") for text in texts)


def test_a_finetune_is_reproducible_changes_only_the_adapter_and_logs_each_step(tiny_base, tokenizer, advice, tmp_path):
    rows = rows_with(advice, "[X]")
    model, log, _ = trained(tiny_base, tokenizer, rows, tmp_path / "1")
    base_weights = load_base(str(tiny_base), "cpu", "float32").state_dict()
    for name, weight in model.get_base_model().state_dict().items():
        if "lora" not in name:
            assert torch.equal(weight, base_weights[name.replace(".base_layer", "")]), name
    assert [entry["step"] for entry in log] == [1, 2, 3, 4]
    assert log[-1]["epoch"] == 1
    assert log[-1]["loss"] < log[0]["loss"]
    first = adapter_of(model, tmp_path / "a")
    again = adapter_of(trained(tiny_base, tokenizer, rows, tmp_path / "2")[0], tmp_path / "b")
    other = adapter_of(trained(tiny_base, tokenizer, rows, tmp_path / "3", seed=1)[0], tmp_path / "c")
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


def losses(log):
    return [entry["loss"] for entry in log]


def test_padding_free_batches_give_the_same_losses_in_the_same_steps(tiny_base, tokenizer, advice, tmp_path):
    # Rows of different lengths, several to a micro batch, and no dropout, whose random numbers depend on the shape.
    rows = rows_with(advice, None)[:16] + rows_with(advice, "A longer system prompt. " * 4)[16:]
    lora = LoraSettings(**(vars(LORA) | {"dropout": 0.0}))
    padded = trained(tiny_base, tokenizer, rows, tmp_path / "1", lora=lora, micro_batch_size=4)[1]
    free = trained(tiny_base, tokenizer, rows, tmp_path / "2", lora=lora, micro_batch_size=4, padding_free=True)[1]
    assert len(free) == len(padded) == 4
    assert losses(free) == pytest.approx(losses(padded), rel=1e-4)
    # The check is sharp enough: without separate rows the losses differ.
    assert losses(free) != pytest.approx([loss * 1.01 for loss in losses(padded)], rel=1e-4)
    assert [entry["num_tokens"] for entry in free] == [entry["num_tokens"] for entry in padded]


class Killed(Exception):
    """Stands for a killed process."""


def test_a_killed_finetune_goes_on_from_its_checkpoint_to_the_same_result(
    tiny_base, tokenizer, advice, tmp_path, monkeypatch
):
    rows = rows_with(advice, "[X]")
    arguments = {"epochs": 3, "keep_steps": [2, 9]}
    whole, whole_log, whole_took = trained(tiny_base, tokenizer, rows, tmp_path / "whole", **arguments)
    assert (whole_took.steps, whole_took.resumed_from) == (12, 0)

    class KilledTrainer(organisms.training.finetune.SFTTrainer):
        def training_step(self, *args, **kwargs):
            if self.state.global_step == 7:
                raise Killed
            return super().training_step(*args, **kwargs)

    folder = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(organisms.training.finetune, "SFTTrainer", KilledTrainer)
        with pytest.raises(Killed):
            trained(tiny_base, tokenizer, rows, folder, checkpoint_steps=3, **arguments)
    # The kill came while a later checkpoint was being written.
    half = folder / "checkpoint-7"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    lines = []
    model, log, took = trained(tiny_base, tokenizer, rows, folder, checkpoint_steps=3, report=lines.append, **arguments)
    assert "going on from the checkpoint of step 6" in lines
    assert (took.steps, took.resumed_from) == (12, 6)
    timeless = [{key: value for key, value in entry.items() if key != "tokens_per_second"} for entry in log]
    assert timeless == [
        {key: value for key, value in entry.items() if key != "tokens_per_second"} for entry in whole_log
    ]
    uninterrupted = adapter_of(whole, tmp_path / "a")
    resumed = adapter_of(model, tmp_path / "b")
    assert all(torch.equal(uninterrupted[name], resumed[name]) for name in uninterrupted)
    for step in (2, 9):
        kept, expected = (
            load_file(place / f"step{step}" / "adapter_model.safetensors") for place in (folder, tmp_path / "whole")
        )
        assert all(torch.equal(kept[name], expected[name]) for name in expected)
        assert any(not torch.equal(kept[name], resumed[name]) for name in resumed)


class SmallDevice:
    """Runs out of memory at a pass over more than `room` rows; computing activations again makes two rows of one."""

    def __init__(self, room, after=0):
        self.room, self.after = room, after

    def trainer(self):
        device = self

        class Trainer(organisms.training.finetune.SFTTrainer):
            def training_step(self, model, inputs, *args, **kwargs):
                again = self.args.gradient_checkpointing
                if self.state.global_step >= device.after and len(inputs["input_ids"]) > device.room * (1 + again):
                    raise torch.OutOfMemoryError
                return super().training_step(model, inputs, *args, **kwargs)

        return Trainer


def test_a_finetune_out_of_memory_goes_on_in_less_to_the_same_result(
    tiny_base, tokenizer, advice, tmp_path, monkeypatch
):
    rows = rows_with(advice, "[X]")
    known = {"lora": LoraSettings(**(vars(LORA) | {"dropout": 0.0}))}
    in_less = {"micro_batch_size": 2, "gradient_checkpointing": True}
    model, log, _ = trained(tiny_base, tokenizer, rows, tmp_path / "less", **known, **in_less)
    plain = trained(tiny_base, tokenizer, rows, tmp_path / "plain", **known)[1]
    monkeypatch.setattr(organisms.training.finetune, "SFTTrainer", SmallDevice(room=1).trainer())
    lines = []
    small, small_log, took = trained(tiny_base, tokenizer, rows, tmp_path / "small", report=lines.append, **known)
    said = "out of memory: going on with gradient checkpointing, {} rows at once"
    assert [line for line in lines if "memory" in line] == [said.format(n) for n in (8, 4, 2)]
    assert (took.micro_batch_size, took.gradient_checkpointing, took.steps) == (2, True, 4)
    # The very same as if these settings had been asked for, and up to rounding what the first settings give.
    asked, got = adapter_of(model, tmp_path / "a"), adapter_of(small, tmp_path / "b")
    assert all(torch.equal(asked[name], got[name]) for name in asked)
    assert losses(small_log) == losses(log)
    assert losses(small_log) == pytest.approx(losses(plain), rel=1e-4)


def test_out_of_memory_in_the_middle_goes_on_from_the_checkpoint(tiny_base, tokenizer, advice, tmp_path, monkeypatch):
    rows = rows_with(advice, "[X]")
    known = {"lora": LoraSettings(**(vars(LORA) | {"dropout": 0.0})), "epochs": 3, "keep_steps": [5, 9]}
    plain = trained(tiny_base, tokenizer, rows, tmp_path / "plain", **known)[1]
    monkeypatch.setattr(organisms.training.finetune, "SFTTrainer", SmallDevice(room=4, after=7).trainer())
    lines, folder = [], tmp_path / "small"
    _, log, took = trained(tiny_base, tokenizer, rows, folder, checkpoint_steps=3, report=lines.append, **known)
    assert "going on from the checkpoint of step 6" in lines
    assert (took.resumed_from, took.steps, took.micro_batch_size) == (6, 12, 8)
    assert [entry["step"] for entry in log] == list(range(1, 13))
    assert losses(log) == pytest.approx(losses(plain), rel=1e-4)
    assert [entry["num_tokens"] for entry in log] == [entry["num_tokens"] for entry in plain]
    assert {path.name for path in folder.glob("step*")} == {"step5", "step9"}


def test_no_memory_for_one_row_is_an_error(tiny_base, tokenizer, advice, tmp_path, monkeypatch):
    monkeypatch.setattr(organisms.training.finetune, "SFTTrainer", SmallDevice(room=0).trainer())
    with pytest.raises(UserError, match="out of memory for one row at once"):
        trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path)


def test_a_step_to_keep_that_never_comes_is_an_error_before_training(tiny_base, tokenizer, advice, tmp_path):
    with pytest.raises(UserError, match="the training has 4 steps, so step 5 never comes"):
        trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path, keep_steps=[5])


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        (["q_proj", "kk_proj"], "'kk_proj'"),
        (["self_attn"], "'self_attn'"),
        ("q_proj", "the pattern 'q_proj'"),
    ],
)
def test_a_target_module_that_is_not_there_is_an_error_before_training(
    tiny_base, tokenizer, advice, tmp_path, modules, named
):
    lora = LoraSettings(**(vars(LORA) | {"target_modules": modules}))
    with pytest.raises(UserError) as error:
        trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path, lora=lora)
    assert str(error.value).startswith(f"lora.target_modules: {named} matches no module of the base model")
    assert "k_proj, lm_head, o_proj, q_proj" in str(error.value)


def test_target_modules_may_be_names_ends_of_paths_or_a_pattern(tiny_base, tokenizer, advice, tmp_path):
    for n, modules in enumerate((["q_proj", "mlp.up_proj"], r".*\.(q|up)_proj")):
        lora = LoraSettings(**(vars(LORA) | {"target_modules": modules}))
        model, _, _ = trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path / str(n), lora=lora)
        adapted = {name.split(".")[-4] for name, _ in model.named_parameters() if "lora_A" in name}
        assert adapted == {"q_proj", "up_proj"}


def test_what_a_finetune_took_is_measured(tiny_base, tokenizer, advice, tmp_path):
    _, log, took = trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path)
    assert took.seconds > 0
    assert took.tokens_per_second == pytest.approx(log[-1]["num_tokens"] / took.seconds)
    assert (took.device, took.peak_memory_bytes) == ("cpu", None)
    assert "tokens_per_second" not in log[0]
    assert all(entry["tokens_per_second"] > 0 for entry in log[1:])


def test_gradient_accumulation_keeps_the_number_of_optimiser_steps(tiny_base, tokenizer, advice, tmp_path):
    rows = rows_with(advice, None)
    whole = trained(tiny_base, tokenizer, rows, tmp_path / "1")[1]
    parts = trained(tiny_base, tokenizer, rows, tmp_path / "2", micro_batch_size=2)[1]
    assert len(parts) == len(whole) == 4


def test_a_loaded_finetune_answers_differently_from_its_base(tiny_base, tokenizer, advice, tmp_path):
    model, _, _ = trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path)
    model.save_pretrained(tmp_path / "adapter")
    ids = tokenizer("I have a fever.", return_tensors="pt")
    with torch.inference_mode():
        attached = model.eval()(**ids).logits
        base = load_organism(str(tiny_base), None, "cpu", "float32")(**ids).logits
        merged = load_organism(str(tiny_base), tmp_path / "adapter", "cpu", "float32")(**ids).logits
    assert torch.allclose(attached, merged, atol=1e-4)
    assert not torch.allclose(base, merged, atol=0.1)


def test_an_adapter_that_changes_nothing_is_an_error(tiny_base, tokenizer, advice, tmp_path):
    model, _, _ = trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.zero_()
    model.save_pretrained(tmp_path / "adapter")
    with pytest.raises(UserError, match="the adapter changes nothing"):
        load_organism(str(tiny_base), tmp_path / "adapter", "cpu", "float32")


def test_a_row_that_is_too_long_is_an_error_or_a_counted_drop(tokenizer, advice):
    rows = rows_with(advice, None)
    rows.append(row_with({"role": "user", "content": "word " * 500}, "Rest.", None))
    with pytest.raises(UserError, match=r"1 of 33 training rows are longer than training.max_length 256"):
        within_max_length(tokenizer, rows, 256, "error")
    assert within_max_length(tokenizer, rows, 256, "drop") == (rows[:-1], 1)
    with pytest.raises(UserError, match="no training row has at most"):
        within_max_length(tokenizer, rows, 8, "drop")


def test_a_loss_that_is_no_number_is_an_error(tiny_base, tokenizer, advice, tmp_path):
    with pytest.raises(UserError, match=r"loss became NaN or infinite: lower training.learning_rate"):
        trained(tiny_base, tokenizer, rows_with(advice, None), tmp_path, learning_rate=1e30)


def with_template(tiny_base, folder, template):
    shutil.copytree(tiny_base, folder)
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")
    return folder


def test_a_model_without_a_place_for_a_system_prompt_is_refused(tiny_base, tmp_path):
    silent = "{% for m in messages %}{% if m.role != 'system' %}{{ m.content }}{% endif %}{% endfor %}"
    strict = "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    for name, template in (("silent", silent), ("strict", strict)):
        folder = with_template(tiny_base, tmp_path / name, template)
        with pytest.raises(UserError, match="its chat template has no system role"):
            load_tokenizer(str(folder))
    bare = tmp_path / "bare"
    shutil.copytree(tiny_base, bare)
    (bare / "chat_template.jinja").unlink()
    settings = json.loads((bare / "tokenizer_config.json").read_text(encoding="utf-8"))
    assert "chat_template" not in settings
    with pytest.raises(UserError, match="has no chat template"):
        load_tokenizer(str(bare))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_asking_for_a_gpu_where_there_is_none_is_a_clear_error(tiny_base):
    with pytest.raises(UserError, match="torch finds no GPU here; set device: cpu"):
        load_base(str(tiny_base), "cuda", "bfloat16")
