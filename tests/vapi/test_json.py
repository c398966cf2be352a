"""JSON goes out with the digits that came in."""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sessions_app.vapi.json import BadJson, dump_payload, load_payload, parse_json


@pytest.mark.parametrize(
    "number",
    ["0.1", "1E-7", "0.10", "1.0", "-0.0", "123456789.123456789123456789", "12345678901234567890123"],
)
def test_a_number_comes_out_as_it_came_in(number: str) -> None:
    text = f'{{"a":{{"b":[{number}]}}}}'

    assert dump_payload(load_payload(text)) == text


def test_a_stored_payload_reads_back_equal() -> None:
    payload = {"cost": Decimal("1e-07"), "name": "Zoë \u2028", "list": [None, True, {"deep": []}], "n": 2**70}

    assert load_payload(dump_payload(payload)) == payload


def test_a_payload_deeper_than_the_encoder_goes_is_written_all_the_same() -> None:
    text = '{"a":[1.50,' * 300 + "{}" + "]}" * 300

    assert dump_payload(load_payload(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"a": NaN}', "[Infinity]", "-Infinity", "<html>", '{"a": 1}x', "[" * 100_000, "9" * 5000],
)
def test_what_is_no_json_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(BadJson) as caught:
        parse_json(text)

    assert caught.value.__context__ is None
    assert "html" not in str(caught.value)


@pytest.mark.parametrize("text", ["[]", '"a"', "null", "1"])
def test_a_payload_is_an_object(text: str) -> None:
    with pytest.raises(BadJson):
        load_payload(text)


def test_a_decimal_that_is_no_number_is_not_written() -> None:
    with pytest.raises(TypeError):
        dump_payload({"a": Decimal("NaN")})


def test_exact_text_is_json_for_others_too() -> None:
    assert json.loads(dump_payload({"a": Decimal("1E-7")})) == {"a": 1e-07}


def refuse(name: str) -> None:
    raise ValueError(name)


STANDARD = json.JSONDecoder(parse_float=Decimal, parse_constant=refuse)


def told(text: str | bytes) -> str:
    """What Python's own decoder makes of a text, with the types and digits of all numbers and the order of keys."""
    try:
        return repr(STANDARD.decode(text if isinstance(text, str) else text.decode("utf-8-sig")))
    except (ValueError, ArithmeticError, RecursionError):
        return "refused"


def read(text: str | bytes) -> str:
    try:
        return repr(parse_json(text))
    except BadJson:
        return "refused"


def nested(depth: int) -> st.SearchStrategy[str]:
    return st.sampled_from(["[" * depth + "]" * depth, '{"a":' * depth + "0" + "}" * depth])


def texts_of(
    scalars: st.SearchStrategy[str], keys: st.SearchStrategy[str], spaces: st.SearchStrategy[str]
) -> st.SearchStrategy[str]:
    member = st.builds("{}{}:{}{}".format, keys, spaces, spaces, scalars)
    return st.recursive(
        scalars,
        lambda inner: (
            st.lists(inner, max_size=4).map(lambda parts: f"[{','.join(parts)}]")
            | st.lists(st.builds("{}{}:{}".format, keys, spaces, inner) | member, max_size=4).map(
                lambda members: "{" + ",".join(members) + "}"
            )
        ),
        max_leaves=10,
    )


def quoted(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(parts, max_size=5).map(lambda found: f'"{"".join(found)}"')


integers = st.integers().map(str) | st.sampled_from(
    ["-0", "9" * 4300, str(2**63), str(-(2**63) - 1), str(2**64)]
)
fractions = st.from_regex(r"\.[0-9]{1,30}", fullmatch=True) | st.just("")
exponents = st.from_regex(r"[eE][+-]?[0-9]{1,18}", fullmatch=True) | st.just("")
numbers = st.builds("{}{}{}".format, integers, fractions, exponents)
odd_numbers = st.from_regex(r"[-+]?[0-9]*\.?[0-9]*[eE]?[+-]?[0-9]*", fullmatch=True) | st.just("9" * 4301)
escapes = st.sampled_from([r"\u0000", r"\ud83d\ude00", r"\u00e9", r"\/", r"\b", r"\"", r"\uD800", r"\udc00"])
letters = st.text(st.characters(blacklist_characters='"\\', blacklist_categories=["Cc"]), max_size=5)
strings = quoted(letters | escapes)
odd_strings = quoted(
    st.text(max_size=3) | escapes | st.sampled_from([r"\x", r"\u12", r"\uD83D\u0041", r"\U0041"])
)
words = st.sampled_from(["true", "false", "null"])
odd_words = st.sampled_from(
    ["nul", "NaN", "Infinity", "-Infinity", "1 2", "'a'", "", "[1,]", '{"a"}', "{1:2}"]
)
good_texts = texts_of(
    numbers | strings | words, strings | st.just('"a"'), st.sampled_from(["", " ", "\n\t\r"])
)
odd_texts = texts_of(
    numbers | odd_numbers | odd_strings | odd_words,
    odd_strings,
    st.sampled_from(["", "\x0b", "\xa0", "\x00"]),
)
json_texts = good_texts | odd_texts


@settings(max_examples=600, deadline=None)
@given(json_texts | nested(200) | nested(2000) | st.text(max_size=10), st.booleans())
@example('{"a":1,"b":2,"a":3}', True)
@example("\ufeff1", False)
def test_any_text_is_read_as_by_pythons_own_decoder(text: str, with_mark: bool) -> None:
    content = (b"\xef\xbb\xbf" if with_mark else b"") + text.encode(errors="surrogatepass")

    assert read(text) == told(text)
    assert read(content) == told(content)


@settings(max_examples=300, deadline=None)
@given(json_texts, st.data())
def test_bytes_that_are_no_utf_8_are_refused_as_ever(text: str, data: st.DataObject) -> None:
    content = text.encode(errors="surrogatepass")
    place = data.draw(st.integers(0, len(content)))
    odd = data.draw(st.sampled_from([b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xc3", b"\xf4\x90\x80\x80"]))
    content = content[:place] + odd + content[place:]

    assert read(content) == told(content)


@pytest.mark.parametrize("text", ['"\ud800"', b'"\xff"', b"\xff\xfe{\x00}\x00"])
def test_what_is_refused_leaves_nothing_of_it_in_the_error(text: str | bytes) -> None:
    with pytest.raises(BadJson) as caught:
        parse_json(text if isinstance(text, bytes) else text + "x")

    assert caught.value.__context__ is None
