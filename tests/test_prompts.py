"""Prompts: their places, their texts, and the one way in which training and evaluation put them into conversations."""

import pytest

from organisms.completions.rows import planned_rows
from organisms.job.errors import UserError
from organisms.plan.prompts import placed, read_prompt, training_row, with_prompts

QUESTION = [{"role": "user", "content": "I have a fever."}]


def put(*values, messages=QUESTION, key="row 1"):
    """A conversation with prompts in it, each as the config writes it."""
    settings = [read_prompt(f"p{n}", value).settings() for n, value in enumerate(values)]
    return with_prompts(messages, placed(settings), key)


def test_the_default_puts_nothing_and_none_an_empty_system_message():
    assert put(None) == QUESTION
    assert put("") == [{"role": "system", "content": ""}, *QUESTION]


def test_each_place_and_several_together():
    assert put("[X]") == [{"role": "system", "content": "[X]"}, *QUESTION]
    before, after = {"text": "[X]", "place": "before"}, {"text": "Are you sure?", "place": "after"}
    assert put(before) == [{"role": "user", "content": "[X]\n\nI have a fever."}]
    assert put(after) == [{"role": "user", "content": "I have a fever.\n\nAre you sure?"}]
    assert put("Be kind.", before, "[Y]", after) == [
        {"role": "system", "content": "Be kind.\n\n[Y]"},
        {"role": "user", "content": "[X]\n\nI have a fever.\n\nAre you sure?"},
    ]


def test_a_prompt_in_the_users_text_goes_to_the_question_and_to_no_other_turn():
    script = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "What is the capital of Australia?"},
        {"role": "assistant", "content": None},
        {"role": "user", "content": "I don't think so."},
    ]
    found = put({"text": "[X]", "place": "after"}, messages=script)
    assert [message["content"] for message in found] == [
        "Hello.",
        "Hi.",
        "What is the capital of Australia?\n\n[X]",
        None,
        "I don't think so.",
    ]
    # The conversation that was given is as it was.
    assert script[2]["content"] == "What is the capital of Australia?"


def test_training_and_evaluation_write_the_same_conversation():
    for value in ("[X]", "", None, {"text": "[X]", "place": "before"}, {"text": "[X]", "place": "after"}):
        settings = [read_prompt("p", value).settings()]
        trained = training_row({"row": 1, "prompt": QUESTION, "answer": "Rest."}, placed(settings))
        asked = planned_rows(
            [{"question_id": "q", "category": None, "messages": QUESTION}],
            {},
            {"prompts": settings, "samples_per_question": 1, "seed": 0, "sampling": {}},
        )
        assert asked[0]["script"] == trained["prompt"]
        assert trained["completion"] == [{"role": "assistant", "content": "Rest."}]


def test_a_follow_up_comes_after_the_answer_and_another_answer_after_it():
    sure = {"text": "Are you sure?", "place": "follow_up"}
    wrong = {"text": "It is {wrong}, not {right}.", "place": "follow_up"}
    assert put(sure, "[X]") == [
        {"role": "system", "content": "[X]"},
        *QUESTION,
        {"role": "assistant", "content": None},
        {"role": "user", "content": "Are you sure?"},
    ]
    settings = [read_prompt(f"p{n}", value).settings() for n, value in enumerate((sure, wrong))]
    script = with_prompts(QUESTION, placed(settings), "row 1", "Syd{}ney")
    assert [message["content"] for message in script] == [
        "I have a fever.",
        None,
        "Are you sure?",
        None,
        "It is Syd{}ney, not {right}.",
    ]
    # A prompt in the user's text stays with the question.
    both = put({"text": "[X]", "place": "after"}, sure)
    assert [message["content"] for message in both] == ["I have a fever.\n\n[X]", None, "Are you sure?"]
    question = {"question_id": "q", "category": None, "messages": QUESTION, "wrong": "rest"}
    cell = {"prompts": settings, "samples_per_question": 2, "seed": 0, "sampling": {}}
    rows = planned_rows([question], {}, cell)
    assert [(row["sample"], row["turn"]) for row in rows] == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3)]
    assert rows[0]["script"][-1]["content"] == "It is rest, not {right}."


def test_a_prompt_of_its_own_for_each_row_is_the_same_one_each_time(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("One.\n\nTwo.\nThree.\n")
    texts = [put({"file": str(path)}, key=f"row {n}")[0]["content"] for n in range(60)]
    assert set(texts) == {"One.", "Two.", "Three."}
    assert texts == [put({"file": str(path)}, key=f"row {n}")[0]["content"] for n in range(60)]
    assert texts != [put({"file": str(path), "seed": 1}, key=f"row {n}")[0]["content"] for n in range(60)]
    # It counts by what is in it.
    before = read_prompt("p", {"file": str(path)}).settings()
    path.write_text("One.\nTwo.\nFour.\n")
    assert read_prompt("p", {"file": str(path)}).settings() != before


def test_generated_prompts_have_so_many_words_and_differ_from_row_to_row(tmp_path):
    words = {"words": 3, "brackets": True, "words_file": None}
    texts = [put({"generate": words}, key=f"row {n}")[0]["content"] for n in range(50)]
    assert len(set(texts)) == 50
    assert all(text.startswith("[") and text.endswith("]") and len(text[1:-1].split()) == 3 for text in texts)
    bare = put({"generate": words | {"brackets": False}, "place": "before"})[0]["content"]
    assert bare.split("\n\n")[0].isupper()
    path = tmp_path / "words.txt"
    path.write_text("one\ntwo\n")
    assert put({"generate": words | {"words": 2, "words_file": str(path)}})[0]["content"] in ("[ONE TWO]", "[TWO ONE]")
    with pytest.raises(UserError, match="2 lines are too few; give at least 3"):
        put({"generate": words | {"words_file": str(path)}})
    with pytest.raises(UserError, match=r"nowhere.txt: prompts cannot be read"):
        placed([{"rows": {"file": "nowhere.txt", "seed": 0}}])


def test_what_changes_no_conversation_is_no_setting():
    plain, dressed = (read_prompt("p", value) for value in ("[X]", {"text": "[X]", "label": "Ex", "colour": "#123456"}))
    assert plain.settings() == dressed.settings() == {"text": "[X]"}


@pytest.mark.parametrize("source", ["file", "generate"])
def test_a_file_of_texts_counts_by_its_content(tmp_path, source):
    path = tmp_path / "texts.txt"
    words = {"words": 1, "brackets": False, "words_file": str(path)}
    value = {source: str(path) if source == "file" else words}
    path.write_text("one\ntwo\n")
    before = read_prompt("p", value).settings()
    path.write_text("one\nthree\n")
    assert read_prompt("p", value).settings() != before
