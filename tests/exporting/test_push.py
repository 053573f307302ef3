"""An upload over HTTP to a stand-in for the hub, and every way in which one fails."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_stub import Stub, hub

from lalm_ambig.core.errors import InputError
from lalm_ambig.exporting.push import check_push, push

SECRET = "hf_not_a_real_one"
CARD = "---\nbase_model: a/b\nlicense: other\n---\n\n# x\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Stub]:
    with hub() as running:
        yield running


@pytest.fixture
def stub(server: Stub, monkeypatch: pytest.MonkeyPatch) -> Stub:
    server.refuse, server.tokens, server.created, server.files = {}, set(), [], {}
    server.private = None
    monkeypatch.setenv("HF_ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", SECRET)
    return server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "README.md").write_text(CARD)
    (tmp_path / "x" / "model.safetensors").write_bytes(bytes(range(200)))
    return tmp_path / "x"


@pytest.mark.parametrize("private", [True, False])
def test_the_folder_is_uploaded_with_the_token_of_the_environment(
    stub: Stub, folder: Path, private: bool
) -> None:
    assert push(folder, "me/x", private=private) == f"{stub.address}/me/x"
    assert {name: bytes(content) for name, content in stub.files.items()} == {
        "README.md": CARD.encode(),
        "model.safetensors": bytes(range(200)),
    }
    assert stub.tokens == {f"Bearer {SECRET}"}
    assert stub.private is private


def test_what_shall_be_private_is_not_put_where_everybody_sees_it(stub: Stub, folder: Path) -> None:
    stub.private = False
    with pytest.raises(InputError, match=r"me/x is there already and everybody can see it.*stays in"):
        push(folder, "me/x", private=True)
    assert stub.files == {}


@pytest.mark.parametrize(
    ("end", "status", "expected"),
    [
        ("/create", 401, r"refused me/x \(401\): it does not know the token"),
        ("/create", 403, r"refused me/x \(403\): the token may not write there"),
        ("/commit/main", 403, r"refused me/x \(403\): the token may not write there"),
        ("/create", 400, r"refused me/x \(400\): no"),
    ],
)
def test_a_refusal_is_one_line_and_the_folder_stays(
    stub: Stub, folder: Path, capsys: pytest.CaptureFixture[str], end: str, status: int, expected: str
) -> None:
    stub.refuse = {end: status}
    with pytest.raises(InputError, match=f"--push: the hub {expected}.*What was written stays in") as raised:
        push(folder, "me/x", private=False)
    assert "\n" not in str(raised.value) and SECRET not in str(raised.value)
    assert SECRET not in "".join(capsys.readouterr())
    assert sorted(file.name for file in folder.iterdir()) == ["README.md", "model.safetensors"]


@pytest.mark.usefixtures("stub")
def test_a_hub_that_cannot_be_reached_is_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"me/x was not uploaded: ConnectError: .*stays in") as raised:
        push(folder, "me/x", private=False)
    assert "\n" not in str(raised.value)


@pytest.mark.usefixtures("stub")
def test_without_a_token_nothing_is_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    check_push("me/x")
    for value in ("", "  "):
        monkeypatch.setenv("HF_TOKEN", value)
        with pytest.raises(InputError, match="there is no token in the environment variable HF_TOKEN"):
            check_push("me/x")


@pytest.mark.parametrize("name", ["x", "me/x/y", "me/x y", "me/..", "/x", ""])
@pytest.mark.usefixtures("stub")
def test_a_name_that_no_hub_takes_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"--push: (expected OWNER/NAME|.* is no name on a hub)"):
        check_push(name)
