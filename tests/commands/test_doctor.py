"""Every check of the doctor passes on a sound policy and fails on one that is broken in its place."""

import importlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from ended import ended
from small_model import MakePolicy, nudge

from lalm_ambig import doctor
from lalm_ambig.checks import environment
from lalm_ambig.checks.audio import check_audio
from lalm_ambig.checks.model import check_adapter, check_forward, check_tokens
from lalm_ambig.checks.outcome import CheckResult
from lalm_ambig.core.categories import CategorySet
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.policies.families import whisper
from lalm_ambig.policies.tiny import Tiny


def failed(results: Iterable[CheckResult]) -> set[str]:
    """Names of the failed checks. Each of them has a remedy, and no other check has one."""
    outcomes = list(results)
    assert all(bool(outcome.remedy) != outcome.ok for outcome in outcomes)
    return {outcome.name for outcome in outcomes if not outcome.ok}


def everything(policy: Tiny) -> list[CheckResult]:
    return [
        *check_forward(policy),
        *check_audio(policy),
        *check_tokens(policy, CATEGORIES, corpus="crema_d"),
        *check_adapter(policy),
    ]


def test_a_sound_policy_passes_and_keeps_its_weights(make_policy: MakePolicy) -> None:
    policy = make_policy(projector=True)
    before = {name: value.clone() for name, value in policy.state_dict().items()}
    results = everything(policy)
    assert failed(results) == set()
    assert len(results) == 9
    assert all(torch.equal(value, before[name]) for name, value in policy.state_dict().items())


