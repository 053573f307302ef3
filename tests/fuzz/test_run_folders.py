"""What a report reads from run folders: whole results and predictions, or one of our errors that names the file."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutation import mutated, mutated_objects, outcome

from lalm_ambig.core.categories import CategorySet
from lalm_ambig.evaluation.about import About
from lalm_ambig.evaluation.predictions import Prediction, read_predictions, write_predictions
from lalm_ambig.evaluation.results import evaluate_predictions, items_digest
from lalm_ambig.evaluation.results_file import read_results, write_results
from lalm_ambig.reporting.reading.inputs import read_config

CLASSES = CategorySet(("anger", "fear", "neutral"))
VOTES = ((3.0, 1.0, 0.0), (0.0, 2.0, 2.0), (0.0, 0.0, 5.0), (1.0, 1.0, 1.0))
PREDICTIONS = tuple(
    Prediction(
        id=f"i{n}", split="test", speaker=None if n == 3 else f"s{n % 2}", votes=votes,
        label_dist=tuple(v / sum(votes) for v in votes), predicted_dist=(0.5, 0.25, 0.25),
        class_mass=0.9, response="<think>flat</think>", closed=n == 0, unparsed="no object" if n == 1 else None,
    )
    for n, votes in enumerate(VOTES)
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def metrics(folder: Path) -> bytes:
    about = About(
        "demo", "test", "verbalised", "generated", "tiny, base", table_metrics=("js_div_bits", "accuracy")
    )
    results = evaluate_predictions(PREDICTIONS, CLASSES, about=about)
    return write_results(folder / "seed.json", results).read_bytes()


@given(data=st.data())
def test_metrics_json_is_results_or_refused(data: st.DataObject, folder: Path, metrics: bytes) -> None:
    path = folder / "metrics.json"
    path.write_bytes(data.draw(mutated([metrics]) | mutated_objects([json.loads(metrics)])))
    results = outcome(lambda: read_results(path))
    if results is None:
        return
    assert isinstance(results.items, int)
    assert len({*results.categories}) == len(results.categories) >= 2
    parts = [
        *results.by_ambiguity.values(),
        *results.by_active_labels.values(),
        *results.by_majority.values(),
    ]
    for intervals in (results.metrics, *(part.metrics for part in parts)):
        for interval in intervals.values():
            assert isinstance(interval.value, float)
            assert all(isinstance(end, float | int | None) for end in (interval.low, interval.high))
    outcome(lambda: write_results(path, results))


@pytest.fixture(scope="module")
def rows(folder: Path) -> bytes:
    return write_predictions(folder / "seed.jsonl", PREDICTIONS).read_bytes()


@given(data=st.data())
def test_predictions_are_distributions_or_refused(data: st.DataObject, folder: Path, rows: bytes) -> None:
    path = folder / "predictions.jsonl"
    objects = [json.loads(line) for line in rows.splitlines()]
    path.write_bytes(data.draw(mutated([rows]) | mutated_objects(objects)))
    found = outcome(lambda: read_predictions(path))
    if found is None:
        return
    assert len({p.id for p in found}) == len(found)
    assert len({len(p.votes) for p in found}) == 1
    for p in found:
        assert all(math.isfinite(vote) and vote >= 0 for vote in p.votes)
        assert 0 < sum(p.votes) < math.inf
        assert sum(p.label_dist) == pytest.approx(1, abs=1e-3)
        assert sum(p.predicted_dist) == pytest.approx(1, abs=1e-3)
        assert p.class_mass is None or -1e-3 <= p.class_mass <= 1.01
    assert len(items_digest(found)) == 16
    outcome(lambda: write_predictions(path, found))


RECORDED = b"""\
trainer:
  max_steps: 20
  precision: null
policy:
  class_path: lalm_ambig.policies.tiny.Tiny
  init_args: {adapter: {rank: 4, alpha: 8.0}}
data:
  corpus: {class_path: lalm_ambig.corpora.demo.Demo, init_args: {fold: 2, part: null}}
"""


@given(content=mutated([RECORDED]))
def test_a_recorded_configuration_is_keys_and_values_or_refused(folder: Path, content: bytes) -> None:
    path = folder / "config.yaml"
    path.write_bytes(content)
    found = outcome(lambda: read_config(path))
    assert found is None or isinstance(found, dict)
