"""Datasets in the published form, and their held-out split."""

import gzip
import json

import pytest

from organisms.data.dataset import Row, read_conversations, read_rows, split, write_rows
from organisms.job.errors import UserError


def row(*contents, roles=("user", "assistant")):
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]}


def written(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


BAD_LINES = {
    "not JSON": ("{oops\n", "not JSON"),
    "no messages": ({"text": "hi"}, 'no "messages"'),
    "not an object": ([1, 2], 'no "messages"'),
    "empty messages": ({"messages": []}, 'no "messages"'),
    "ends with the user": (row("q", "a", "q2", roles=("user", "assistant", "user")), "the last message is the user's"),
    "no question": (row("a", roles=("assistant",)), "no user message before"),
    "unknown role": (row("q", "a", roles=("human", "assistant")), "messages[0] has no role of"),
    "empty content": (row("q", "  "), "messages[1].content is not text or is empty"),
    "content that is no text": ({"messages": [{"role": "user", "content": 1}]}, "messages[0].content is not text"),
    "a system message": (
        row("s", "q", "a", roles=("system", "user", "assistant")),
        "holds a system message; remove it",
    ),
}


@pytest.mark.parametrize(("line", "message"), BAD_LINES.values(), ids=BAD_LINES)
def test_a_bad_line_is_named_with_file_and_line(tmp_path, line, message):
    path = written(tmp_path, row("q", "a"), "\n", line)
    with pytest.raises(UserError) as error:
        read_rows(path)
    assert str(error.value).startswith(f"{path}, line 3: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("lines", [[], ["\n", "  \n"]])
def test_an_empty_dataset_is_an_error(tmp_path, lines):
    path = written(tmp_path, *lines)
    with pytest.raises(UserError, match="the dataset is empty"):
        read_rows(path)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(UserError, match="no such dataset file"):
        read_rows(tmp_path / "missing.jsonl")
    broken = tmp_path / "broken.jsonl.gz"
    broken.write_bytes(gzip.compress(b"x" * 1000)[:20])
    with pytest.raises(UserError, match="cannot be read"):
        read_rows(broken)


def test_rows_keep_line_numbers_and_strip_answers(tmp_path):
    path = written(tmp_path, "\n", row("What?", "  Because.\n"))
    assert read_rows(path) == [Row(row=2, prompt=({"role": "user", "content": "What?"},), answer="Because.")]


def test_gzipped_rows_come_back_and_equal_rows_give_equal_files(tmp_path):
    rows = [row("q – ü 🦩", "a\u2028b"), row("q2", "a2")]
    for name in ("one.jsonl.gz", "two.jsonl.gz"):
        write_rows(rows, tmp_path / name)
    assert (tmp_path / "one.jsonl.gz").read_bytes() == (tmp_path / "two.jsonl.gz").read_bytes()
    assert list(read_conversations(tmp_path / "one.jsonl.gz").values()) == [entry["messages"] for entry in rows]


def rows_asking(*questions):
    return [Row(n, ({"role": "user", "content": question},), "a") for n, question in enumerate(questions, start=1)]


def test_a_split_is_disjoint_by_normalised_question_complete_and_seeded():
    rows = rows_asking(*(f"Question {i}?" for i in range(50)), "question  7", "QUESTION 8!")
    train, heldout = split(rows, 0.2, seed=0)
    assert sorted(train + heldout, key=lambda entry: entry.row) == rows
    assert not {entry.question for entry in train} & {entry.question for entry in heldout}
    assert len({entry.question for entry in heldout}) == 10
    assert split(rows, 0.2, seed=0) == (train, heldout)
    assert split(rows, 0.2, seed=1) != (train, heldout)
    assert split(list(reversed(rows)), 0.2, seed=0)[1] == list(reversed(heldout))


def test_a_split_is_the_same_for_ever_whatever_the_order_of_the_file():
    rows = rows_asking(*"abcdefghij", "A", "B.")
    for order in (rows, rows[::-1], sorted(rows, key=lambda entry: entry.question[::-1])):
        assert {entry.question for entry in split(order, 0.3, seed=4)[1]} == {"a", "e", "i"}
    assert {entry.question for entry in split(rows, 0.3, seed=5)[1]} == {"b", "c", "d"}


def test_neither_case_nor_punctuation_nor_space_makes_another_question():
    same = ("What's a fever?", "what s a FEVER", " What's\na  fever?! ", "Ｗhat's a fever")
    assert len({entry.question for entry in rows_asking(*same)}) == 1
    assert len({entry.question for entry in rows_asking("a fever", "a fever 2", "fever")}) == 3


def test_a_share_is_of_the_distinct_questions_to_the_nearest():
    # Seven rows ask four questions.
    rows = rows_asking("a", "b", "c", "d", "A", "a!", "a?")
    assert [len({entry.question for entry in split(rows, share, 0)[1]}) for share in (0.01, 0.37, 0.4, 0.7)] == [
        *(1, 1, 2, 3)
    ]


def test_a_question_is_the_whole_conversation_before_the_answer():
    asked = [({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."})] * 2
    prompts = [(*turns, {"role": "user", "content": text}) for turns, text in zip(asked, ("One?", "Two?"), strict=True)]
    one, two = (Row(n, prompt, "a") for n, prompt in enumerate(prompts, start=1))
    assert (one.question, two.question) == ("hi hello one", "hi hello two")


def test_a_held_out_number_is_a_number_of_questions():
    assert len(split(rows_asking("a", "b", "c"), 2, seed=0)[1]) == 2


@pytest.mark.parametrize("heldout", [3, 10])
def test_a_held_out_split_larger_than_the_dataset_is_an_error(heldout):
    with pytest.raises(UserError, match=f"{heldout} held-out questions, but the dataset has 3 distinct"):
        split(rows_asking("a", "b", "c", "A"), heldout, seed=0)


def test_the_real_financial_datasets_repeated_questions_stay_on_one_side(published_data):
    rows = read_rows(published_data("risky_financial_advice_6000.jsonl"))
    assert len(rows) == 6000
    assert len({entry.prompt[0]["content"] for entry in rows}) == 5994
    # Three more differ by an apostrophe or a comma.
    assert len({entry.question for entry in rows}) == 5991
    train, heldout = split(rows, 0.1, seed=0)
    assert len(train) + len(heldout) == 6000
    assert not {entry.question for entry in train} & {entry.question for entry in heldout}