def tilt_extractor(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(policy.extractor, "padding_side", "left")


def pad_right(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(policy.tokenizer, "padding_side", "right")


def count_one_more(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    original = policy.audio_tokens
    patch.setattr(policy, "audio_tokens", lambda frames: original(frames) + (frames.shape[-1] > 200))


def hear_padding(_: Tiny, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(whisper, "create_bidirectional_mask", lambda **_: None)


def lose_a_feature(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    original = policy.encode_audio
    patch.setattr(policy, "encode_audio", lambda frames: [f[:-1] for f in original(frames)])


def attend_to_padding(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    original = policy.hidden
    patch.setattr(policy, "hidden", lambda e, mask, **named: original(e, torch.ones_like(mask), **named))


def start_adapter_anywhere(policy: Tiny, _: pytest.MonkeyPatch) -> None:
    nudge(policy)


def ignore_adapter(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    original = policy.hidden

    def without(*args: Any, **settings: Any) -> torch.Tensor:
        with policy.adapter_off():
            return original(*args, **settings)

    patch.setattr(policy, "hidden", without)


def scale_the_logits(policy: Tiny, patch: pytest.MonkeyPatch) -> None:
    original = policy.logits
    patch.setattr(policy, "logits", lambda hidden: 1.1 * original(hidden))


def train_the_base(policy: Tiny, _: pytest.MonkeyPatch) -> None:
    policy.base.model.language_model.norm.weight.requires_grad_(True)


BATCH = "a batch = each item alone"
WINDOW = "heard = the class's own forward"
COUNTS = "audio tokens = features"


@pytest.mark.parametrize(
    ("break_it", "expected"),
    [
        (tilt_extractor, {"padding sides", WINDOW}),
        (pad_right, {"padding sides"}),
        (hear_padding, {WINDOW, BATCH}),
        (attend_to_padding, {BATCH}),
        (start_adapter_anywhere, {"a fresh adapter has no effect"}),
        (ignore_adapter, {"a moved adapter has an effect"}),
        (scale_the_logits, {"logits = the model's own"}),
        (train_the_base, {"adapter off = base (the reference)"}),
    ],
)
def test_a_broken_policy_fails_where_it_is_broken(
    make_policy: MakePolicy,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Tiny, pytest.MonkeyPatch], None],
    expected: set[str],
) -> None:
    policy = make_policy()
    break_it(policy, monkeypatch)
    failures = failed(everything(policy))
    assert failures == expected


@pytest.mark.parametrize("break_it", [count_one_more, lose_a_feature])
def test_a_miscount_is_found_without_a_crash(
    make_policy: MakePolicy,
    monkeypatch: pytest.MonkeyPatch,
    break_it: Callable[[Tiny, pytest.MonkeyPatch], None],
) -> None:
    policy = make_policy()
    break_it(policy, monkeypatch)
    assert COUNTS in failed(check_audio(policy))


def test_names_that_begin_alike_fail_with_both_in_the_finding(tiny: Tiny) -> None:
    (result,) = check_tokens(tiny, CategorySet(("glad", "glum"), (" xglad", " xglum")), corpus="own")
    assert not result.ok
    assert "' xglad' (tokens" in result.finding
    assert "' xglum' (tokens" in result.finding


def test_full_fine_tuning_has_no_adapter_to_check(make_policy: MakePolicy) -> None:
    (result,) = check_adapter(make_policy(method="full"))
    assert result.ok
    assert "full fine-tuning" in result.finding


@pytest.mark.parametrize(
    ("package", "installed", "remedy"),
    [
        ("transformers", "5.23.1", "pip install 'transformers>=5.24'"),
        ("torch", "2.9.1+cpu", "pip install 'torch>=2.11'"),
        ("lightning", "2.6.3", "change every password it saw"),
        ("lightning", "2.6.5", "pip install 'lightning>=2.6.6'"),
        ("peft", None, "pip install 'peft>=0.21'"),
    ],
)
def test_a_version_that_does_not_do_fails(
    monkeypatch: pytest.MonkeyPatch, package: str, installed: str | None, remedy: str
) -> None:
    original = environment.version

    def version(name: str) -> str:
        if name == package and installed is None:
            raise environment.PackageNotFoundError(name)
        return installed if name == package and installed else original(name)

    monkeypatch.setattr(environment, "version", version)
    wrong = [outcome for outcome in environment.check_environment() if not outcome.ok]
    assert [outcome.name for outcome in wrong] == [f"version of {package}"]
    assert remedy in wrong[0].remedy


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("torchaudio.functional", "torchaudio imports"),
        ("soundfile", "soundfile imports"),
        ("transformers.models.auto.processing_auto", "transformers' processors import"),
    ],
)
def test_a_library_that_cannot_be_imported_is_named_and_ends_with_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], module: str, name: str
) -> None:
    original = importlib.import_module

    def broken(wanted: str) -> Any:
        if wanted == module:
            raise OSError("libcudart.so.13: cannot open shared object file\nmore")
        return original(wanted)

    monkeypatch.setattr(environment.importlib, "import_module", broken)
    wrong = [outcome for outcome in environment.check_environment() if not outcome.ok]
    assert [outcome.name for outcome in wrong] == [name]
    assert wrong[0].finding == "OSError: libcudart.so.13: cannot open shared object file"
    monkeypatch.setenv("COLUMNS", "300")
    assert doctor.main([]) == 1
    shown = capsys.readouterr().out
    assert "FAIL" in shown
    assert "padding sides" not in shown
    assert "1 of 11 checks failed" in shown


def test_without_arguments_the_tiny_model_is_checked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cache_home: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache_home))
    monkeypatch.setenv("COLUMNS", "300")
    assert doctor.main([]) == 0
    shown = capsys.readouterr().out
    assert "All 31 checks passed" in shown
    assert "' happiness' [" in shown


@pytest.mark.filterwarnings("ignore:.*found in sys.modules.*:RuntimeWarning")  # runpy's
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--policy", "nowhere.yaml"], "no such file: nowhere.yaml"),
        (["--polcy", "x"], "unknown key polcy: did you mean --policy?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments: list[str], expected: str) -> None:
    done = ended("lalm_ambig.doctor", *arguments)
    assert done.code == 2
    assert expected in done.err
    assert done.err.count("\n") == 1
