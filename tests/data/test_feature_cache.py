"""Cached features are the encoder's own, and are computed once."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from small_model import MakeEncoder, MakePolicy

from lalm_ambig.audio.reading import read_audio
from lalm_ambig.core.errors import InputError
from lalm_ambig.core.types import Item
from lalm_ambig.data import feature_cache
from lalm_ambig.data.feature_cache import cached_features, encoder_moments
from lalm_ambig.policies.tiny import Tiny


def heard(policy: Tiny, item: Item) -> torch.Tensor:
    with torch.no_grad():
        return policy.encode_audio([policy.log_mel(read_audio(str(item.audio)))])[0]


def test_cached_features_equal_uncached_ones(tiny: Tiny, items: Sequence[Item], tmp_path: Path) -> None:
    cache = cached_features(tiny, items, tmp_path)
    for item in items:
        torch.testing.assert_close(cache.get(str(item.audio)), heard(tiny, item), atol=2e-5, rtol=1e-3)


@torch.no_grad()
def test_a_batch_from_the_cache_equals_one_that_is_heard(
    tiny: Tiny, make_encoder: MakeEncoder, items: Sequence[Item], tmp_path: Path
) -> None:
    plain, cached = make_encoder(tiny), make_encoder(tiny)
    cached.features = cached_features(tiny, items, tmp_path)
    one, other = plain(items), cached(items)
    assert torch.equal(one.prompt.ids, other.prompt.ids)
    assert other.audio is not None and other.audio.encoded
    torch.testing.assert_close(
        tiny.embed(other.prompt, other.audio), tiny.embed(one.prompt, one.audio), atol=2e-5, rtol=1e-3
    )


def test_a_second_start_hears_nothing_again(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = cached_features(make_policy(), items, tmp_path)
    monkeypatch.setattr(feature_cache, "read_audio", lambda *_, **__: pytest.fail("a clip was read again"))
    again = cached_features(make_policy(), items[::-1], tmp_path)
    assert again.folder == first.folder
    assert all(torch.equal(again.get(str(i.audio)), first.get(str(i.audio))) for i in items)


def test_another_encoder_or_a_changed_clip_is_another_cache(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path
) -> None:
    policy = make_policy()
    copy = tmp_path / "copy.wav"
    copy.write_bytes(Path(str(items[0].audio)).read_bytes())
    item = replace(items[0], audio=str(copy))
    first = cached_features(policy, [item], tmp_path / "cache").folder
    copy.write_bytes(Path(str(items[1].audio)).read_bytes())
    changed = cached_features(policy, [item], tmp_path / "cache")
    assert changed.folder != first
    torch.testing.assert_close(changed.get(str(copy)), heard(policy, items[1]), atol=2e-5, rtol=1e-3)
    with torch.no_grad():
        policy.tower.layer_norm.bias.add_(1.0)
    other = cached_features(policy, [item], tmp_path / "cache")
    assert other.folder not in (first, changed.folder)
    assert not torch.allclose(other.get(str(copy)), changed.get(str(copy)))


def test_items_without_sound_are_passed_over(tiny: Tiny, items: Sequence[Item], tmp_path: Path) -> None:
    cache = cached_features(tiny, [replace(items[0], audio=None, id="x"), items[1]], tmp_path)
    assert list(cache.index) == [items[1].audio]
    with pytest.raises(KeyError):
        cache.get(str(items[0].audio))


def test_a_clip_of_two_items_is_kept_once(tiny: Tiny, items: Sequence[Item], tmp_path: Path) -> None:
    cache = cached_features(tiny, [items[0], replace(items[0], id="x"), items[1]], tmp_path)
    saved = json.loads((cache.folder / "index.json").read_text())
    assert len(saved["clips"]) == 2


def test_bfloat16_features_come_back_bit_for_bit(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path
) -> None:
    policy = make_policy()
    policy.tower.bfloat16()
    cache = cached_features(policy, items[:1], tmp_path)
    assert cache.dtype == torch.bfloat16
    assert torch.equal(cache.get(str(items[0].audio)), heard(policy, items[0]))


def test_moments_are_those_of_all_audio_tokens(tiny: Tiny, items: Sequence[Item], tmp_path: Path) -> None:
    cache = cached_features(tiny, items, tmp_path)
    clips = [str(item.audio) for item in items[:3]]
    mean, deviation = cache.moments(clips, tiny)
    every = torch.cat([cache.get(clip) for clip in clips])
    torch.testing.assert_close(mean, every.mean(0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(deviation, every.std(0, unbiased=False), atol=1e-5, rtol=1e-4)


def test_a_failure_while_hearing_leaves_no_cache(
    tiny: Tiny, items: Sequence[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> torch.Tensor:
        raise OSError("disk on fire")

    monkeypatch.setattr(feature_cache, "read_audio", fails)
    with pytest.raises(OSError, match="disk on fire"):
        cached_features(tiny, items, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_size_is_printed_before_it_is_written_and_grows_with_the_layers(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policy = make_policy()
    sizes = []
    for layers in ((), (0, 1)):
        with policy.hearing(layers):
            folder = cached_features(policy, items, tmp_path / str(layers)).folder
        printed = capsys.readouterr().err
        channels = 128 * (1 + len(layers))
        assert f"audio features of {len(items)} clips ({channels} channels per token): " in printed
        sizes.append((folder / "features.bin").stat().st_size)
    assert sizes[1] == 3 * sizes[0]


def test_a_cache_over_the_limit_or_larger_than_the_disk_is_refused_before_it_is_begun(
    tiny: Tiny, items: Sequence[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"\d kB, and data.feature_cache_gb is 1e-06: hear fewer layers"):
        cached_features(tiny, items, tmp_path / "cache", limit_gb=1e-6)
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=10))
    with pytest.raises(InputError, match=r"\d kB, and 10 bytes are free in .*: hear fewer layers"):
        cached_features(tiny, items, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("features-*"))


def test_the_size_that_is_printed_is_about_the_size_that_is_written(
    make_policy: MakePolicy,
    items: Sequence[Item],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(feature_cache, "readable_size", str)  # bytes
    folder = cached_features(make_policy(), items, tmp_path).folder
    announced = re.search(r"per token\): (\d+), written", capsys.readouterr().err)
    assert announced is not None
    assert float(announced[1]) == pytest.approx((folder / "features.bin").stat().st_size, rel=0.15)


def test_moments_without_a_cache_are_those_of_the_cache_and_nothing_is_written(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = make_policy()
    cached = cached_features(policy, items, tmp_path / "cache").moments(
        [str(item.audio) for item in items], policy
    )
    monkeypatch.setattr(feature_cache, "_build", lambda *_: pytest.fail("a cache was written"))
    for ours, theirs in zip(encoder_moments(policy, items), cached, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("damage", ["cut", "gone", "index", "no clips", "channels", "dtype"])
def test_a_damaged_cache_is_made_anew(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path, damage: str
) -> None:
    first = cached_features(make_policy(), items, tmp_path)
    expected = first.get(str(items[0].audio))
    flat, index = first.folder / "features.bin", first.folder / "index.json"
    saved = json.loads(index.read_text())
    if damage == "cut":
        flat.write_bytes(flat.read_bytes()[:100])
    elif damage == "gone":
        flat.unlink()
    else:
        broken = {"no clips": {"clips": None}, "channels": {"channels": 7}, "dtype": {"dtype": "spam"}}
        index.write_text("{" if damage == "index" else json.dumps({**saved, **broken[damage]}))
    again = cached_features(make_policy(), items, tmp_path)
    assert again.folder == first.folder and json.loads(index.read_text()) == saved
    torch.testing.assert_close(again.get(str(items[0].audio)), expected, atol=1e-6, rtol=1e-6)


def test_a_cache_of_more_items_serves_only_where_it_is_whole(
    make_policy: MakePolicy, items: Sequence[Item], tmp_path: Path
) -> None:
    alone = cached_features(make_policy(), items[:1], tmp_path, among=items)
    assert list(alone.index) == [str(items[0].audio)]
    every = cached_features(make_policy(), items, tmp_path)
    again = cached_features(make_policy(), items[:1], tmp_path, among=items)
    assert again.folder == every.folder != alone.folder
    (every.folder / "features.bin").unlink()
    assert cached_features(make_policy(), items[:1], tmp_path, among=items).folder == alone.folder
