"""Check that a folder's weight files are present, complete and in safetensors. Only their headers are read."""

import json
from pathlib import Path

from lalm_ambig.core.errors import InputError

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
PICKLED = ("*.bin", "*.pth", "*.pt", "*.ckpt")
"""Weight files that can run code when they are read."""
OTHERS = {"*.h5": "TensorFlow", "*.msgpack": "Flax", "*.onnx": "ONNX", "*.gguf": "GGUF", "*.npz": "NumPy"}
POINTER = b"version https://git-lfs"
FLOATS = {"F32": "float32", "BF16": "bfloat16", "F16": "float16"}
"""Names of types in safetensors, and in torch."""
MOST_HEAD = 1 << 28
"""Longest header that safetensors allows, in bytes, roughly."""


def check_weight_files(source: str) -> None:
    """Refuse weights that are missing, cut short, or not in safetensors. A hub id is not checked: its download is.

    Raises:
        InputError: One line names the file.
    """
    folder, where = Path(source), source
    if not folder.is_dir():
        return
    if (folder / INDEX).is_file():
        files = _listed(folder)
        if missing := [name for name in files if not (folder / name).is_file()]:
            raise InputError(
                f"{len(missing)} of its {len(files)} weight files are missing, {missing[0]} among them.",
                where=where,
                remedy="Download it again.",
            )
    elif (folder / SINGLE).is_file():
        files = [SINGLE]
    else:
        raise _no_weights(folder)
    for name in files:
        if wrong := _wrong(folder / name):
            raise InputError(f"{name} {wrong}", where=where, remedy="Download it again.")


def first_dtype(folder: Path) -> str | None:
    """Type of the first floating-point weight in the safetensors headers of a folder; None if there is none."""
    for file in sorted(folder.glob("*.safetensors")) if folder.is_dir() else ():
        with file.open("rb") as opened:
            head = json.loads(opened.read(int.from_bytes(opened.read(8), "little")))
        types = [entry["dtype"] for name, entry in head.items() if name != "__metadata__"]
        if named := [FLOATS[name] for name in types if name in FLOATS]:
            return named[0]
    return None


def _listed(folder: Path) -> list[str]:
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        return sorted(set(index["weight_map"].values()))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{INDEX} lists no weight files: {error}", where=str(folder)) from error


def _no_weights(folder: Path) -> InputError:
    pickled = [file.name for kind in PICKLED for file in sorted(folder.glob(kind))]
    if pickled:
        return InputError(
            f"its weights are pickled ({pickled[0]}), and pickles can run code: only safetensors are read.",
            where=str(folder),
            remedy="Convert them where you trust them: AutoModelForCausalLM.from_pretrained(FOLDER)"
            ".save_pretrained(NEW_FOLDER), and the tokenizer likewise.",
        )
    for kind, name in OTHERS.items():
        if files := sorted(folder.glob(kind)):
            return InputError(
                f"its weights are {name}'s ({files[0].name}), and only safetensors are read from a folder.",
                where=str(folder),
                remedy=f"Give {files[0]} as the path."
                if kind == "*.gguf"
                else "Give a checkpoint in safetensors.",
            )
    files = [file.name for file in sorted(folder.glob("*.safetensors"))]
    what = f"only {files[0]}, without {INDEX}" if files else "no weights"
    return InputError(
        f"it has a config.json and {what}.", where=str(folder), remedy=f"{SINGLE} is looked for, or {INDEX}."
    )


def _wrong(file: Path) -> str | None:
    """Fault of a safetensors file, by its header and length; None if there is none."""
    size = file.stat().st_size
    with file.open("rb") as opened:
        first = opened.read(len(POINTER))
        if first == POINTER:
            return "is a pointer of Git LFS, not the weights: git lfs pull brings them."
        opened.seek(0)
        length = int.from_bytes(opened.read(8), "little")
        if size < 8 or not 0 < length <= min(MOST_HEAD, size - 8):
            return f"is not a safetensors file, or cut short ({size} bytes)."
        try:
            head = json.loads(opened.read(length))
            ends = [entry["data_offsets"][1] for name, entry in head.items() if name != "__metadata__"]
            expected = 8 + length + max(ends, default=0)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            return "is not a safetensors file: its head cannot be read."
    return None if size == expected else f"is cut short or damaged: {size} bytes of {expected}."
