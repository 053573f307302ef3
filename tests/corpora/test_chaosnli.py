"""ChaosNLI: votes, text, splits, where its files may lie, its prompt, and Tables 5 and 8 of SHALA-LLM."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from layouts.chaosnli import FILES, GOOD, part_of, row, write, write_rows

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.items import SPLITS, Item
from lalm_ambig.corpora.chaosnli import CATEGORIES, ChaosNli
from lalm_ambig.describe import main
from lalm_ambig.policies.tiny import Tiny
from lalm_ambig.prompts import Mode, fill_classes, load_glosses, load_prompt, prompt_parts
from lalm_ambig.readouts.logits import answer_tokens

TABLE_5 = {None: (1168, 1397, 548), "snli": (424, 811, 279), "mnli": (744, 586, 269)}
TABLE_8 = {None: (377, 1493, 1243), "snli": (327, 865, 322), "mnli": (50, 628, 921)}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def read(root: Path, **options: Any) -> list[Item]:
    return list(ChaosNli(root, part="snli", **options).read())


def test_votes_are_in_the_order_of_the_classes_and_a_missing_letter_is_zero(tmp_path: Path) -> None:
    items = read(part_of(tmp_path, GOOD, row("h", {"c": 100}), row("i", {"n": 50, "e": 50})))
    assert CATEGORIES.names == ("entailment", "neutral", "contradiction")
    assert [item.votes for item in items] == [(4, 67, 29), (0, 0, 100), (50, 50, 0)]
    assert [CATEGORIES.names[item.majority] for item in items] == ["neutral", "contradiction", "entailment"]


def test_text_is_premise_and_hypothesis_a_line_each_whatever_white_space_they_hold(tmp_path: Path) -> None:
    example = {"premise": "  Two lines\nand  a gap. ", "hypothesis": "One\tline."}
    [item] = read(part_of(tmp_path, {**GOOD, "example": example}))
    assert item.text == "Premise: Two lines and a gap.\nHypothesis: One line."
    assert (item.audio, item.speaker, item.rationale) == (None, None, None)


def test_both_parts_are_read_unless_one_is_chosen(tmp_path: Path) -> None:
    root = write(tmp_path)
    both, snli, mnli = ChaosNli(root), ChaosNli(root, part="snli"), ChaosNli(root, part="mnli")
    assert [item.id for item in both.read()] == [f"{part}{n}" for part in ("snli", "mnli") for n in range(20)]
    assert list(both.read()) == [*snli.read(), *mnli.read()]
    assert list(both.notes()) == ["snli: 20 of 1,514 pairs", "mnli: 20 of 1,599 pairs"]
    assert list(mnli.notes()) == ["mnli: 20 of 1,599 pairs"]
    with pytest.raises(
        InputError, match=r"corpus chaosnli: unknown part 'alpha': expected one of snli, mnli"
    ):
        ChaosNli(root, part="alpha")


def test_each_part_is_split_65_15_20_by_a_seed(tmp_path: Path) -> None:
    root = write(tmp_path)
    for part in ("snli", "mnli"):
        splits = [item.split for item in ChaosNli(root, part=part).read()]
        assert Counter(splits) == {"train": 13, "validation": 3, "test": 4}
        assert splits != [item.split for item in ChaosNli(root, part=part, seed=1).read()]


def test_every_item_is_the_test_of_one_fold(tmp_path: Path) -> None:
    root = write(tmp_path)
    tests: list[str] = []
    for fold in range(5):
        items = list(ChaosNli(root, part="snli", fold=fold).read())
        assert Counter(item.split for item in items) == {"train": 14, "validation": 2, "test": 4}
        tests += [item.id for item in items if item.split == "test"]
    assert sorted(tests) == sorted(f"snli{n}" for n in range(20))


def test_files_may_lie_in_the_root_or_in_the_unpacked_folder(tmp_path: Path) -> None:
    root = write(tmp_path)
    inside = root / "chaosNLI_v1.0"
    assert list(ChaosNli(root).read()) == list(ChaosNli(inside).read())
    assert [path.name for path in ChaosNli(inside).label_files()] == list(FILES.values())
    write_rows(root / "chaosNLI_v2.0" / FILES["mnli"], [GOOD])
    with pytest.raises(
        InputError, match=r"mnli_m.jsonl is in chaosNLI_v1.0 and chaosNLI_v2.0: give one of th"
    ):
        ChaosNli(root).label_files()
    write_rows(root / FILES["mnli"], [GOOD])
    assert [item.id for item in ChaosNli(root, part="mnli").read()] == ["g"]


def test_a_missing_file_is_one_line_that_names_what_was_looked_for(tmp_path: Path) -> None:
    root = part_of(tmp_path, GOOD)
    assert len(read(root)) == 1
    expected = r"not found: chaosNLI_mnli_m.jsonl or chaosNLI_\*/chaosNLI_mnli_m.jsonl under .*github.com"
    with pytest.raises(InputError, match=expected) as raised:
        list(ChaosNli(root).read())
    assert "\n" not in str(raised.value)
    with pytest.raises(InputError, match=r"not found: chaosNLI_snli.jsonl or"):
        list(ChaosNli(root / FILES["snli"]).read())


@pytest.mark.parametrize("mode", ["direct", "reason"])
def test_the_prompt_holds_the_pair_and_a_gloss_for_every_class(tmp_path: Path, mode: Mode) -> None:
    [item] = read(part_of(tmp_path, GOOD))
    template = fill_classes(load_prompt("inference", mode), CATEGORIES.names, load_glosses("inference"))
    [part] = prompt_parts(template, text=item.text, audio=False)
    lines = part["text"].split("\n")
    assert [line.partition(":")[0] for line in lines if ":" in line] == [
        *("Background", "Task"),
        *(f"- {name}" for name in CATEGORIES.names),
        *("Form", "Premise", "Hypothesis"),
    ]
    assert all(line.partition(": ")[2] for line in lines if line.startswith("- "))
    form = next(line for line in lines if line.startswith("Form:"))
    assert "<answer> … </answer>" in form
    assert ("<think>" in form) == (mode == "reason")
    assert "{" not in part["text"]


def test_the_classes_begin_with_different_tokens(tiny: Tiny) -> None:
    first_ids = answer_tokens(tiny.text_ids, CATEGORIES).first_ids
    assert len(set(first_ids)) == 3


@pytest.mark.parametrize("part", [None, "snli", "mnli"])
def test_the_real_files_give_the_tables_of_shala_llm(
    shared_data: Path, capsys: pytest.CaptureFixture[str], part: str | None
) -> None:
    chosen = [] if part is None else ["--part", part]
    main(["--corpus", "chaosnli", "--root", str(shared_data / "ChaosNLI"), *chosen])
    shown = capsys.readouterr().out
    assert counts_beside(CATEGORIES.names, shown) == TABLE_5[part]
    assert counts_beside(("low", "medium", "high"), shown) == TABLE_8[part]
    sizes = counts_beside(tuple(f"split {split}" for split in SPLITS), shown)
    whole = sum(TABLE_5[part])
    assert sum(sizes) == whole
    assert [round(size / whole, 3) for size in sizes] == [0.65, 0.15, 0.2]


def counts_beside(names: Sequence[str], shown: str) -> tuple[int, ...]:
    """The number in the second column of each row of that name, as it was printed."""
    cells = [[cell.strip() for cell in line.split("│")[1:]] for line in shown.splitlines() if "│" in line]
    counts = {row[0]: int(row[1].replace(",", "")) for row in cells if row[0] in names}
    return tuple(counts[name] for name in names)
