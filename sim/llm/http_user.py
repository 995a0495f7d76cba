"""A user behind any endpoint that speaks the chat-completions interface of OpenAI."""

import http.client
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from sim.errors import BadInput
from sim.llm.documents import Document
from sim.llm.domains import DOMAINS
from sim.llm.drafts import clean
from sim.llm.users import Edit

INSTRUCTION = (
    "You asked an assistant for a response to the document below. You like responses that are: {preference}."
    " Change the response where it does not suit you or gets a fact wrong, and nothing else."
    " Answer with the response as you want it, without any remark; answer with the same text if it suits you."
)


LARGEST = 1_000_000
"""Of seconds and characters: sockets and clocks know no longer waits."""


SLOWEST = 10
"""All of an answer may take this many times the wait for a part of it: no trickle holds up a run."""


class Unanswered(Exception):
    """No usable answer came; its text is the status that stands beside the unedited response."""


@dataclass(frozen=True)
class HttpUser:
    """A user who is asked over HTTP, with the interface of every user.

    Fields:
        url: of the endpoint, up to and including "/chat/completions".
        model: the model's name there.
        api_key: sent as a bearer token where given; never shown.
        instruction: what she is told about herself; "{preference}" stands for the phrases of the domain's preference.
        timeout: seconds that a request may wait for the next thing to arrive; all of an answer may take ten times that.
        attempts: how often she is asked, at least once.
        wait: seconds before the second attempt; doubled before each one after it.
        longest_wait: no wait is longer, in seconds.
        longest_answer: characters of the longest answer that is believed.
        temperature: of her sampling.
    """

    url: str
    model: str
    api_key: str | None = field(default=None, repr=False)
    instruction: str = INSTRUCTION
    timeout: float = 60.0
    attempts: int = 4
    wait: float = 1.0
    longest_wait: float = 30.0
    longest_answer: int = 20_000
    temperature: float = 0.0

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.api_key is not None and not _plain(self.api_key):
            raise BadInput("api_key: expected printable ASCII characters without spaces; check how it was copied")
        if self.attempts < 1:
            raise BadInput(f"attempts: expected at least 1, got {self.attempts}")
        for name, least in (("timeout", 1e-3), ("wait", 0.0), ("longest_wait", 0.0), ("longest_answer", 1)):
            if not getattr(self, name) >= least:
                raise BadInput(f"{name}: expected at least {least:g}, got {getattr(self, name)!r}")
            if getattr(self, name) > LARGEST:
                raise BadInput(f"{name}: expected at most {LARGEST:,}, got {getattr(self, name)!r}")

    def answer(self, document: Document, response: str, rng: np.random.Generator) -> Edit:
        """Her edit; the response itself, with a status that says why, when no usable answer came.

        Args:
            document: what the response is about.
            response: any text.
            rng: gives the seed of her sampling.
        """
        body = self._request(document, response, int(rng.integers(2**31)))
        status = ""
        for attempt in range(self.attempts):
            if attempt:
                # No number of doublings is beyond a float.
                time.sleep(min(self.wait * 2.0 ** min(attempt - 1, 100), self.longest_wait))
            try:
                return Edit(self._ask(body))
            except Unanswered as why:
                status = str(why)
        return Edit(response, f"unanswered after {self.attempts} attempts: {status}")

    def edit(self, document: Document, response: str, rng: np.random.Generator) -> str:
        """The text of her answer.

        Args:
            document: what the response is about.
            response: any text.
            rng: gives the seed of her sampling.

        Raises:
            Unanswered: no usable answer came; `answer` never raises.
        """
        edit = self.answer(document, response, rng)
        if edit.status != "ok":
            raise Unanswered(edit.status)
        return edit.text

    def _request(self, document: Document, response: str, seed: int) -> bytes:
        preference = ", ".join(DOMAINS[document.domain].traits)
        messages = [
            {"role": "system", "content": self.instruction.replace("{preference}", preference)},
            {"role": "user", "content": f"Document:\n{document.text}\n\nResponse:\n{clean(response)}"},
        ]
        request = {"model": self.model, "messages": messages, "temperature": self.temperature, "seed": seed}
        return json.dumps(request).encode()

    def _ask(self, body: bytes) -> str:
        try:
            text = _content(self._post(body))
        except urllib.error.HTTPError as error:
            raise Unanswered(f"HTTP status {error.code}") from None
        except TimeoutError:
            raise Unanswered("timed out") from None
        except urllib.error.URLError as error:
            timed_out = isinstance(error.reason, TimeoutError)
            raise Unanswered("timed out" if timed_out else f"no connection ({error.reason})") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"connection broke ({type(error).__name__})") from None
        if not text.strip():
            raise Unanswered("empty answer")
        if len(text) > self.longest_answer:
            raise Unanswered(f"answer of more than {self.longest_answer} characters")
        return text.strip()

    def _post(self, body: bytes) -> bytes:
        headers = {"Content-Type": "application/json"}
        if self.api_key:
            headers["Authorization"] = f"Bearer {self.api_key}"
        request = urllib.request.Request(self.url, body, headers, method="POST")
        # A character takes at most six bytes of JSON twice over; what is beyond is not read into memory.
        limit = 16 * self.longest_answer + 100_000
        with _opener().open(request, timeout=self.timeout) as reply:
            data, until = b"", time.monotonic() + SLOWEST * self.timeout
            while part := reply.read1(limit + 1 - len(data)):
                data += part
                if len(data) > limit:
                    raise Unanswered(f"answer of more than {self.longest_answer} characters")
                if time.monotonic() > until:
                    raise Unanswered("timed out")
        return data


@cache
def _opener() -> urllib.request.OpenerDirector:
    """Asks as `urlopen` does, but goes nowhere else: a redirect would take the key along, and the request not."""
    opener = urllib.request.OpenerDirector()
    for handler in ("Proxy", "HTTP", "HTTPS", "HTTPDefaultError"):
        opener.add_handler(getattr(urllib.request, f"{handler}Handler")())
    opener.add_handler(urllib.request.HTTPErrorProcessor())
    return opener


def _check_url(url: str) -> None:
    """Refuse what urllib would refuse later, in its own words."""
    if not url.startswith(("http://", "https://")):
        raise BadInput(f"url: expected an address that starts with http:// or https://, got '{url}'")
    try:
        parts = urllib.parse.urlsplit(url)
        host = (parts.hostname or "").encode("idna")
        usable = _plain(url) and bool(host) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable:
        raise BadInput(f"url: expected an address such as http://localhost:8000/v1/chat/completions, got {url!r}")


def _plain(text: str) -> bool:
    """Whether a text can stand in the head of a request."""
    return text.isascii() and text.isprintable() and " " not in text


def _content(data: bytes) -> str:
    try:
        content = json.loads(data)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise Unanswered("answer is not a chat completion") from None
    if not isinstance(content, str):
        raise Unanswered("answer is not a chat completion")
    return clean(content)
