"""A very small corpus on disk for each corpus that has one, and the shared real data where it is at hand.

`layouts/NAME.py` has a function `write(folder) -> root` that makes one of corpus NAME in its real layout.
"""

import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crema_d_rows import VOTES_ROWS, write_clip, write_votes

import lalm_ambig.corpora.demo.corpus
from lalm_ambig.corpora.base import Corpus, open_corpus
from lalm_ambig.corpora.demo.writer import DemoSettings


@pytest.fixture
def crema_d_root(tmp_path: Path) -> Path:
    """CREMA-D with four clips that have votes, all on disk."""
    root = tmp_path / "CREMA-D"
    write_votes(root, VOTES_ROWS)
    for seed, row in enumerate(VOTES_ROWS[:4]):
        write_clip(root / "AudioWAV" / f"{row[7]}.wav", seed=seed)
    return root


@pytest.fixture
def jsonl_root(tmp_path: Path) -> Path:
    """A JSON Lines corpus of twenty items, ten with sound, with speakers."""
    path = tmp_path / "own" / "items.jsonl"
    rows: list[dict[str, object]] = [{"categories": ["yes", "no", "unclear"]}]
    for n in range(20):
        row: dict[str, object] = {"id": f"i{n}", "text": f"text {n}", "votes": {"yes": n % 3 + 1, "no": 2}}
        if n % 2:
            row["audio"] = f"clips/{n}.wav"
            write_clip(path.parent / "clips" / f"{n}.wav", seed=n)
        rows.append({**row, "speaker": f"s{n // 2}"})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def demo_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache folder in which the demo is made with 10 actors and 6 clips each."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(lalm_ambig.corpora.demo.corpus, "SETTINGS", DemoSettings(actors=10, clips_per_actor=6))
        yield folder


@pytest.fixture
def small_corpora(
    crema_d_root: Path, jsonl_root: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> dict[str, Callable[[], Corpus]]:
    """Corpus name → a function that opens a small one of it."""

    def demo() -> Corpus:
        request.getfixturevalue("demo_cache")
        return open_corpus("demo", None)

    def written(name: str) -> Callable[[], Corpus]:
        layout = importlib.import_module(f"layouts.{name}")
        options = getattr(layout, "OPTIONS", {})
        return lambda: open_corpus(name, layout.write(tmp_path / name), **options)

    return {
        "crema_d": lambda: open_corpus("crema_d", crema_d_root),
        "jsonl": lambda: open_corpus("jsonl", jsonl_root),
        "demo": demo,
        **{path.stem: written(path.stem) for path in (Path(__file__).parent / "layouts").glob("*.py")},
    }
