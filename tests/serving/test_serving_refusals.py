"""Whose requests are refused, and which, with the right status and in one line."""

import contextlib
import http.client
import json
import socket

import pytest
from hostile import sound_file, tone
from live import BOUNDARY, Live, Reply, form

from lalm_ambig.inference.model import Model
from lalm_ambig.serving.app import Service
from lalm_ambig.serving.guard import HEADERS, hosts_of, is_local
from lalm_ambig.serving.limits import Limits

PART = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="%s"\r\n\r\n%s\r\n'
END = f"--{BOUNDARY}--"


@pytest.mark.parametrize(
    ("body", "status", "line"),
    [
        (b"", 400, "no JSON"),
        (b'{"text":', 400, "no JSON"),
        (b"[" * 60_000, 400, "no JSON"),
        (b'{"text":' + b"9" * 5_000 + b"}", 400, "no JSON"),
        (b'{"text":"\xe9"}', 400, "not in UTF-8"),
        (b"[1]", 400, "expected a JSON object"),
        (b"{}", 400, "nothing to judge"),
        (b'{"text":" \\n"}', 400, "nothing to judge"),
        (b'{"text":null,"audio":null}', 400, "nothing to judge"),
        (b'{"text":5}', 400, "text: expected a text, got 5"),
        (b'{"text":{"a":1}}', 400, "text: expected a text"),
        (b'{"txt":"a"}', 400, "'txt': did you mean text?"),
        (b'{"path":"/etc/passwd"}', 400, "unknown field 'path': expected audio or text"),
        (b'{"audio":"/etc/passwd"}', 400, "expected a sound file in base64"),
        (b'{"audio":"file:///etc/passwd"}', 400, "expected a sound file in base64"),
        (b'{"audio":"http://127.0.0.1/a.wav"}', 400, "expected a sound file in base64"),
        (b'{"text":"a","text":"b"}', 400, "text is given twice"),
        (b'{"text":"\\ud800"}', 422, "surrogate"),
        (b'{"text":"' + b"a" * 10_001 + b'"}', 413, "10,001 characters: at most 10,000"),
        (b'{"text":"' + b"a " * 4_999 + b'"}', 422, "2,048 positions"),
    ],
)
def test_json_that_is_no_question_is_refused(live: Live, body: bytes, status: int, line: str) -> None:
    reply = live.post_json(body)
    assert reply.status == status and line in reply.error


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "ends early"),
        (b"hello", "ends early"),
        ((PART % ("text", "a")).encode(), "ends early"),
        (f"--{BOUNDARY}\r\n\r\na\r\n{END}".encode(), "part 1 of the multipart request has no name"),
        ((PART % ("text", "a")).replace("\r\n", "\n").encode() + END.encode(), "part 1"),
        ((PART % ("path", "/etc/passwd") + END).encode(), "unknown field 'path'"),
        ((PART % ("Text", "a") + END).encode(), "'Text': did you mean text?"),
        ((PART % ("text", "a") * 2 + END).encode(), "text is given twice"),
        ((PART % ("text", "") * 2_000 + END).encode(), "more than 8 parts"),
        (END.encode(), "nothing to judge"),
        ((PART % ("text", "") + END).encode(), "nothing to judge"),
        ((PART % ("text", "a")).encode().replace(b"\r\na", b"\r\n\xff") + END.encode(), "not in UTF-8"),
    ],
)
def test_a_form_that_is_no_question_is_refused(live: Live, body: bytes, line: str) -> None:
    reply = live.post_form(body)
    assert reply.status == 400 and line in reply.error


@pytest.mark.parametrize(
    "kind",
    [
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=a",
        "audio/wav",
        "x" * 3_000,
    ],
)
def test_other_bodies_are_refused(live: Live, kind: str) -> None:
    reply = live.send("POST", "/v1/predict", b'{"text":"a"}', Content_Type=kind)
    assert (
        reply.status == 415
        and "multipart/form-data or application/json" in reply.error
        and len(reply.error) < 300
    )


@pytest.mark.parametrize("boundary", ["", "; boundary=", "; boundary=" + "x" * 71, "; boundary*=utf-8''%ff"])
def test_a_form_without_a_proper_boundary_is_refused(live: Live, boundary: str) -> None:
    reply = live.send("POST", "/v1/predict", form(text="a"), Content_Type=f"multipart/form-data{boundary}")
    assert reply.status == 400 and "boundary" in reply.error


def test_a_packed_body_is_not_unpacked(live: Live) -> None:
    for packing in ("gzip", "deflate", "br", "gzip, gzip"):
        reply = live.post_json({"text": "a"}, Content_Encoding=packing)
        assert reply.status == 415 and "Content-Encoding" in reply.error
    assert live.post_json({"text": "a"}, Content_Encoding="identity").status == 200


