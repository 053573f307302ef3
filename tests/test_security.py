"""What SECURITY.md promises of the code: nothing that is read is run, and no line of ours makes an exception unseen."""

import ast
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch
from lightning.pytorch.demos.boring_classes import BoringModel
from small_checkpoints import write_causal_lm
from transformers import AutoConfig

import data_curation
import lalm_ambig
from lalm_ambig.methods.sft import SFT
from lalm_ambig.policies.causal_lm import CausalLM
from lalm_ambig.runs.checkpoints.files import VerifiedCheckpointIO
from lalm_ambig.runs.session import load_trained

PICKLES = "reading a pickle runs the code in it"
SHELL = "a name with a semicolon in it would be a command"
FORBIDDEN = {
    "pickle.load": PICKLES,
    "pickle.loads": PICKLES,
    "pickle.Unpickler": PICKLES,
    "marshal.loads": PICKLES,
    "shelve.open": PICKLES,
    "joblib.load": PICKLES,
    "dill.load": PICKLES,
    "torch.jit.load": "a scripted model is code",
    "torch.hub.load": "it runs code from the network",
    "yaml.load": "the loader may make any object: use safe_load",
    "yaml.unsafe_load": "the loader makes any object",
    "yaml.full_load": "the loader makes more than values",
    "eval": "a text would be code",
    "exec": "a text would be code",
    "compile": "a text would be code",
    "os.system": SHELL,
    "os.popen": SHELL,
    "subprocess.getoutput": SHELL,
    "subprocess.getstatusoutput": SHELL,
    "tempfile.mktemp": "the name can be taken before the file is made",
}
REQUIRED = {
    "torch.load": ("weights_only", True, PICKLES),
    "*.load_from_checkpoint": ("weights_only", True, PICKLES),
    **{
        f"transformers.{name}.from_pretrained": (
            "trust_remote_code",
            False,
            "it would ask, and a model's be code",
        )
        for name in (
            "AutoConfig",
            "AutoFeatureExtractor",
            "AutoModelForCausalLM",
            "AutoProcessor",
            "AutoTokenizer",
        )
    },
}
"""Calls that must have a keyword with a value."""
VALUES = {
    "weights_only": (True, PICKLES),
    "allow_pickle": (False, PICKLES),
    "trust_remote_code": (False, "a model's folder would be code"),
    "use_safetensors": (True, PICKLES),
    "shell": (False, SHELL),
    "verify": (True, "a server could be anyone"),
}
"""Keywords that may have no other value, whatever is called."""
EXCEPTIONS = {
    ("lalm_ambig/exporting/zero.py", "deepspeed.utils.zero_to_fp32.get_fp32_state_dict_from_zero_checkpoint"),
    ("lalm_ambig/files/yaml.py", "yaml.load"),
    ("lalm_ambig/files/spool.py", "marshal.loads"),
}
"""DeepSpeed's checkpoints are pickles; `export --zero` says that they must be one's own. The one reader of YAML has a
loader of its own, made from the library's loader of plain values. A spool is a file without a name, which only the
process that wrote it can open."""


def offences(source: str, name: str) -> Iterator[str]:
    """Every forbidden call in a source, with its line and why."""
    tree = ast.parse(source)
    full = dict(_imported(tree))
    for local in full.values():
        if "zero_to_fp32" in local and (name, local) not in EXCEPTIONS:
            yield f"{name}: {local}: {PICKLES}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            wrong = _wrong(node, full)
            taken = (what for what in wrong if (name, what.partition(": ")[0]) not in EXCEPTIONS)
            yield from (f"{name}:{node.lineno}: {what}" for what in taken)


