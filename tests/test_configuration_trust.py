"""What configuration files may name: every way by which the parser comes to a class is looked at."""

from pathlib import Path

import pytest

from lalm_ambig.configuration import parse
from lalm_ambig.configuration_files import config_folder
from lalm_ambig.configuration_trust import check_trusted
from lalm_ambig.errors import InputError

PARTS = "data: {corpus: {class_path: lalm_ambig.corpora.demo.Demo}}\nmodel: {class_path: lalm_ambig.methods.sft.SFT}\n"
REFUSED = r"\.Thing is not under lalm_ambig\., lightning\., torch\."


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there once one of two modules was imported."""
    for module in ("foreign_thing", "été"):
        code = f"open({str(tmp_path / 'imported')!r}, 'w').close()\nclass Thing: pass\n"
        (tmp_path / f"{module}.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "imported"


@pytest.mark.parametrize(
    "text",
    [
        "policy: '{class_path: foreign_thing.Thing}'\n",
        'policy: "{\\"class_path\\":\\t\\"foreign_thing.Thing\\"}"\n',
        "trainer: {callbacks: '[{class_path: foreign_thing.Thing}]'}\n",
        "trainer: {callbacks: \"'{class_path: foreign_thing.Thing}'\"}\n",
        "policy: |\n  class_path: foreign_thing.Thing\n",
        "policy: {class_path: été.Thing}\n",
        "policy: tabs.json\n",
        "policy: padded.yaml\n",
        "policy: dates.yaml\n",
        "x: &a [*a]\npolicy: &b {class_path: foreign_thing.Thing, init_args: *b}\n",
        "policy: {<<: {class_path: foreign_thing.Thing}, <<: {init_args: {}}}\n",
        "? {class_path: foreign_thing.Thing}\n: 1\n",
    ],
)
def test_a_class_is_found_wherever_the_parser_would_take_it_from(
    tmp_path: Path, mark: Path, text: str
) -> None:
    (tmp_path / "tabs.json").write_text('{\t"class_path":\t"foreign_thing.Thing"}')
    (tmp_path / "padded.yaml").write_text("#\n" * 1_000_000 + "class_path: foreign_thing.Thing\n")
    (tmp_path / "dates.yaml").write_text("class_path: foreign_thing.Thing\ninit_args: {when: 2024-13-45}\n")
    path = tmp_path / "run.yaml"
    path.write_text(text + PARTS, encoding="utf-8")
    with pytest.raises(InputError, match=REFUSED):
        parse([f"--config={path}"])
    assert not mark.exists()


def test_a_file_of_any_name_that_an_option_gives_is_looked_at(tmp_path: Path, mark: Path) -> None:
    (tmp_path / "settings").write_text("class_path: foreign_thing.Thing\n")
    with pytest.raises(InputError, match=REFUSED):
        parse([f"--config={config_folder() / 'preset/demo.yaml'}", "--policy", str(tmp_path / "settings")])
    assert not mark.exists()


def test_data_that_a_configuration_names_is_no_configuration(tmp_path: Path) -> None:
    rows = '{"id": "os.path", "text": "import os.path"}\n{"id": "b"}\n'
    (tmp_path / "rows.jsonl").write_text(rows)
    (tmp_path / "sound.wav").write_bytes(bytes(range(256)))
    path = tmp_path / "run.yaml"
    path.write_text(
        "data: {rationales: rows.jsonl, x: sound.wav, note: 'see: os.path.join, or {this: too'}\n"
    )
    check_trusted([path], allow_any=False)


def test_references_to_references_are_walked_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(lines) + "\n")
    check_trusted([path], allow_any=False)
    with pytest.raises(InputError, match=r"bomb\.yaml: it stands for more than 1,000,000 values"):
        parse([f"--config={path}"])


@pytest.mark.parametrize(
    "text", ["a: !!int x\n", "a: 2024-13-45\n", "a: !!bool x\n", f"a: {'9' * 5000}\n", "[" * 3000]
)
def test_values_that_the_library_trips_over_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"run\.yaml: not ") as raised:
        parse([f"--config={path}"])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["? \n", "1: 2\n", "null\n", "- a\n"])
def test_keys_that_are_no_texts_are_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "run.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"run\.yaml: a configuration file holds keys and values"):
        parse([f"--config={path}"])
