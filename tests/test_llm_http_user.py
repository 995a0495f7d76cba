"""The user behind an HTTP endpoint, against a server that answers well, badly, late or never."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from text_cases import documents

from sim.errors import BadInput
from sim.llm.http_user import HttpUser, Unanswered
from sim.llm.users import Edit

DOCUMENT = documents("paper summary")[0]
LATE = 0.6
TRICKLE = b"one byte after the other"


def said(text: Any) -> bytes:
    return json.dumps({"choices": [{"message": {"content": text}}]}).encode()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((dict(self.headers), json.loads(asked)))
        status, body = self.server.answers[min(len(self.server.seen), len(self.server.answers)) - 1]
        if status == LATE:
            time.sleep(LATE)
            return
        self.send_response(status)
        if 300 <= status < 400:
            self.send_header("Location", body.decode())
        self.end_headers()
        if body == TRICKLE:
            self.trickle()
        else:
            self.wfile.write(body)

    def trickle(self) -> None:
        with suppress(OSError):
            while True:
                self.wfile.write(b" ")
                time.sleep(0.01)

    def log_message(self, *_: Any) -> None:
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answers: list
    seen: list


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.answers, server.seen = [], []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def user(server: Server, **options: Any) -> HttpUser:
    url = f"http://127.0.0.1:{server.server_address[1]}/v1/chat/completions"
    return HttpUser(url, "some-model", **{"wait": 0.01, "timeout": 0.3, "attempts": 3, "longest_answer": 200} | options)


def ask(user: HttpUser, response: str = "A response.", seed: int = 0) -> Edit:
    return user.answer(DOCUMENT, response, np.random.default_rng(seed))


def test_a_good_answer_is_the_edit(server: Server) -> None:
    server.answers = [(200, said("  Dear all,\x07\r\nfine. \n"))]
    assert ask(user(server, api_key="secret")) == Edit("Dear all, \nfine.", "ok")
    headers, asked = server.seen[0]
    assert headers["Authorization"] == "Bearer secret" and asked["model"] == "some-model"
    system, told = (message["content"] for message in asked["messages"])
    assert "professional greeting and closing" in system and "paper summary" not in system + told
    assert DOCUMENT.text in told and "A response." in told


def test_the_key_is_optional_and_never_shown(server: Server) -> None:
    server.answers = [(200, said("x"))]
    ask(user(server))
    assert "Authorization" not in server.seen[0][0]
    assert "secret" not in repr(user(server, api_key="secret"))


def test_the_request_is_the_same_for_the_same_draws(server: Server) -> None:
    server.answers = [(200, said("x"))]
    for seed in (1, 1, 2):
        ask(user(server), seed=seed)
    one, two, three = (asked for _, asked in server.seen)
    assert one == two != three


BAD = {
    "HTTP status 500": (500, b"no"),
    "HTTP status 429": (429, b""),
    "HTTP status 302": (302, b"http://[nowhere/"),
    "HTTP status 301": (301, b"http://localhost:99999999/"),
    "timed out": (LATE, b""),
    "answer is not a chat completion": (200, b"{nonsense"),
    "answer is not a chat": (200, b'{"choices": []}'),
    "answer is not a": (200, said(None)),
    "answer is not": (200, b"[" * 100_000),
    "answer is": (200, b"\xff\xfe\x00"),
    "empty answer": (200, said("  \n ")),
    "answer of more than 200 characters": (200, said("long " * 50)),
    "answer of more": (200, said("x" * 1_000_000)),
}


@pytest.mark.parametrize("status", BAD)
def test_a_bad_answer_is_asked_for_again(server: Server, status: str) -> None:
    server.answers = [BAD[status], (200, said("fine"))]
    assert ask(user(server)) == Edit("fine", "ok")
    assert len(server.seen) == 2


@pytest.mark.parametrize("status", BAD)
def test_who_never_answers_leaves_the_response_with_a_status(server: Server, status: str) -> None:
    server.answers = [BAD[status]]
    edit = ask(user(server, attempts=2))
    assert edit.text == "A response."
    assert edit.status.startswith(f"unanswered after 2 attempts: {status}")
    assert len(server.seen) == 2


def test_nobody_at_the_address(server: Server) -> None:
    server.answers = [(200, said("x"))]
    quiet = user(server)
    server.server_close()
    edit = ask(quiet)
    assert edit.text == "A response." and "no connection" in edit.status
    with pytest.raises(Unanswered, match="no connection"):
        quiet.edit(DOCUMENT, "A response.", np.random.default_rng(0))


def test_waits_grow_up_to_a_limit(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    server.answers = [(500, b"")]
    monkeypatch.setattr(time, "sleep", waits.append)
    ask(user(server, attempts=6, wait=1.0, longest_wait=5.0))
    assert waits == [1, 2, 4, 5, 5]


def test_a_redirect_is_not_followed(server: Server) -> None:
    server.answers = [(302, f"http://127.0.0.1:{server.server_address[1]}/elsewhere".encode())]
    assert ask(user(server, api_key="secret", attempts=1)).status.endswith("HTTP status 302")
    assert len(server.seen) == 1


def test_so_many_attempts_that_doubling_has_no_number(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(HttpUser, "_ask", lambda *_: (_ for _ in ()).throw(Unanswered("no")))
    assert ask(user(server, attempts=1200)).status == "unanswered after 1200 attempts: no"


def test_an_answer_that_never_ends_is_given_up(server: Server) -> None:
    server.answers = [(200, TRICKLE), (200, said("fine"))]
    started = time.monotonic()
    assert ask(user(server, timeout=0.05, longest_answer=20_000)) == Edit("fine", "ok")
    assert 0.5 < time.monotonic() - started < 5


def test_an_answer_that_breaks_off_is_none(server: Server) -> None:
    server.answers = [(200, said("fine")[:-3])]
    assert ask(user(server, attempts=1)).status.endswith("answer is not a chat completion")


def test_edit_gives_the_text(server: Server) -> None:
    server.answers = [(200, said("fine"))]
    assert user(server).edit(DOCUMENT, "", np.random.default_rng(0)) == "fine"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attempts": 0}, "attempts: expected at least 1"),
        ({"timeout": -1.0}, "timeout: expected at least 0.001, got -1"),
        ({"timeout": float("nan")}, "timeout: expected at least 0.001, got nan"),
        ({"wait": -1.0}, "wait: expected at least 0"),
        ({"timeout": float("inf")}, "timeout: expected at most 1,000,000, got inf"),
        ({"longest_wait": 1e12}, "longest_wait: expected at most 1,000,000"),
        ({"url": "ftp://x"}, "url: expected"),
        ({"url": "http://"}, "url: expected an address such as"),
        ({"url": "http://x:port/v1"}, "url: expected an address such as"),
        ({"url": "http://x:99999/v1"}, "url: expected an address such as"),
        ({"url": "http://[::1/v1"}, "url: expected an address such as"),
        ({"url": "http://a..b/v1"}, "url: expected an address such as"),
        ({"url": "http://x/v 1"}, "url: expected an address such as"),
        ({"url": "http://x/\u00e9"}, "url: expected an address such as"),
        ({"api_key": "secret\n"}, "^api_key: expected printable ASCII characters without spaces; check how"),
        ({"api_key": "\u201csecret\u201d"}, "^api_key: expected printable"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        HttpUser(**{"url": "http://x", "model": "m"} | options)
