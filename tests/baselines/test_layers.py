"""The probe by layer: the statistics of each layer, and the layers that it would take."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from small_model import MakePolicy

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.baselines import softmax_regression
from lalm_ambig.baselines.base import BaselineInputs
from lalm_ambig.baselines.layers import LayerStatistics, asked_layers, layer_statistics, probe_layers
from lalm_ambig.baselines.probe import FittedProbe
from lalm_ambig.baselines.softmax_regression import L2_GRID, PATIENCE, Examples, best_fit, fit
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item, Split
from lalm_ambig.policies.tiny import Tiny


def test_statistics_are_mean_and_deviation_over_time_of_each_layer(tiny: Tiny, items: Sequence[Item]) -> None:
    statistics = layer_statistics(tiny, items, (0, 1))
    for item in items:
        with torch.no_grad(), tiny.hearing((0, 1)):
            (states,) = tiny.encode_audio([tiny.log_mel(read_audio(str(item.audio)))])
        for place, name in enumerate(("last", 0, 1)):
            layer = states[:, 128 * place : 128 * (place + 1)]
            expected = torch.cat([layer.mean(0), layer.std(0, correction=0)])
            features = statistics.of([] if name == "last" else [name], last=name == "last")  # type: ignore[list-item]
            torch.testing.assert_close(features([item])[0], expected, atol=1e-4, rtol=1e-3)
    assert tiny.side_layers == ()


def test_joined_features_are_the_layers_side_by_side_in_the_order_of_the_items(
    tiny: Tiny, items: Sequence[Item]
) -> None:
    statistics = layer_statistics(tiny, items, (0, 1))
    joined = statistics.of((0, 1), last=True)
    parts = [statistics.of([], last=True), statistics.of([0], last=False), statistics.of([1], last=False)]
    assert torch.equal(joined(items[::-1]), torch.cat([part(items[::-1]) for part in parts], dim=1))
    assert joined.meaning.startswith("mean and deviation over time of layers last, 0, 1 of tiny")


VOTES = {"happy": (9.0, 1.0), "sad": (1.0, 9.0), "even": (5.0, 5.0)}


def judged(split: Split, count: int = 18) -> list[Item]:
    names = list(VOTES)
    return [
        Item(
            f"{split}{n}",
            VOTES[names[n % 3]],
            speaker=f"s{n}",
            audio=f"{split}{n}",
            duration_s=1.0,
            split=split,
        )
        for n in range(count)
    ]


def statistics_of(leaks: Mapping[int, float], layers: int = 8) -> LayerStatistics:
    """Layers of noise; into some, the votes leak, with a deviation of noise."""
    items = [*judged("train"), *judged("validation"), *judged("test")]
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(len(items), layers + 1, 4, generator=generator)
    share = torch.tensor([item.label_dist[0] for item in items])
    for layer, noise in leaks.items():
        values[:, layer + 1, 0] = share + noise * torch.randn(len(items), generator=generator)
    rows = {str(item.audio): n for n, item in enumerate(items)}
    return LayerStatistics(tuple(range(layers)), rows, values, "made up")


def known() -> BaselineInputs:
    return BaselineInputs(
        judged("test"),
        judged("train"),
        judged("validation"),
        torch.tensor([i.votes for i in judged("train")]),
    )


def test_the_layers_that_hold_the_votes_are_found_and_taken() -> None:
    probed = probe_layers(known(), statistics_of({5: 0.02}))
    assert min(probed.kl, key=lambda name: probed.kl[name]) in ("5", "joined")
    assert 5 in probed.layers and len(probed.layers) <= 6
    assert probed.kl["joined"] <= min(probed.kl["last"], probed.kl["0"])
    assert list(probed.results) == ["0", "1", "2", "3", "4", "5", "6", "7", "last", "joined"]
    assert probed.option == f"--policy.audio_layers '[{','.join(map(str, probed.layers))}]'"


def test_layers_are_chosen_on_validation_never_on_what_is_answered() -> None:
    statistics = statistics_of({2: 0.02, 6: 0.3})
    swapped = statistics.values.clone()
    answered = [statistics.rows[str(item.audio)] for item in judged("test")]
    swapped[answered] = torch.randn(
        len(answered), *swapped.shape[1:], generator=torch.Generator().manual_seed(1)
    )
    other = probe_layers(known(), replace(statistics, values=swapped))
    assert other.layers == probe_layers(known(), statistics).layers


def test_one_layer_may_be_all_there_is_beside_the_last() -> None:
    probed = probe_layers(known(), statistics_of({0: 0.02}, layers=1))
    assert probed.layers == (0,) and list(probed.results) == ["0", "last", "joined"]


def test_the_answers_of_a_layer_are_the_probes_on_it() -> None:
    statistics = statistics_of({3: 0.1})
    fitted = FittedProbe.fit(replace(known(), features=statistics.of([3], last=False)))
    assert probe_layers(known(), statistics).results["3"].predictions == fitted.answer(known()).predictions


@pytest.mark.parametrize(("text", "layers"), [("all", (0, 1)), ("1", (1,)), ("1,0,1", (0, 1)), (" 0 ", (0,))])
def test_layers_are_named_by_numbers_or_all(tiny: Tiny, text: str, layers: tuple[int, ...]) -> None:
    assert asked_layers(text, tiny) == layers


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("some", r"--layers: expected all, or numbers such as 0,2,4; got 'some'"),
        ("", "expected all, or numbers"),
        ("0-2", "expected all, or numbers"),
        ("-1", "expected numbers from 0 on, got -1"),
        ("2", "--layers: the audio encoder has 2 layers, and 2 is its last"),
        ("0,77", "and 77 is none of them"),
    ],
)
def test_what_names_no_layers_is_refused(tiny: Tiny, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        asked_layers(text, tiny)


def test_an_item_without_sound_is_refused(make_policy: MakePolicy, items: Sequence[Item]) -> None:
    texts = [replace(items[0], audio=None, text="words", duration_s=0.0)]
    with pytest.raises(InputError, match="has no sound: leave it out"):
        layer_statistics(make_policy(), texts, (0,))


def test_more_features_than_items_are_fitted_exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a basis of the items' span, which has fewer axes, the minimum is that of all features."""
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(12, 40, generator=generator, dtype=torch.float64)
    target = torch.rand(12, 3, generator=generator, dtype=torch.float64)
    examples = Examples(features, target / target.sum(1, keepdim=True))
    strong = fit(examples, l2=1.0)
    fitted = fit(examples, l2=0.1, start=strong)
    monkeypatch.setattr(softmax_regression, "_fewer_columns", lambda inputs: (inputs, None))
    plain = fit(examples, l2=0.1)
    assert fitted.converged and plain.converged
    torch.testing.assert_close(fitted.weight, plain.weight, atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(fitted.bias, plain.bias, atol=1e-6, rtol=1e-4)


def test_the_search_ends_once_weaker_penalties_are_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.softmax(torch.randn(20, 3, generator=generator), -1)
    train = Examples(torch.randn(20, 30, generator=generator), target)
    tried: list[float] = []
    monkeypatch.setattr(
        softmax_regression, "fit", lambda e, *, l2, start: tried.append(l2) or fit(e, l2=l2, start=start)
    )
    best = best_fit(train, Examples(torch.randn(20, 30, generator=generator), target))  # nothing to be learnt
    assert tried == list(L2_GRID[: L2_GRID.index(best.l2) + 1 + PATIENCE]) and len(tried) < len(L2_GRID)
