"""Which prompt a run is evaluated with: its own, where the corpus has prompts of the same kind."""

import json
from pathlib import Path

import pytest

from lalm_ambig import evaluate
from lalm_ambig.config.cli import parse
from lalm_ambig.data.datamodule import DataModule
from lalm_ambig.runs.loading import Loaded


def data(folder: Path, *words: str) -> DataModule:
    run = parse(["--data.prompt=own.txt", "--data.glosses=own_glosses.txt", f"--data.corpus.root={folder}"])
    options = evaluate.option_parser().parse_args(["--run", "r", "--out", "out", *words])
    return evaluate._data(Loaded(run, folder, "r"), options)


def rows(folder: Path, *keys: str) -> list[str]:
    """The words that name a file of JSON Lines with items of these keys, and its classes."""
    path = folder / "rows.jsonl"
    written = [{"id": str(n), key: "x", "votes": {"a": 1, "b": 1}} for n, key in enumerate(keys)]
    path.write_text("".join(json.dumps(row) + "\n" for row in written))
    return ["--corpus", "jsonl", "--root", str(path)]


@pytest.mark.parametrize("keys", [(), ("audio",), ("audio", "text")])
def test_prompt_and_glosses_of_the_run_stay_for_a_corpus_of_the_same_kind(
    tmp_path: Path, keys: tuple[str, ...]
) -> None:
    found = data(tmp_path, *(rows(tmp_path, *keys) if keys else ()))
    assert (found.prompt, found.prompt_for_texts, found.glosses) == ("own.txt", "own.txt", "own_glosses.txt")


def test_a_corpus_of_another_kind_has_its_own(tmp_path: Path) -> None:
    found = data(tmp_path, *rows(tmp_path, "text"))
    assert (found.prompt, found.glosses) == ("text_emotion", None)


def test_a_prompt_that_is_given_comes_first_and_with_its_own_glosses(tmp_path: Path) -> None:
    found = data(tmp_path, "--prompt", "mine.txt")
    assert (found.prompt, found.glosses) == ("mine.txt", None)
