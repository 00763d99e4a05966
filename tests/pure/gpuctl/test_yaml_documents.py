"""YAML from strangers is read within bounds, and whatever is wrong with it is said with its line."""

from __future__ import annotations

import json
import time
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from api.dialects.gpuctl.yaml_documents import DEPTH_MAX, NODES_MAX, YAML_BYTES_MAX, load_yaml
from api.problems import TooLarge
from domain.failures import InvalidRequest

REFUSED = {
    "empty": ("", "the document is empty"),
    "blank": (" \n \n", "the document is empty"),
    "only a comment": ("# nothing\n", "the document is empty"),
    "only a marker": ("---\n", "the document is empty"),
    "null": ("null", "the document is empty"),
    "a list": ("- a\n- b", "line 1: the document must be a mapping of fields, not a list"),
    "a text": ("\nhello", "line 2: the document must be a mapping of fields, not a single value"),
    "two documents": ("a: 1\n---\nb: 2", "line 2: there must be one document only"),
    "an empty second document": ("a: 1\n---\n", "line 2: there must be one document only"),
    "a key twice": ("a:\n  b: 1\n  c: 2\n  b: 3", "line 4: 'b' is given twice, first on line 2"),
    "a key twice in JSON": ('{"a": 1,\n "a": 2}', "line 2: 'a' is given twice, first on line 1"),
    "a key twice in quotes": ("a: 1\n'a': 2", "line 2: 'a' is given twice"),
    "an alias": ("a: &x 1\nb: *x", "line 2: aliases such as *x are not read here"),
    "an alias of itself": ("a: &x [*x]", "line 1: aliases such as *x"),
    "an alias as key": ("a: &x b\n*x : c", "line 2: the name of a field must be a plain text"),
    "a merge": ("a: &x {b: 1}\nc:\n  <<: *x", "line 3: aliases such as *x"),
    "a tag that runs code": ("a: !!python/object/apply:os.system [ls]", "line 1: tags such as"),
    "a tag of the application": ("a: !secret x", "line 1: tags such as !secret are not read here"),
    "a harmless tag": ("a: !!str 1", "line 1: tags such as"),
    "a tag on a key": ("!!str a: 1", "line 1: the name of a field must be a plain text"),
    "a list as key": ("? [a]\n: 1", "line 1: the name of a field must be a plain text"),
    "a tab": ("a:\n\tb: 1", "line 2: YAML is indented with spaces, never with tabs"),
    "an open quote": ('a: "b', "line 1, column 6: not valid YAML"),
    "an open bracket": ("a: [1,\nb: 2", "not valid YAML"),
    "bad indentation": ("a: 1\n  b: 2", "line 2, column 4: not valid YAML"),
    "a control character": ("a: \x01", "characters that YAML does not allow"),
    "NUL in an escape": ('a: "\\0"', "line 1: a text must not contain the character NUL"),
    "half a character": ("a: \ud800", "not valid Unicode"),
    "another YAML": ("%YAML 9.9\n---\na: 1", "line 1, column 1: not valid YAML"),
}
BOMBS = {
    "laughs": "a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]",
    "brackets": "[" * 60_000,
    "braces": "{a: " * 15_000,
    "dashes": "- " * 30_000,
    "questions": "? " * 30_000,
    "anchors": "&a\n" * 20_000,
    "a wide list": f"a: [{'1,' * 30_000}]",
    "many keys": "\n".join(f"k{place}: 1" for place in range(7000)),
    "a long line of quotes": "a: " + "'" * 60_001,
}


