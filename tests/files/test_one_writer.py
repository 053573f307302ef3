"""No module writes a file by itself: `files.atomic` does, apart from what is stated here with its reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WRITER = "lalm_ambig/files/atomic.py"
ALLOWED = {
    # append-only logs, taken back to a whole line when a run goes on
    ("lalm_ambig/runs/logs.py", "open"): "samples.jsonl and rollouts.jsonl, appended to",
    ("data_curation/journal.py", "os.open"): "the journal, appended to under a lock",
    ("lalm_ambig/core/errors.py", "os.open"): "standard output whose reader has gone, to /dev/null",
    ("lalm_ambig/core/stopping.py", "os.open"): "the same for a terminal",
    ("lalm_ambig/files/locks.py", "os.open"): "a lock, which holds nothing",
    ("lalm_ambig/endpoint/answers.py", "open"): "answers.jsonl, appended to under a lock",
    ("lalm_ambig/endpoint/questions.py", "soundfile.write"): "into memory",
    # into a folder of `new_folder`, or a file of `replacing`, which nobody sees before it is whole
    ("lalm_ambig/data/feature_cache.py", "open"): "features.bin, written in parts into a new folder",
    (
        "lalm_ambig/corpora/preparing/labels.py",
        "new_stream",
    ): "the table of items, in parts into a new folder",
    ("lalm_ambig/corpora/preparing/checking.py", "new_stream"): "the table of checked items, in the same way",
    (
        "lalm_ambig/corpora/preparing/checking.py",
        "hardlink_to",
    ): "the table without sounds, into a new folder",
    ("lalm_ambig/corpora/preparing/checking.py", "shutil.copyfile"): "the same where there are no hard links",
    (
        "lalm_ambig/files/spool.py",
        "SpooledTemporaryFile",
    ): "records between two stages, in a file without a name",
    ("lalm_ambig/corpora/demo/writer.py", "soundfile.write"): "clips in a new folder",
    ("lalm_ambig/corpora/demo/writer.py", "open"): "the votes, by the csv module, into a file of replacing",
    ("lalm_ambig/reporting/drawing/canvas.py", "savefig"): "into a file of replacing",
    ("lalm_ambig/runs/checkpoints/files.py", "open"): "into a file of replacing",
    ("lalm_ambig/runs/checkpoints/files.py", "torch.save"): "into a file of replacing",
    ("lalm_ambig/runs/checkpoints/files.py", "save_file"): "into a file of replacing",
    ("lalm_ambig/runs/checkpoints/files.py", "rename"): "a checkpoint that is to be deleted",
    ("data_curation/clips.py", "soundfile.write"): "into memory",
    ("lalm_ambig/corpora/jsonl/clips.py", "write_bytes"): "clips, written into a new folder",
    ("lalm_ambig/reporting/data_page/sample.py", "soundfile.write"): "into memory",
    ("lalm_ambig/policies/weights/served_adapter.py", "save_file"): "into a new folder",
    ("lalm_ambig/rollouts/engines/adapters.py", "tempfile.mkdtemp"): "adapters, deleted with the process",
    ("lalm_ambig/rollouts/engines/completions.py", "torch.save"): "into memory",
    ("lalm_ambig/remote/server.py", "open"): "an address",
    ("lalm_ambig/checks/all_reduce.py", "tempfile.TemporaryDirectory"): "the file by which processes meet",
    ("lalm_ambig/serving/decoder.py", "open"): "a file in memory",
    (
        "lalm_ambig/serving/decoder.py",
        "tempfile.TemporaryDirectory",
    ): "where no file can be in memory, deleted at once",
    ("lalm_ambig/serving/decoder.py", "write_bytes"): "in that folder",
    # locks, which hold nothing
    ("lalm_ambig/runs/study/claims.py", "open"): "an empty file that a process locks while it makes a run",
}
METHODS = {
    "write_text",
    "write_bytes",
    "savefig",
    "rename",
    "symlink_to",
    "hardlink_to",
    "touch",
    "to_csv",
    "to_json",
    "to_parquet",
    "save_to_disk",
    "tofile",
}
FUNCTIONS = {
    *(f"json.{name}" for name in ("dump",)),
    *(f"pickle.{name}" for name in ("dump", "Pickler")),
    *(f"os.{name}" for name in ("open", "replace", "rename", "link", "symlink", "mkfifo")),
    *(f"shutil.{name}" for name in ("copy", "copy2", "copyfile", "copytree", "move", "make_archive")),
    *(f"tempfile.{name}" for name in ("mkstemp", "mkdtemp", "NamedTemporaryFile", "TemporaryDirectory")),
    *(f"{name}.write" for name in ("soundfile", "sf", "wavfile")),
    *(f"{library}.{name}" for library in ("np", "numpy") for name in ("save", "savez", "savetxt")),
    "torch.save",
    "torchaudio.save",
    "save_file",
    "ArrowWriter",
    "ParquetWriter",
    "new_stream",
    "new_file",
    "SpooledTemporaryFile",
    "TemporaryFile",
    "ZipFile.write",
}


def dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else ""


def opens_for_writing(call: ast.Call, position: int) -> bool:
    modes = [*call.args[position : position + 1], *(k.value for k in call.keywords if k.arg == "mode")]
    return any(
        not isinstance(mode, ast.Constant) or (isinstance(mode.value, str) and set(mode.value) & set("wax+"))
        for mode in modes
    )


def writes(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """What each call that writes a file is, and its line."""
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        name = dotted(call.func)
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        if name == "atomic." + method:
            continue
        if function := next((known for known in FUNCTIONS if f".{name}".endswith(f".{known}")), None):
            yield function, call.lineno
        elif method in METHODS:
            yield method, call.lineno
        elif (name in ("open", "io.open") and opens_for_writing(call, 1)) or (
            method == "open" and name not in ("io.open", "os.open") and opens_for_writing(call, 0)
        ):
            yield "open", call.lineno
        elif method == "replace" and len(call.args) == 1 and not call.keywords:  # a text's has two
            yield "replace", call.lineno


def modules() -> list[Path]:
    return sorted(file for part in ("lalm_ambig", "data_curation") for file in (ROOT / part).rglob("*.py"))


def test_only_the_writer_and_what_is_stated_writes_files() -> None:
    found = {}
    for file in modules():
        name = file.relative_to(ROOT).as_posix()
        if name != WRITER:
            for what, line in writes(ast.parse(file.read_text(encoding="utf-8"))):
                found.setdefault((name, what), line)
    others = [f"{name}:{line}: {what}" for (name, what), line in found.items() if (name, what) not in ALLOWED]
    assert others == [], "use lalm_ambig.files.atomic, or state here why not"
    assert set(ALLOWED) <= set(found), "no longer needed"


@pytest.mark.parametrize(
    "code",
    [
        "open('x', 'w')",
        "open('x', mode='ab')",
        "open('x', mode)",
        "Path('x').open('w', encoding='utf-8')",
        "p.open(mode='x')",
        "p.open('r+b')",
        "(a / b).write_text('x')",
        "f(x).write_bytes(b'')",
        "figure.savefig(p)",
        "torch.save(a, p)",
        "save_file(a, p)",
        "safetensors.torch.save_file(a, p)",
        "json.dump(a, f)",
        "shutil.copy(a, b)",
        "shutil.copyfileobj",
        "os.replace(a, b)",
        "a.replace(b)",
        "a.rename(b)",
        "frame.to_csv(p)",
        "sf.write(p, x, 16000)",
        "tempfile.NamedTemporaryFile('w')",
    ],
)
def test_the_check_sees_every_way_to_write(code: str) -> None:
    assert bool(list(writes(ast.parse(code)))) is (code != "shutil.copyfileobj")


@pytest.mark.parametrize(
    "code",
    ["open('x')", "p.open('rb')", "p.open(encoding='utf-8')", "'a'.replace('b', 'c')", "replace(a, b=1)"],
)
def test_the_check_lets_reading_be(code: str) -> None:
    assert not list(writes(ast.parse(code)))
