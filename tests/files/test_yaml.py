"""YAML: plain values, of which none is lost, made or endless."""

from pathlib import Path

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.yaml import read_yaml


def read(folder: Path, content: str | bytes) -> object:
    path = folder / "c.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_yaml(path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: 1\nb: 2\na: 3\n", r"c\.yaml:3: the key 'a' stands here and in line 1: keep one of them"),
        ("x: {a: 1, a: 1}\n", r"c\.yaml:1: the key 'a' stands here and in line 1"),
        ("- 1\n- b: {}\n  c: 1\n  b: {d: 1}\n", r"c\.yaml:4: the key 'b' stands here and in line 2"),
        ("on: 1\ntrue: 2\n", r"c\.yaml:2: the key True stands here"),
        ("1: x\n1.0: y\n", r"c\.yaml:2: the key 1\.0 stands here"),
        ("!!set {x, x}", "the key 'x' stands here"),
        ("a: &a [*a]", "stands for more than 1,000,000 values"),
        ("!!python/object/apply:os.getcwd []", "not a YAML file: could not determine a constructor"),
        ("a: [", "not a YAML file"),
        ("2024-13-45: 1\n", "not YAML that can be read: ValueError"),
        ("a: é\n".encode("latin-1"), r"c\.yaml:1: not UTF-8: the byte 0xe9"),
        ("a: é\n".encode("utf-16"), r"c\.yaml: not UTF-8 but UTF-16"),
        (b"", r"c\.yaml: the file is empty"),
    ],
)
def test_what_would_lose_or_make_something_is_refused(tmp_path: Path, text: str | bytes, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as raised:
        read(tmp_path, text)
    assert "\n" not in str(raised.value)


def test_what_is_merged_may_be_set_again(tmp_path: Path) -> None:
    text = "y: &y {c: 0, e: 1}\na: &a {<<: *y, c: 1}\nb: {<<: *a, c: 3}\nd:\n  <<: {c: 1}\n  <<: {f: 2}\n"
    assert read(tmp_path, text) == {
        "y": {"c": 0, "e": 1},
        "a": {"c": 1, "e": 1},
        "b": {"c": 3, "e": 1},
        "d": {"c": 1, "f": 2},
    }


@pytest.mark.parametrize(
    "text", ["a: 1\r\nb: [é]\r\n", "\ufeffa: 1\nb: [é]\n", "{1: x, '1': y}", "# nothing\n"]
)
def test_plain_values_are_read(tmp_path: Path, text: str) -> None:
    expected = {"{": {1: "x", "1": "y"}, "#": None}.get(text[0], {"a": 1, "b": ["é"]})
    assert read(tmp_path, text) == expected