@pytest.mark.parametrize(("text", "sentence"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_no_document_is_refused_with_its_line(text: str, sentence: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        load_yaml(text)
    assert sentence in refused.value.message


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_is_refused_at_once(text: str) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidRequest):
        load_yaml(text)
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("text", ["{0}: 1\n{0}: 2", "a: !{0} 1", "a: &{0} 1\nb: *{0}"])
def test_a_refusal_is_short_however_long_the_name(text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        load_yaml(text.format("x" * 900))
    assert len(refused.value.message) < 300


def test_a_document_has_a_greatest_size_in_bytes() -> None:
    assert load_yaml(f"a: {'x' * (YAML_BYTES_MAX - 3)}")
    with pytest.raises(TooLarge):
        load_yaml(f"a: {'x' * (YAML_BYTES_MAX - 2)}")
    with pytest.raises(TooLarge):
        load_yaml(f"a: {'é' * (YAML_BYTES_MAX // 2)}")


def test_a_document_has_a_greatest_depth() -> None:
    assert load_yaml("a: " + "[" * (DEPTH_MAX - 1) + "1" + "]" * (DEPTH_MAX - 1))
    with pytest.raises(InvalidRequest, match="nested deeper"):
        load_yaml("a: " + "[" * (DEPTH_MAX + 1) + "1" + "]" * (DEPTH_MAX + 1))


def test_a_document_has_a_greatest_number_of_parts() -> None:
    with pytest.raises(InvalidRequest, match=f"more than {NODES_MAX} parts"):
        load_yaml(f"a: [{'1,' * NODES_MAX}]")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("8", 8),
        ("-1", -1),
        ("0.5", 0.5),
        (".5", 0.5),
        ("1.", 1.0),
        ("true", True),
        ("~", None),
        ("", None),
        ("'8'", "8"),
        ("|\n  x\n  y\n", "x\ny\n"),
    ],
)
def test_plain_values_are_what_they_look_like(text: str, value: object) -> None:
    assert load_yaml(f"a: {text}").content == {"a": value}


SURPRISES = [
    "yes",
    "off",
    "1:30",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    "0x1F",
    "017",
    "08",
    "1_000",
    ".inf",
    ".nan",
    "1e999",
    "2e-5",
    "1.5e3",
    "+.5",
    "32Gi",
    "500m",
    "v0.1",
    "=",
    "\N{SNOWMAN}",
]


@pytest.mark.parametrize("text", [*SURPRISES, "9" * 5000])
def test_what_has_surprised_others_stays_a_text(text: str) -> None:
    assert load_yaml(f"a: {text}").content == {"a": text}


def test_keys_are_texts_whatever_they_look_like() -> None:
    assert load_yaml("8000: a\ntrue: b\n~: c").content == {"8000": "a", "true": "b", "~": "c"}


def test_an_anchor_that_nobody_uses_is_harmless() -> None:
    assert load_yaml("a: &x 1").content == {"a": 1}


def test_tabs_within_a_line_are_blanks() -> None:
    assert load_yaml("a:\t1 # one").content == {"a": 1}


def test_each_part_knows_its_line() -> None:
    document = load_yaml("a: 1\nb:\n  - c: 2\n  - d:\n      e: 3\n")
    assert {".".join(map(str, path)): line for path, line in document.lines.items()} == {
        "": 1,
        "a": 1,
        "b": 2,
        "b.0": 3,
        "b.0.c": 3,
        "b.1": 4,
        "b.1.d": 4,
        "b.1.d.e": 5,
    }


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)
PLAIN = st.none() | st.booleans() | st.integers(-(10**17), 10**17) | TEXT | st.sampled_from(SURPRISES)
CONTENT = st.dictionaries(
    TEXT,
    st.recursive(
        PLAIN,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
        max_leaves=6,
    ),
    max_size=3,
)
ODD = {code: f"\\u{code:04x}" for code in (0x7F, *range(0x80, 0xA0), 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF)}
"""Characters that JSON may hold bare and YAML may not."""
UNHURRIED = settings(max_examples=60, deadline=None)


@UNHURRIED
@given(CONTENT, st.booleans(), st.sampled_from([None, 2, "\t"]))
def test_json_is_yaml(content: dict[str, object], escaped: bool, indent: int | str | None) -> None:
    text = json.dumps(content, ensure_ascii=escaped, indent=indent)
    assert load_yaml(text if escaped else text.translate(ODD)).content == content


@UNHURRIED
@given(CONTENT)
def test_what_the_usual_writer_writes_is_read_back(content: dict[str, object]) -> None:
    assert load_yaml(yaml.dump(content, Dumper=WithoutAliases)).content == content


@UNHURRIED
@given(st.text(max_size=100) | st.text("{}[]:,-?&*!|>'\"%@#\n\t ab1~", max_size=100))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        assert isinstance(load_yaml(text).content, dict)


class WithoutAliases(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True
