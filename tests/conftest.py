"""A tiny policy, a few noisy clips and their items: what tests of the model's parts share."""

import functools
import gc
import os
import signal
from pathlib import Path

import docstring_parser
import jaxtyping._import_hook
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings
from small_model import MakeEncoder, MakePolicy, noise

from lalm_ambig.core.types import Item
from lalm_ambig.corpora.crema_d.votes import CATEGORIES
from lalm_ambig.corpora.demo.writer import DemoSettings, write_demo
from lalm_ambig.data.encoding import Elicitation, Encoder, Readout
from lalm_ambig.policies.tiny import Tiny, build
from lalm_ambig.policies.weights.lora import Adapter
from lalm_ambig.readouts.logits import Scoring

SHARED_VARIABLE = "LALM_AMBIG_SHARED_DATA"

# Models of this size are slower with two threads than with one, and pytest-xdist has both cores at work already.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # for processes that tests start
gc.disable()  # until everything is imported
docstring_parser.parse_from_object = functools.cache(
    docstring_parser.parse_from_object
)  # read at each parse of words
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup's choice would be inherited by what tests send it to


class CheckedLoader(jaxtyping._import_hook._JaxtypingLoader):
    """The import hook's loader that leaves bytecode with type checks under its own name only.

    The hook marks that name while it imports. ``runpy``, which runs a command within a test, reads the code without
    importing: the ordinary ``.pyc`` would then call for a check that no other process knows, a ``KeyError`` at import.
    """

    def _cache_bytecode(self, source_path: str, bytecode_path: str, data: bytes) -> None:
        if "jaxtyping" in Path(bytecode_path).name:
            super()._cache_bytecode(source_path, bytecode_path, data)  # type: ignore[misc]


jaxtyping._import_hook._JaxtypingLoader = CheckedLoader  # type: ignore[misc]

# How fast examples come says how busy the machine is, not whether the code is right.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", parent=settings.get_profile("unhurried"), max_examples=10_000)  # make fuzz
settings.load_profile("unhurried")

SECONDS = (0.4, 1.3, 0.9, 0.6)
VOTES = (
    (3.0, 0.0, 1.0, 0.0, 6.0, 0.0),
    (0.0, 0.0, 0.0, 10.0, 0.0, 0.0),
    (2.0, 2.0, 2.0, 2.0, 1.0, 1.0),
    (0.0, 1.0, 4.0, 0.0, 0.0, 5.0),
)
RATIONALES = (
    "The words are calm. The voice is flat and low, so most hear neutral.",
    "A bright, fast voice with a rising tone: all hear happiness.",
    "The cues differ and people disagree.",
    "It is quiet and slow, and it sounds sad; a few hear fear.",
)


def pytest_collection_finish() -> None:
    """Let the collector pass over the millions of objects of the libraries: a tenth of the suite's time."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder to set XDG_CACHE_HOME to."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_folder(cache_home: Path) -> Path:
    """The checkpoint folder of the tiny model."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(cache_home))
        return build(0)


@pytest.fixture(scope="session")
def make_policy(cache_home: Path) -> MakePolicy:
    """Loads a tiny policy of its own, in evaluation mode, with those settings of the adapter."""

    def make(*, standardise_audio: bool = False, **adapter: object) -> Tiny:
        torch.manual_seed(1)
        policy = Tiny(adapter=Adapter(**adapter), standardise_audio=standardise_audio)  # type: ignore[arg-type]
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache_home))
            policy.load()
        policy.eval()
        return policy

    return make


@pytest.fixture(scope="session")
def tiny(make_policy: MakePolicy) -> Tiny:
    """One shared policy with a fresh adapter, which no test may change."""
    return make_policy()


@pytest.fixture(scope="session")
def items(tmp_path_factory: pytest.TempPathFactory) -> tuple[Item, ...]:
    """Four items with sound, transcript, rationale and six classes."""
    folder = tmp_path_factory.mktemp("clips")
    found = []
    for n, (seconds, votes, rationale) in enumerate(zip(SECONDS, VOTES, RATIONALES, strict=True)):
        path = folder / f"{n}.wav"
        soundfile.write(path, noise(seconds, seed=n).numpy(), 16_000)
        found.append(
            Item(f"i{n}", votes, audio=str(path), text=f"It is {n}", rationale=rationale, duration_s=seconds)
        )
    return tuple(found)


@pytest.fixture(scope="session")
def make_encoder() -> MakeEncoder:
    def make(
        policy: Tiny, *, reasoning: bool = True, readout: Readout = "logits", scoring: Scoring = "first"
    ) -> Encoder:
        asked = Elicitation("speech_emotion_short", reasoning, readout=readout, scoring=scoring)
        return Encoder(policy, CATEGORIES, asked)

    return make


@pytest.fixture(scope="session")
def demo_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo with 10 actors and 6 clips each."""
    folder = tmp_path_factory.mktemp("demo") / "corpus"
    write_demo(folder, DemoSettings(actors=10, clips_per_actor=6))
    return folder


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real corpora: named by an environment variable, or `shared/data` beside this folder."""
    if named := os.environ.get(SHARED_VARIABLE):
        return Path(named)
    for parent in Path(__file__).resolve().parents:
        if (parent / "shared" / "data").is_dir():
            return parent / "shared" / "data"
    pytest.skip(
        f"no real corpora: {SHARED_VARIABLE} is not set and no shared/data lies beside the repository"
    )
