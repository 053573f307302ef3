"""Configuration files: keys and values of trusted classes, or one of our errors."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from mutation import mutated, outcome

from lalm_ambig.config.cli import parse
from lalm_ambig.config.errors import readable
from lalm_ambig.config.files import config_folder, default_files
from lalm_ambig.config.trust_places import place_of

WHOLE_EVERY = 25
"""A whole configuration takes some 25 times as long as the readers below it, and is tried that much more seldom."""
SMALL = b"""\
# a comment
trainer: {max_steps: 20, precision: null}
policy:
  class_path: lalm_ambig.policies.tiny.Tiny
  init_args:
    adapter: {rank: 4, alpha: 8.0, dropout: 1e-1}
data: &data
  corpus:
    class_path: lalm_ambig.corpora.demo.Demo
model:
  class_path: lalm_ambig.methods.sft.SFT
  init_args: {learning_rate: 1e-3}
  note: "a text: with a colon"
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("configuration") / "run.yaml"


@given(content=mutated([SMALL]))
def test_a_file_is_taken_or_refused_before_it_is_parsed(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    outcome(lambda: place_of("x", [(path, content.decode("utf-8", "replace"))], []))
    files = outcome(lambda: default_files([path]))
    assert files is None or files == [f"--config={config_folder() / 'base.yaml'}"]


@given(
    content=mutated(
        [b"Parser key \"model.init_args\":\n  Problem with given class_path 'x':\n    - Got value: 3\n"]
    )
)
def test_every_report_of_the_parser_becomes_one_line(content: bytes) -> None:
    message = content.decode("utf-8", "replace")
    if message.strip():
        outcome(lambda: readable(message))


@settings(max_examples=max(4, settings().max_examples // WHOLE_EVERY))
@given(content=mutated([(config_folder() / "preset/demo.yaml").read_bytes()]))
def test_a_whole_configuration_is_parsed_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    cli = outcome(lambda: parse([f"--config={path}", "--trainer.logger=false"]))
    assert cli is None or cli.resolved()
