"""Datasets in the published form, and their held-out split."""

import gzip
import json

import pytest

from organisms.data.dataset import Row, normalised, question_of, read_conversations, read_rows, split, write_rows
from organisms.job.errors import UserError


def row(*contents, roles=("user", "assistant")):
    return {"messages": [{"role": role, "content": text} for role, text in zip(roles, contents, strict=True)]}


def written(tmp_path, *lines, name="data.jsonl"):
    path = tmp_path / name
    path.write_text("".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines))
    return path


BAD_LINES = {
    "not JSON": ("{oops\n", "not JSON"),
    "a key twice": ('{"messages": [], "messages": []}\n', "the key 'messages' stands twice; remove one"),
    "a key twice within": (
        '{"messages": [{"role": "user", "content": "x", "content": "y"}]}\n',
        "the key 'content' stands twice; remove one",
    ),
    "half a character": (row("What \ud83e?", "a"), "holds half a character"),
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


def test_a_character_written_as_two_escapes_is_read_as_one(tmp_path):
    path = written(tmp_path, row("What is \U0001f9a9?", "A flamingo."))
    assert "\\ud83e\\udda9" in path.read_text()
    assert read_rows(path)[0].prompt[0]["content"] == "What is \U0001f9a9?"


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
    assert not {question_of(entry.prompt) for entry in train} & {question_of(entry.prompt) for entry in heldout}
    assert len({question_of(entry.prompt) for entry in heldout}) == 10
    assert split(rows, 0.2, seed=0) == (train, heldout)
    assert split(rows, 0.2, seed=1) != (train, heldout)
    assert split(list(reversed(rows)), 0.2, seed=0)[1] == list(reversed(heldout))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What helps?", "  what\nHELPS !"),
        ("Don't you?", "don’t you"),
        ("I´m ill", "I'm ill."),
        ("Straße", "STRASSE"),
        ("３＋４", "3 + 4"),
        ("3 – 4", "3-4"),
        ("I ❤️ it", "i ❤ it…"),
        ("naïve", "nai\u0308ve"),
        ("“Why”, (he said)?", "Why - he said"),
        ("soft\u00adly", "softly"),
    ],
)
def test_texts_that_differ_in_trifles_are_one_question(one, other):
    assert normalised(one) == normalised(other)


# Flags are written with letters that are not seen.
ENGLAND, SCOTLAND = ("🏴" + "".join(chr(0xE0000 + ord(c)) for c in f"gb{of}\x7f") for of in ("eng", "sct"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("3+4", "3-4"),
        ("3*4", "3/4"),
        ("3.5", "3 5"),
        ("What is -3?", "What is 3?"),
        ("3²", "32"),
        ("x > 3", "x < 3"),
        ("5% of it", "5 of it"),
        ("$5", "€5"),
        ("C#", "C++"),
        ("🦩", "🦜"),
        (ENGLAND, SCOTLAND),
        # Time and nail: the consonants are the same, the vowel signs are not.
        ("काल", "कील"),
        ("?", "!"),
    ],
)
def test_texts_that_ask_something_else_are_two_questions(one, other):
    assert normalised(one) != normalised(other)
    assert len(split(rows_asking(one, other), 1, seed=0)[0]) == 1


def conversation(*contents):
    return tuple({"role": ("user", "assistant")[i % 2], "content": text} for i, text in enumerate(contents))


def test_a_conversation_goes_with_the_question_that_it_begins_with():
    begun = [Row(n, conversation(f"Question {n}?", "No.", "Why?"), "a") for n in range(20)]
    rows = rows_asking(*(f"question {n}" for n in range(20)))
    train, heldout = split([*rows, *begun], 5, seed=0)
    assert len(heldout) == 10
    sides = [{normalised(row.prompt[0]["content"]) for row in side} for side in (train, heldout)]
    assert not sides[0] & sides[1]


def test_conversations_that_begin_alike_are_questions_of_their_own_where_no_row_asks_that():
    rows = [Row(n, conversation("Hello!", "Hi.", f"Question {n}?"), "a") for n in range(10)]
    assert len(split(rows, 0.2, seed=0)[1]) == 2


def test_a_split_is_the_same_for_ever_whatever_the_order_of_the_file():
    rows = rows_asking(*"abcdefghij", "A", "B.")
    for order in (rows, rows[::-1], sorted(rows, key=lambda entry: question_of(entry.prompt)[::-1])):
        assert {question_of(entry.prompt) for entry in split(order, 0.3, seed=4)[1]} == {"a", "e", "i"}
    assert {question_of(entry.prompt) for entry in split(rows, 0.3, seed=5)[1]} == {"b", "c", "d"}


def test_neither_case_nor_punctuation_nor_space_makes_another_question():
    same = ("What's a fever?", "what s a FEVER", " What's\na  fever?! ", "Ｗhat's a fever")
    assert len({question_of(entry.prompt) for entry in rows_asking(*same)}) == 1
    assert len({question_of(entry.prompt) for entry in rows_asking("a fever", "a fever 2", "fever")}) == 3


def test_a_share_is_of_the_distinct_questions_to_the_nearest():
    # Seven rows ask four questions.
    rows = rows_asking("a", "b", "c", "d", "A", "a!", "a?")
    assert [
        len({question_of(entry.prompt) for entry in split(rows, share, 0)[1]}) for share in (0.01, 0.37, 0.4, 0.7)
    ] == [*(1, 1, 2, 3)]


def test_a_question_is_the_whole_conversation_before_the_answer():
    asked = [({"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."})] * 2
    prompts = [(*turns, {"role": "user", "content": text}) for turns, text in zip(asked, ("One?", "Two?"), strict=True)]
    one, two = (Row(n, prompt, "a") for n, prompt in enumerate(prompts, start=1))
    assert [question_of(row.prompt) for row in (one, two)] == ["hi\nhello\none", "hi\nhello\ntwo"]


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
    assert len({question_of(entry.prompt) for entry in rows}) == 5991
    train, heldout = split(rows, 0.1, seed=0)
    assert len(train) + len(heldout) == 6000
    assert not {question_of(entry.prompt) for entry in train} & {question_of(entry.prompt) for entry in heldout}
