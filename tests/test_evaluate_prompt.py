"""Which prompt a run is evaluated with: its own, where the corpus has prompts of the same kind."""

from pathlib import Path

import pytest

from lalm_ambig import evaluate
from lalm_ambig.configuration import parse
from lalm_ambig.corpora.jsonl import JsonLines
from lalm_ambig.data import DataModule
from lalm_ambig.runs.loading import Loaded


def data(folder: Path, *words: str) -> DataModule:
    run = parse(["--data.prompt=own.txt", "--data.glosses=own_glosses.txt", f"--data.corpus.root={folder}"])
    options = evaluate._parser().parse_args(["--run", "r", "--out", "out", *words])
    return evaluate._data(Loaded(run, folder, "r"), options)


@pytest.mark.parametrize("words", [[], ["--corpus", "jsonl", "--root", "rows.jsonl"]])
def test_prompt_and_glosses_of_the_run_stay_for_a_corpus_of_the_same_kind(
    tmp_path: Path, words: list[str]
) -> None:
    found = data(tmp_path, *words)
    assert (found.prompt, found.glosses) == ("own.txt", "own_glosses.txt")


def test_a_corpus_of_another_kind_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(JsonLines, "prompt", "inference")
    found = data(tmp_path, "--corpus", "jsonl", "--root", "rows.jsonl")
    assert (found.prompt, found.glosses) == ("inference", None)


def test_a_prompt_that_is_given_comes_first_and_with_its_own_glosses(tmp_path: Path) -> None:
    found = data(tmp_path, "--prompt", "mine.txt")
    assert (found.prompt, found.glosses) == ("mine.txt", None)
