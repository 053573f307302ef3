"""What is in the runs' corpora, and what their items say: counted from the files, or a marked gap with its reason."""

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from layouts import chaosnli
from report_runs import SFT, about, keep, report

from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import open_corpus
from lalm_ambig.evaluation.predictions import Prediction
from lalm_ambig.report import main
from lalm_ambig.reporting.tables import sheets
from lalm_ambig.tabular.model import ResultTable
from lalm_ambig.tabular.writers import html, latex, markdown


@pytest.fixture(autouse=True)
def own_cache(cache_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus in small, whose first sentence holds what formats read as markup."""
    where = chaosnli.write(tmp_path_factory.mktemp("ChaosNLI"))
    file = where / "chaosNLI_v1.0" / chaosnli.FILES["snli"]
    file.write_text(file.read_text().replace("Someone reads page", "A_b | 5% <i>of</i> $x$ & page"))
    return where


@pytest.fixture(scope="module")
def counted(root: Path, cache_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables of a run on one part."""
    folder = tmp_path_factory.mktemp("counted")
    run = run_of(folder / "run", root, predictions(root))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        main([str(run), "--table", "corpora", "--figure", "none", "--out", str(folder / "out")])
    return folder / "out"


def predictions(root: Path) -> list[Prediction]:
    """What a policy says of the test items of one part."""
    items = [item for item in open_corpus("chaosnli", root, part="snli").read() if item.split == "test"]
    said = "<think>a_b</think><answer>"
    return [
        Prediction(i.id, i.split, None, i.votes, i.label_dist, (0.5, 0.3, 0.2), response=said, closed=False)
        for i in items
    ]


def run_of(folder: Path, root: Path, rows: list[Prediction], **changed: Any) -> Path:
    keep(folder / "evaluation/trained", rows, "chaosnli", about("chaosnli", policy=f"tiny, {folder.name}"))
    settings = {"root": str(root), "part": "snli", "fold": None, **changed}
    corpus = {"class_path": "lalm_ambig.corpora.chaosnli.ChaosNli", "init_args": settings}
    content = {"model": SFT, "data": {"corpus": corpus}, "run": {"name": folder.name}}
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    return folder


def responses(*paths: Path) -> ResultTable:
    return sheets("b14", report(*paths))[0]


def table(out: Path, name: str) -> dict[tuple[str, ...], dict[str, str]]:
    rows = list(csv.reader((out / f"{name}.csv").read_text().splitlines()))
    names = sum(
        head in ("corpus", "majority class", "ambiguity level", "classes with a vote") for head in rows[0]
    )
    return {tuple(row[:names]): dict(zip(rows[0][names:], row[names:], strict=True)) for row in rows[1:]}


def test_every_part_is_counted_from_the_root_of_a_run_on_one(counted: Path) -> None:
    sizes, classes = table(counted, "corpora"), table(counted, "corpora_majority")
    assert [sizes[name,]["items"] for name in ("ChaosNLI", "ChaosNLI-M", "ChaosNLI-S")] == ["40", "20", "20"]
    assert sizes["ChaosNLI-S",]["train"] == "13" and sizes["ChaosNLI-S",]["with_text"] == "20"
    counted = [classes["ChaosNLI-S", name] for name in ("entailment", "neutral", "contradiction")]
    assert [row["items"] for row in counted] == ["8", "8", "4"]  # a tie of two goes to the first class
    assert [row["share"] for row in counted] == ["0.4", "0.4", "0.2"]
    assert [row["items_shala_llm"] for row in counted] == ["424", "811", "279"]


def test_levels_and_active_labels_are_counted_by_hand(counted: Path) -> None:
    """Votes 70/30, 50/36/14, 100, 50/50, 97/3, four times each: H̃ = .556, .901, 0, .631, .123."""
    levels, active = table(counted, "corpora_ambiguity_levels"), table(counted, "corpora_active_labels")
    assert [levels["ChaosNLI-S", name]["items"] for name in ("low", "medium", "high")] == ["8", "8", "4"]
    found = [active["ChaosNLI-S", name] for name in "123"]
    assert [row["items"] for row in found] == ["4", "12", "4"]
    assert [float(row["mean_entropy"]) for row in found] == pytest.approx(
        [0, (0.5560 + 0.6309 + 0.1227) / 3, 0.9008], abs=1e-3
    )
    assert active["GoEmotions", "4+"]["mean_entropy_shala_llm"] == "0.6875"
    assert active["MSP-Podcast", "4+"]["mean_entropy_shala_llm"] == "0.6604"
    below = (counted / "corpora_active_labels.md").read_text()
    assert "Table 9, appendix C.2.2; SHALA-LLM" in below and "Table 10, appendix C.2.3." in below


def test_what_is_not_at_hand_is_a_gap_with_its_reason_in_every_format(root: Path, tmp_path: Path) -> None:
    run, out = run_of(tmp_path / "run", tmp_path / "gone", predictions(root)), tmp_path / "out"
    main([str(run), "--table", "corpora", "--figure", "none", "--out", str(out)])
    row = table(out, "corpora_majority")["ChaosNLI-S", "neutral"]
    assert (row["items"], row["items_shala_llm"]) == ("", "811")
    assert "ChaosNLI-S was not counted: corpus chaosnli: not found" in row["notes"]
    assert "no run of it was given" in table(out, "corpora")["MSP-Podcast",]["notes"]
    assert "ChaosNLI-S was not counted" in (out / "corpora.md").read_text()
    assert "ChaosNLI-S was not counted" in (out / "report.html").read_text()


def test_files_of_another_version_are_not_counted_as_the_runs_corpus(root: Path, tmp_path: Path) -> None:
    rows = predictions(root)
    rows[0] = replace(rows[0], votes=(99.0, 1.0, 0.0), label_dist=(0.99, 0.01, 0.0))
    run, out = run_of(tmp_path / "run", root, rows), tmp_path / "out"
    main([str(run), "--table", "corpora", "--figure", "none", "--out", str(out)])
    found = table(out, "corpora")["ChaosNLI-S",]
    assert found["items"] == "" and f"item {rows[0].id}, its votes are others" in found["notes"]
    assert table(out, "corpora")["ChaosNLI-M",]["items"] == "20"


def test_the_text_of_an_item_stands_above_the_responses_escaped_in_each_format(
    root: Path, tmp_path: Path
) -> None:
    sheet = responses(run_of(tmp_path / "run", root, predictions(root)))
    assert [line.names[0] for line in sheet.rows] == ["item", "people", "run"]
    assert sheet.rows[0].names[1].startswith("Premise: A_b | 5% <i>of</i> $x$ & page snli")
    assert "Hypothesis: Someone reads." in sheet.rows[0].names[1]
    assert r"item | Premise: A\_b \| 5% &lt;i&gt;of&lt;/i&gt; $x$ &amp; page" in markdown(sheet)
    assert r"A\_b \textbar{} 5\% \textless{}i\textgreater{}of" in latex(sheet)
    assert "A_b | 5% &lt;i&gt;of&lt;/i&gt; $x$ &amp; page" in html(sheet)


def test_a_text_that_is_not_at_hand_is_said_in_a_line(root: Path, tmp_path: Path) -> None:
    sheet = responses(run_of(tmp_path / "run", tmp_path / "gone", predictions(root)))
    assert [line.names[0] for line in sheet.rows] == ["people", "run"]
    assert sheet.caption[-1].startswith("What the item says is not shown: corpus chaosnli: not found")


def test_a_root_given_by_hand_is_looked_in_first(root: Path, tmp_path: Path) -> None:
    run, out = run_of(tmp_path / "run", tmp_path / "gone", predictions(root)), tmp_path / "out"
    words = [str(run), "--table", "b14", "--figure", "none", "--out", str(out)]
    main([*words, "--root", f"chaosnli={root}"])
    assert "Hypothesis: Someone reads." in (out / "b14_chaosnli_snli_1.md").read_text()
    for given, message in (
        ("nosuch=x", "--root: unknown corpus 'nosuch'"),
        ("x", "--root: expected CORPUS=PATH"),
    ):
        with pytest.raises(InputError, match=message):
            main([*words, "--root", given])