def sent_raw(server: Live, head: str, body: bytes) -> bytes:
    """The first bytes of the answer to a request of which only this is sent."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(
            f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{head}\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):  # it has answered already
            link.sendall(body)
        return link.recv(4096)


def test_a_stated_length_over_the_limit_is_refused_before_the_body_comes(live: Live) -> None:
    assert sent_raw(live, "Content-Length: 999999999999\r\n", b"").startswith(b"HTTP/1.1 413")


def test_a_body_without_a_stated_length_is_counted_while_it_comes(live: Live) -> None:
    chunk = b"10000\r\n" + b"a" * 65_536 + b"\r\n"
    assert sent_raw(live, "Transfer-Encoding: chunked\r\n", chunk * 40).startswith(b"HTTP/1.1 413")
    good = b'c\r\n{"text":"a"}\r\n0\r\n\r\n'
    assert sent_raw(live, "Transfer-Encoding: chunked\r\n", good).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "head",
    [
        "Content-Length: -5\r\n",
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n",
        "Content-Length: x\r\n",
    ],
)
def test_a_length_that_is_none_is_refused(live: Live, head: str) -> None:
    assert sent_raw(live, head, b"{}").split()[1] == b"400"


def test_a_body_that_does_not_come_is_not_waited_for(small_model: Model) -> None:
    with Live(Service(small_model, Limits(read_s=0.3))) as server:
        assert sent_raw(server, "Content-Length: 500\r\n", b"{").startswith(b"HTTP/1.1 408")
        assert server.get("/health").json["inside"] == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example:80",
        "192.168.0.1",
        "[::2]",
        "a b",
    ],
)
def test_a_name_that_is_led_here_from_elsewhere_is_refused(live: Live, host: str) -> None:
    reply = live.get("/health", Host=host)
    assert reply.status == 403 and "--allow-host" in reply.error


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "LOCALHOST:8000", "[::1]:8000"])
def test_names_of_this_machine_are_taken(live: Live, host: str) -> None:
    assert live.get("/health", Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://localhost:1", "https://127.0.0.1:1", "file://", "x"]
)
def test_a_page_of_another_site_is_refused(live: Live, origin: str) -> None:
    reply = live.post_json({"text": "a"}, Origin=origin)
    assert reply.status == 403 and "other sites" in reply.error
    assert not any(name.startswith("Access-Control") for name in reply.headers)


def test_a_page_that_hides_its_origin_is_refused_too(live: Live) -> None:
    for site in ("cross-site", "same-site"):
        assert live.get("/v1/examples/0/audio", Sec_Fetch_Site=site).status == 403
        assert live.post_json({"text": "a"}, Sec_Fetch_Site=site).status == 403
    assert live.get("/", Sec_Fetch_Site="cross-site").status == 200  # a link to the page


def test_the_page_itself_is_taken(live: Live) -> None:
    own = f"http://127.0.0.1:{live.port}"
    assert live.post_json({"text": "a"}, Origin=own, Sec_Fetch_Site="same-origin").status == 200


def test_a_proxys_name_is_taken_where_it_is_allowed(small_model: Model) -> None:
    with Live(Service(small_model, Limits()), allow=("model.example",)) as server:
        https = {"Host": "model.example", "Origin": "https://model.example"}
        assert server.post_json({"text": "a"}, **https).status == 200
        assert server.get("/health", Host="other.example").status == 403


def test_hosts_by_what_is_bound_to() -> None:
    assert hosts_of("0.0.0.0", ()) is None and hosts_of("::", ()) is None
    assert hosts_of("0.0.0.0", ["a.example"]) == {"a.example", "0.0.0.0", "localhost", "127.0.0.1", "::1"}
    assert "192.168.1.5" in (hosts_of("192.168.1.5", ()) or ())
    assert [is_local(host) for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9")] == [True] * 4
    assert not any(is_local(host) for host in ("0.0.0.0", "::", "192.168.1.5", "model.example"))


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/page/page.html",
        "/static",
        "/docs",
        "//etc/passwd",
        "/page.js/",
    ],
)
def test_no_address_leads_to_a_file(live: Live, path: str) -> None:
    reply = live.get(path)
    assert reply.status in (403, 404) and "passwd" not in reply.error


def test_other_methods_are_refused(live: Live) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        reply = live.send(method, "/v1/predict")
        assert reply.status == 405 and reply.error
    assert live.send("HEAD", "/").status == 200


def test_every_answer_forbids_what_a_browser_could_load_from_elsewhere(live: Live) -> None:
    replies: list[Reply] = [live.get(path) for path in ("/", "/page.js", "/page.css", "/health", "/nothing")]
    for reply in replies:
        assert HEADERS.items() <= reply.headers.items()
    for reply in replies[:3]:
        assert (
            b"http://" not in reply.body.replace(b"http://www.w3.org/2000/svg", b"")
            and b"https://" not in reply.body
        )


def test_what_is_no_http_does_not_end_the_server(live: Live) -> None:
    for sent in (
        b"\x16\x03\x01\x02\0\1\0\1\xfc\3\3" + b"a" * 99 + b"\r\n\r\n",
        b"GET /" + b"a" * 20_000,
        b"\0" * 500,
        b"\r\n" * 99,
    ):
        with socket.create_connection(("127.0.0.1", live.port), timeout=30) as link:
            link.sendall(sent)
            link.shutdown(socket.SHUT_WR)
            assert b"Traceback" not in link.recv(4096)
    assert live.get("/health").status == 200


def test_a_client_that_hangs_up_leaves_no_place_taken(live: Live) -> None:
    body = form(audio=sound_file(tone(2.0)))
    for sent in (0, 100, len(body) // 2, len(body)):
        link = http.client.HTTPConnection("127.0.0.1", live.port)
        link.putrequest("POST", "/v1/predict")
        link.putheader("Content-Type", f"multipart/form-data; boundary={BOUNDARY}")
        link.putheader("Content-Length", str(len(body)))
        link.endheaders(body[:sent])
        link.close()
    assert live.post(text="a").status == 200
    for _ in range(100):
        if json.loads(live.get("/health").body)["inside"] == 0:
            return
    pytest.fail("a place is still taken")
