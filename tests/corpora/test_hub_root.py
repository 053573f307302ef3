"""A corpus on the hub: fetched once from a hub over HTTP, offline after that, one line and no wait where it fails."""

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dataset_hub import DatasetHub, dataset_hub
from huggingface_hub import _tree_cache as trees
from huggingface_hub import constants
from jsonargparse import Namespace

from lalm_ambig.config.hub_root import name_address, with_commit
from lalm_ambig.config.identity import identity_of
from lalm_ambig.core.errors import InputError
from lalm_ambig.corpora.base import located, open_corpus
from lalm_ambig.corpora.preparing.prepared import prepare
from lalm_ambig.corpora.reading import hub as reading
from lalm_ambig.corpora.reading.hub_address import HubAddress, hub_address
from lalm_ambig.corpora.reading.paths import Enclosure

ROWS = [{"id": n, "text": f"text {n}", "votes": {"a": n % 3, "b": 1}} for n in range(12)]
FILE = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[DatasetHub]:
    """A hub, and an empty cache."""
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HF_HUB_DISABLE_TELEMETRY", "1")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with dataset_hub() as stub:
        at(monkeypatch, stub.address)
        yield stub


@pytest.fixture(autouse=True)
def nothing_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    afresh(monkeypatch)


def afresh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what this process knows, as a new process would."""
    monkeypatch.setattr(reading, "_RESOLVED", {})
    monkeypatch.setattr(trees, "_IN_MEMORY_TREE_CACHE", {})


def at(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", address + "/{repo_id}/resolve/{revision}/{filename}"
    )


def ids(root: str) -> list[str]:
    corpus = open_corpus("jsonl", root)
    return [item.id for item in prepare(corpus, quiet=True).items()]


def test_rows_are_fetched_once_and_read_without_a_network_after_that(
    hub: DatasetHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = hub.put("me/x", {"d/rows.jsonl": FILE, "else/large.bin": b"x" * 1000})
    corpus = open_corpus("jsonl", "hf://me/x/d/rows.jsonl")
    assert corpus.address == corpus.settings()["hub"] == f"hf://me/x@{commit}/d/rows.jsonl"
    assert [item.id for item in corpus.read()] == [str(n) for n in range(12)]
    assert not [path for path in hub.asked if "large" in path], "only the folder of the file is fetched"
    assert f"hf://me/x@{commit}/d/rows.jsonl: fetched from {hub.address}" in capsys.readouterr().err

    afresh(monkeypatch)
    hub.asked.clear()
    assert len(ids(f"hf://me/x@{commit}/d/rows.jsonl")) == 12
    assert hub.asked == [], "a commit that is in the cache is asked for by nobody"
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(ids("hf://me/x/d/rows.jsonl")) == 12
    assert hub.asked == []


def test_a_hub_that_is_silent_leaves_what_the_cache_has_with_one_line(
    hub: DatasetHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = hub.put("me/x", {"rows.jsonl": FILE})
    ids("hf://me/x/rows.jsonl")
    capsys.readouterr()
    for silence in ("answers with 503", "cannot be reached"):
        afresh(monkeypatch)
        hub.status = 503
        if silence == "cannot be reached":
            at(monkeypatch, nowhere())
        assert len(ids("hf://me/x/rows.jsonl")) == 12
        (line,) = [line for line in capsys.readouterr().err.splitlines() if "hub" in line]
        assert silence in line and line.endswith(f"The commit that its cache has of main is used: {commit}.")


def nowhere() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_later_change_of_the_dataset_is_another_run(
    hub: DatasetHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = hub.put("me/x", {"rows.jsonl": FILE})

    def recorded() -> dict[str, Any]:
        afresh(monkeypatch)
        init_args = Namespace(root=Path("hf://me/x/rows.jsonl"))
        config = with_commit(Namespace(data=Namespace(corpus=Namespace(init_args=init_args))))
        content = {"data": {"corpus": {"init_args": {"root": str(config["data.corpus.init_args.root"])}}}}
        name_address(content)
        return content

    before = recorded()
    assert before["data"]["corpus"]["init_args"]["root"] == f"hf://me/x@{first}/rows.jsonl"
    assert recorded() == before
    second = hub.put("me/x", {"rows.jsonl": FILE + FILE.replace(b'"id": ', b'"id": 1')})
    after = recorded()
    assert after["data"]["corpus"]["init_args"]["root"] == f"hf://me/x@{second}/rows.jsonl"
    assert identity_of(after) != identity_of(before)
    assert len(ids(before["data"]["corpus"]["init_args"]["root"])) == 12, "the older run is read with its own"


def test_roots_on_this_machine_stay_as_they_are(tmp_path: Path) -> None:
    init_args = Namespace(root=tmp_path)
    config = with_commit(Namespace(data=Namespace(corpus=Namespace(init_args=init_args))))
    assert config["data.corpus.init_args.root"] == tmp_path
    assert with_commit(Namespace(data=Namespace(corpus=Namespace(init_args=Namespace())))) is not None
    content = {"data": {"corpus": {"init_args": {"root": str(tmp_path)}}}}
    name_address(content)
    assert content["data"]["corpus"]["init_args"]["root"] == str(tmp_path)


@pytest.mark.parametrize(
    ("root", "wrong"),
    [
        (
            "hf://me/nothing",
            r"hf://me/nothing: http.* has no dataset me/nothing, or it is private. Check owner",
        ),
        ("hf://me/x@v9", r"hf://me/x@v9: me/x has no revision v9 at http"),
        ("hf://me/x/other.jsonl", r"the dataset has no 'other.jsonl'; there is rows.jsonl"),
        ("hf://me/gated/rows.jsonl", r"me/gated is gated at http.*, and you have no access. Ask for it on"),
        ("hf://me/broken/rows.jsonl", r"hf://me/broken@[0-9a-f]{40}/rows.jsonl: "),
        ("hf://me", r"corpus root: hf://me is no address of a dataset on the hub. Write hf://owner/name"),
        ("hf://models/me/x", r"is no address of a dataset"),
        ("hf://me/x/../../y", r"leads out of the dataset"),
        ("https://huggingface.co/datasets/me/x/tree/main", r"is a page. Write hf://me/x@main"),
        ("s3://bucket/x", r"is an address that is not read"),
    ],
)
def test_what_cannot_be_had_is_one_line_at_once(hub: DatasetHub, root: str, wrong: str) -> None:
    for name in ("x", "gated", "broken"):
        hub.put(f"me/{name}", {"rows.jsonl": FILE})
    hub.gated.add("me/gated")
    started = time.monotonic()
    if "broken" in root:
        hub.broken.add("rows.jsonl")
    with pytest.raises(InputError, match=wrong) as raised:
        open_corpus("jsonl", Path(root))
    assert "\n" not in str(raised.value)
    assert time.monotonic() - started < 5


@pytest.mark.usefixtures("hub")
def test_without_network_and_cache_the_line_says_how_to_fetch_it(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    at(monkeypatch, nowhere())
    for offline, silence in (
        (False, "cannot be reached"),
        (True, "is not asked, since HF_HUB_OFFLINE is set"),
    ):
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
        started = time.monotonic()
        with pytest.raises(
            InputError, match=rf"hf://me/x: it is not complete in the hub's cache, .*{silence}"
        ) as raised:
            open_corpus("jsonl", "hf://me/x")
        assert "(hf download me/x --repo-type dataset)" in str(raised.value)
        assert time.monotonic() - started < 5
    assert capfd.readouterr().err == ""


@pytest.mark.usefixtures("hub")
def test_a_hub_that_never_answers_costs_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PATIENCE_S", 0.3)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        at(monkeypatch, f"http://127.0.0.1:{listener.getsockname()[1]}")
        for root in ("hf://me/x", f"hf://me/x@{'1' * 40}"):
            with pytest.raises(InputError, match=r"gives no answer|cannot be reached: timed out"):
                open_corpus("jsonl", root)


def test_a_download_that_stopped_is_not_taken_for_the_dataset(
    hub: DatasetHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = {f"AudioWAV/{n}.wav": b"sound" for n in range(3)}
    commit = hub.put("me/x", {"rows.jsonl": FILE, **clips})
    hub.broken.add("AudioWAV/2.wav")
    with pytest.raises(InputError, match=r"hf://me/x@"):
        located("hf://me/x")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match=r"it is not complete in the hub's cache"):
        located(f"hf://me/x@{commit}")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub.broken.clear()
    address, folder = located("hf://me/x")
    assert address == f"hf://me/x@{commit}"
    assert sorted(path.name for path in (folder / "AudioWAV").iterdir()) == ["0.wav", "1.wav", "2.wav"]


def test_a_cache_without_a_list_of_files_is_read_offline_with_a_warning(
    hub: DatasetHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    commit = hub.put("me/x", {"rows.jsonl": FILE})
    ids("hf://me/x/rows.jsonl")
    for path in Path(constants.HF_HUB_CACHE).glob("*/trees/*.json"):
        path.unlink()
    afresh(monkeypatch)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert len(ids(f"hf://me/x@{commit}/rows.jsonl")) == 12
    assert "whether it is complete is not known" in capsys.readouterr().err


def test_a_corpus_in_its_own_form_with_sound_is_read_from_the_cache(
    hub: DatasetHub, crema_d_root: Path
) -> None:
    files = {
        path.relative_to(crema_d_root).as_posix(): path.read_bytes()
        for path in crema_d_root.rglob("*")
        if path.is_file()
    }
    hub.put("me/crema", files)
    ours = prepare(open_corpus("crema_d", crema_d_root), quiet=True).items()
    theirs = prepare(open_corpus("crema_d", "hf://me/crema"), quiet=True).items()
    assert [(a.id, a.votes, a.split, a.duration_s) for a in theirs] == [
        (b.id, b.votes, b.split, b.duration_s) for b in ours
    ]


def test_links_lead_to_the_contents_of_their_own_dataset_alone(tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--me--x" / "snapshots" / ("0" * 40)
    blobs = tmp_path / "datasets--me--x" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (tmp_path / "secret").write_text("x")
    (blobs / "b").write_text("x")
    (snapshot / "good").symlink_to("../../blobs/b")
    (snapshot / "bad").symlink_to(tmp_path / "secret")
    (blobs / "through").symlink_to(tmp_path / "secret")
    (snapshot / "deep").symlink_to("../../blobs/through")
    enclosure = Enclosure(snapshot)
    assert enclosure.target(str(snapshot / "good")) is None
    assert enclosure.target(str(snapshot / "bad")) == enclosure.target(str(snapshot / "deep"))
    assert enclosure.target(str(snapshot / "bad")) == str(tmp_path / "secret")
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "good").symlink_to(blobs / "b")
    assert Enclosure(tmp_path / "plain").target(str(tmp_path / "plain" / "good")) == str(blobs / "b")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("hf://me/x", HubAddress("me/x")),
        ("hf:/me/x/", HubAddress("me/x")),
        ("HF://datasets/me/x@v1", HubAddress("me/x", "v1")),
        ("hf://me/x@refs/convert/parquet/default", HubAddress("me/x", "refs/convert/parquet", "default")),
        ("hf://me/x/data/a.jsonl", HubAddress("me/x", None, "data/a.jsonl")),
        ("me/x", None),
        ("/data/hf:/x", None),
    ],
)
def test_addresses(text: str, address: HubAddress | None) -> None:
    for form in (text, Path(text)):
        assert hub_address(form) == address
    if address is not None:
        assert hub_address(str(address)) == address
