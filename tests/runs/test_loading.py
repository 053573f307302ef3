"""Which corpus a policy was trained on, and whether another one is asked about."""

from pathlib import Path

import pytest

from lalm_ambig.config.cli import parse
from lalm_ambig.config.files import config_folder
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.runs.loading import Loaded, source_of

ROW = '{"id": "1", "text": "so", "votes": {"anger": 1, "joy": 1}}\n'
OTHER_ROW = '{"id": "1", "text": "so", "votes": {"anger": 1, "fear": 1}}\n'


def write(path: Path, row: str = ROW) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(row)
    return path


def run_on(name: str, root: Path, *, adapter: Path | None = Path("adapter")) -> Loaded:
    cli = parse(["--policy=tiny", "--method=sft", f"--data.corpus={name}", f"--data.corpus.root={root}"])
    return Loaded(cli, adapter, "r")


def test_the_runs_own_corpus_is_no_other_wherever_it_is(tmp_path: Path) -> None:
    loaded = run_on("demo", tmp_path)
    assert source_of(loaded, loaded.data.corpus) is None
    assert source_of(loaded, open_corpus("demo", tmp_path / "elsewhere")) is None


def test_a_base_model_has_learnt_no_corpus(tmp_path: Path) -> None:
    assert source_of(run_on("demo", tmp_path, adapter=None), open_corpus("crema_d", tmp_path)) is None


def test_a_corpus_of_another_name_is_another(tmp_path: Path) -> None:
    source = source_of(run_on("demo", tmp_path), open_corpus("crema_d", tmp_path))
    assert source is not None
    assert (source.name, len(source.categories)) == ("demo", 6)


def test_another_part_of_a_corpus_is_another_but_a_part_of_the_whole_is_not(tmp_path: Path) -> None:
    kinds = ("policy/causal_lm.yaml", "data/chaosnli.yaml", "method/sft_kl_only.yaml")
    files = [f"--config={config_folder() / kind}" for kind in kinds]
    files += [f"--data.corpus.root={tmp_path}", "--policy.path=x"]
    on_part = Loaded(parse([*files, "--data.corpus.part=snli"]), Path("adapter"), "r")
    source = source_of(on_part, open_corpus("chaosnli", tmp_path, part="mnli"))
    assert source is not None
    assert source.name == "chaosnli (snli)"
    assert source_of(on_part, open_corpus("chaosnli", tmp_path, part="snli")) is None
    on_all = Loaded(parse(files), Path("adapter"), "r")
    assert source_of(on_all, open_corpus("chaosnli", tmp_path, part="mnli")) is None


def test_a_file_of_json_lines_is_a_corpus_of_its_own(tmp_path: Path) -> None:
    loaded = run_on("jsonl", write(tmp_path / "a.jsonl"))
    source = source_of(loaded, open_corpus("jsonl", write(tmp_path / "b.jsonl")))
    assert source is not None
    assert (source.name, source.categories.names) == ("jsonl (a.jsonl)", ("anger", "joy"))
    assert source_of(loaded, open_corpus("jsonl", write(tmp_path / "copy" / "a.jsonl"))) is None
    assert source_of(loaded, open_corpus("jsonl", write(tmp_path / "c" / "a.jsonl", OTHER_ROW))) == source


def test_a_file_that_is_gone_is_an_error_only_where_its_classes_are_needed(tmp_path: Path) -> None:
    loaded = run_on("jsonl", tmp_path / "a.jsonl")
    moved = write(tmp_path / "new" / "a.jsonl")
    assert source_of(loaded, open_corpus("jsonl", moved)) is None
    with pytest.raises(
        InputError, match=r"--run: the classes that r was trained on cannot be read: .*not found"
    ):
        source_of(loaded, open_corpus("demo", tmp_path))
