"""Strings that databases refuse become strings that they take."""

import json

import pytest

from sessions_app.vapi.text import make_safe, may_need_safety


def test_clean_text_stays_and_is_not_flagged() -> None:
    value = {"a": ["Grüße \U0001f600", 1, None, {"b": True}]}

    assert make_safe(value) == (value, False)


@pytest.mark.parametrize("bad", ["\x00", "\ud800", "\udfff", "\udc00\ud800"])
def test_nul_and_lone_surrogates_are_replaced_at_any_depth_in_keys_too(bad: str) -> None:
    shown = "\ufffd" * len(bad)

    assert make_safe({"a": [{f"k{bad}": f"v{bad}v"}]}) == ({"a": [{f"k{shown}": f"v{shown}v"}]}, True)


def test_the_look_at_the_body_finds_every_way_to_write_them() -> None:
    for text in ("\x00", "\ud800", "\udfff"):
        body = json.dumps({"a": text})
        assert may_need_safety(body.encode())
        assert may_need_safety(body.replace("\\ud", "\\uD").encode())


def test_the_look_at_the_body_lets_plain_text_pass() -> None:
    assert not may_need_safety(json.dumps({"a": "Grüße \n \t"}, ensure_ascii=False).encode())


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert make_safe(json.loads('"\\ud83d\\ude00"')) == ("\U0001f600", False)
