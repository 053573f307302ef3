"""Figures of papers: well-formed, marked as not comparable, and only where a source has them."""

from pathlib import Path

import pytest
import yaml

from lalm_ambig.corpora.base import corpus_class, corpus_names
from lalm_ambig.evaluation.literature import literature, sources


def test_a_part_has_its_own_figures_and_says_that_they_are_not_comparable() -> None:
    (whole,), (snli,) = literature("chaosnli", None), literature("chaosnli", "snli")
    assert whole.head == ["literature: ChaosNLI", "JSD ↓", "BC ↑", "Acc ↑", "F1 ↑", "WF1 ↑"]
    assert [cell.text for cell in whole.rows[-1]] == [
        "SHALA-LLM",
        "0.181",
        "0.966",
        "0.768",
        "0.758",
        "0.767",
    ]
    assert [row[0].text for row in snli.rows][1] == "Dist. NLI (Zhou et al. 2022)"
    for table in (whole, snli):
        assert "Table 2" in table.caption
        assert "other items and splits, not comparable item by item" in table.caption
        assert not any(cell.best for row in table.rows for cell in row)


def test_a_cell_that_two_tables_of_a_paper_print_differently_has_a_note() -> None:
    (table,) = literature("msp_podcast", None)
    assert table.rows[1][2].text == "0.649"
    assert "Table 1 has BC 0.694" in table.caption


def test_nothing_is_shown_where_no_source_has_the_corpus() -> None:
    assert literature("demo", None) == []
    assert literature("chaosnli", "nosuch") == []


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.name)
def test_every_source_is_whole(path: Path) -> None:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content["source"]
    for table in content["tables"]:
        cls = corpus_class(table["corpus"]) if table["corpus"] in corpus_names() else None
        assert cls is not None, table["corpus"]
        assert table["part"] is None or table["part"] in cls.parts
        for name, figures in table["rows"].items():
            assert len(figures) == len(content["columns"]), name
            assert all(figure == "–" or 0 < float(figure) < 1 for figure in figures), name
            assert any(figure != "–" for figure in figures), name
