"""Which reader a method's settings ask for, and what that reader needs."""

from collections.abc import Sequence
from typing import Any

import pytest
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.methods.generation import Generation
from lalm_ambig.methods.readers import (
    AveragedSamples,
    Curated,
    Direct,
    Generated,
    Reader,
    Verbalised,
    evaluated_reader,
    validation_readers,
)

ONE, THREE = Generation(max_new_tokens=5), Generation(max_new_tokens=5, samples=3)
CASES: list[tuple[Generation, bool, Any, Reader, list[str]]] = [
    (ONE, False, "logits", Direct(), ["direct"]),
    (ONE, True, "logits", Generated(5), ["curated", "generated"]),
    (ONE, False, "verbalised", Verbalised("direct", 5), ["direct"]),
    (ONE, True, "verbalised", Verbalised("generated", 5), ["generated"]),
    (THREE, True, "logits", AveragedSamples("generated", 3, 5), ["curated", "generated"]),
    (THREE, False, "verbalised", AveragedSamples("direct", 3, 5), ["direct"]),
]


@pytest.mark.parametrize(("generation", "reasoning", "readout", "expected", "names"), CASES)
def test_settings_choose_the_reader(
    generation: Generation, reasoning: bool, readout: Any, expected: Reader, names: list[str]
) -> None:
    reader = evaluated_reader(generation, reasoning=reasoning, readout=readout)
    assert reader == expected
    assert [r.name for r in validation_readers(reader, reasoning=reasoning, readout=readout)] == names
    assert reader.generates_text == (reasoning or readout == "verbalised")


def test_only_the_curated_reader_needs_a_rationale_and_it_writes_nothing() -> None:
    assert Curated.needs_rationale
    assert not Curated().generates_text
    assert not any(reader.needs_rationale for reader in (Direct(), Generated(5), Verbalised("direct", 5)))


def test_several_samples_without_text_are_refused(
    make_policy: MakePolicy, make_encoder: MakeEncoder, items: Sequence[Item]
) -> None:
    reader = evaluated_reader(THREE, reasoning=False, readout="logits")
    encoder = make_encoder(make_policy(), reasoning=False)
    with pytest.raises(InputError, match="without reasoning every sample is the same"):
        reader.read(encoder, encoder(items), share=True)