def _imported(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.asname or alias.name, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def _wrong(call: ast.Call, imported: dict[str, str]) -> Iterator[str]:
    head, dot, rest = ast.unparse(call.func).partition(".")
    called = f"{imported.get(head, head)}{dot}{rest}"
    keywords = {word.arg: word.value for word in call.keywords if word.arg}
    if called in FORBIDDEN:
        yield f"{called}: {FORBIDDEN[called]}"
    key, _, why = REQUIRED.get(called, REQUIRED.get(f"*.{called.rpartition('.')[2]}", ("", None, "")))
    if key and key not in keywords:
        yield f"{called} without {key}: {why}"
    on_trainer = called.rpartition(".")[2] in ("fit", "test", "validate", "predict")
    if on_trainer and "ckpt_path" in keywords and "weights_only" not in keywords:
        yield f"{called} of a checkpoint without weights_only: {PICKLES}"
    for word in VALUES.keys() & keywords.keys():
        allowed, why = VALUES[word]
        value = ast.unparse(keywords[word])
        if value not in (repr(allowed), word):  # its own name: passed on by an override
            yield f"{word}={value}: {why}"


def test_no_line_of_the_source_reads_code_from_data() -> None:
    found, files = [], 0
    for package in (lalm_ambig, data_curation):
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*.py")):
            files += 1
            found += offences(path.read_text(encoding="utf-8"), f"{folder.name}/{path.relative_to(folder)}")
    assert files > 200
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "import pickle; pickle.load(f)",
        "from pickle import loads as read\nread(b)",
        "import torch as t; t.load(f)",
        "import torch; torch.load(f, weights_only=False)",
        "import torch; torch.load(f, weights_only=flag)",
        "import numpy as np; np.load(f, allow_pickle=True)",
        "import yaml; yaml.load(f, Loader=yaml.Loader)",
        "AutoModel.from_pretrained(p, trust_remote_code=True)",
        "from transformers import AutoTokenizer\nAutoTokenizer.from_pretrained(p, gguf_file=name)",
        "eval(text)",
        "exec(text)",
        "import subprocess; subprocess.run(line, shell=True)",
        "import os; os.system(line)",
        "trainer.fit(model, ckpt_path=path)",
        "Method.load_from_checkpoint(path)",
        "from deepspeed.utils.zero_to_fp32 import get_fp32_state_dict_from_zero_checkpoint",
    ],
)
def test_the_search_finds_each_of_them(line: str) -> None:
    assert list(offences(line, "x.py"))


class Payload:
    """What runs when it is unpickled: it makes a folder."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.mkdir, (self.mark,)


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    path = tmp_path / "last.ckpt"
    torch.save({"state_dict": {}, "epoch": 0, "x": Payload(tmp_path / "mark")}, path)
    return path


def test_a_hostile_checkpoint_would_run_if_it_were_read_as_a_pickle(hostile: Path) -> None:
    torch.load(hostile, weights_only=False)
    assert hostile.with_name("mark").is_dir()


def test_a_hostile_checkpoint_is_not_run_where_training_goes_on_from_it(hostile: Path) -> None:
    trainer = lightning.Trainer(
        max_steps=1,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=hostile.parent,
        plugins=[VerifiedCheckpointIO()],
    )
    with pytest.raises(ValueError, match=r"last.ckpt: it holds more than tensors and plain values; nothing"):
        trainer.fit(BoringModel(), ckpt_path=hostile, weights_only=True)
    assert not hostile.with_name("mark").exists()


def test_a_hostile_checkpoint_is_not_run_where_its_weights_are_taken(hostile: Path) -> None:
    model = SFT.__new__(SFT)  # of which nothing is needed: the file is refused first
    torch.nn.Module.__init__(model)
    model.policy = torch.nn.Module()  # type: ignore[assignment]
    with pytest.raises(ValueError, match=r"last.ckpt: not a readable safetensors file"):
        load_trained(model, hostile)
    assert not hostile.with_name("mark").exists()


def with_code(folder: Path, mark: Path) -> Path:
    """A base model's folder that names code of its own wherever transformers takes any from."""
    write_causal_lm(folder, "llama")
    code = f"open({str(mark)!r}, 'w').close()\n"
    for name, base in {"C": "LlamaConfig", "M": "LlamaForCausalLM", "T": "PreTrainedTokenizerFast"}.items():
        code += f"import transformers\nclass {name}(transformers.{base}): pass\n"
    for name in ("planted.py", "custom_generate/generate.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code + "def generate(*given): pass\n")
    maps = {
        "config.json": {"AutoConfig": "planted.C", "AutoModelForCausalLM": "planted.M"},
        "tokenizer_config.json": {"AutoTokenizer": ["planted.T", "planted.T"]},
    }
    for name, named in maps.items():
        content = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(content | {"auto_map": named}))
    return folder


def test_code_in_a_base_models_folder_would_run_if_it_were_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    folder = with_code(tmp_path / "base", tmp_path / "mark")
    AutoConfig.from_pretrained(folder, trust_remote_code=True)
    assert (tmp_path / "mark").exists()


def test_code_in_a_base_models_folder_is_not_run(tmp_path: Path) -> None:
    policy = CausalLM(str(with_code(tmp_path / "base", tmp_path / "mark")))
    policy.load()
    assert not (tmp_path / "mark").exists()
