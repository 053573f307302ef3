"""Addresses, keys, and what may be sent."""

import pytest

from lalm_ambig.core.errors import InputError
from lalm_ambig.endpoint.place import check_upload, key_for, place_of


@pytest.mark.parametrize(
    ("given", "url", "is_local"),
    [
        ("http://localhost:8000", "http://localhost:8000/v1", True),
        ("http://127.0.0.5:1/v1/", "http://127.0.0.5:1/v1", True),
        ("http://[::1]:8000/v1", "http://[::1]:8000/v1", True),
        ("https://api.openai.com/v1/chat/completions", "https://api.openai.com/v1", False),
        ("https://localhost.example.com/v1", "https://localhost.example.com/v1", False),
        ("https://x.com/openai/v2", "https://x.com/openai/v2", False),
        ("http://10.0.0.3:8000", "http://10.0.0.3:8000/v1", False),
    ],
)
def test_an_address_is_read(given: str, url: str, is_local: bool) -> None:
    place = place_of(given)
    assert (place.url, place.is_local) == (url, is_local)


@pytest.mark.parametrize(
    "given",
    ["", "localhost:8000", "ftp://x/v1", "http://", "http://x:y/v1", "http://a b/v1", "https://x/v1?k=1"],
)
def test_what_is_no_address_is_refused(given: str) -> None:
    with pytest.raises(InputError, match="--endpoint: "):
        place_of(given)


def test_a_password_in_an_address_is_refused_and_not_repeated() -> None:
    with pytest.raises(InputError, match="a user or a password") as error:
        place_of("https://me:secret@x.com/v1")
    assert "secret" not in str(error.value)


def test_a_key_goes_over_https_or_to_this_machine_only() -> None:
    environment = {"OPENAI_API_KEY": "sk-1", "MINE": "sk-2\n"}
    far, near, clear = map(place_of, ("https://x.com/v1", "http://localhost:1", "http://x.com/v1"))
    assert key_for(far, None, environment) == key_for(near, None, environment) == "sk-1"
    assert key_for(far, "MINE", environment) == "sk-2"
    assert key_for(near, None, {}) is None
    assert key_for(clear, None, environment) is None
    with pytest.raises(InputError, match="in the clear"):
        key_for(clear, "MINE", environment)
    with pytest.raises(InputError, match="NONE is not set"):
        key_for(far, "NONE", environment)
    with pytest.raises(InputError, match="no key has") as error:
        key_for(far, None, {"OPENAI_API_KEY": "sk-secret\nX: y"})
    assert "secret" not in str(error.value)


def test_items_go_to_another_machine_or_licensed_ones_anywhere_only_if_that_is_confirmed() -> None:
    far, near = place_of("https://x.com/v1"), place_of("http://localhost:1")
    check_upload(near, corpus="chaosnli", licensed=False, has_sound=False, confirmed=False)
    check_upload(far, corpus="iemocap", licensed=True, has_sound=True, confirmed=True)
    with pytest.raises(InputError, match=r"texts of chaosnli would be sent to x.com.*--confirm-upload"):
        check_upload(far, corpus="chaosnli", licensed=False, has_sound=False, confirmed=False)
    with pytest.raises(InputError, match=r"clips and texts of iemocap.*licence.*--confirm-upload"):
        check_upload(near, corpus="iemocap", licensed=True, has_sound=True, confirmed=False)
