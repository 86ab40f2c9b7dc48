"""Official warnings from where they are published: a CAP message, or an Atom or RSS feed of them.

A feed names addresses; each is asked once. They must be of the feed's own host or of one that is
named beside it, over HTTPS: a feed cannot send us anywhere else.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urljoin, urlsplit

import httpx
from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

from ingest.sources.pull import NotServed, asked
from ingest.tls import trusting
from lifeline.bulletins.cap_in import MAX_BYTES, Unreadable
from lifeline.ledger.errors import Conflict, LedgerError
from lifeline.notify.cap import CONTENT_TYPE, NAMESPACE

if TYPE_CHECKING:
    import threading
    from collections.abc import Iterator, Mapping
    from xml.etree.ElementTree import Element

    from lifeline.bulletins.board import Board

FEED_RULE: Final = "warning-feed"
FAILED_TURNS: Final = 3
"""So many turns in a row without an answer are an alarm of our own."""
MAX_FEED_BYTES: Final = 4 << 20
MAX_ENTRIES: Final = 200
MAX_SEEN: Final = 10_000
_ATOM: Final = "{http://www.w3.org/2005/Atom}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings:
    """Where warnings are published; ``url`` and ``headers`` may hold a key and are never shown."""

    url: str = field(repr=False)
    every_s: float = 60.0
    hosts: tuple[str, ...] = ()  # beside the feed's own
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_file: str | None = None
    timeout_s: float = 10.0


class Feed:
    """Asks the address every so often; ``trouble`` says what was wrong last."""

    def __init__(self, settings: FeedSettings, board: Board) -> None:
        self._settings, self._board = settings, board
        self._seen: dict[str, None] = {}
        self._failed = 0
        self.trouble = ""
        self._client = httpx.Client(
            timeout=settings.timeout_s,
            verify=trusting(settings.ca_file),
            follow_redirects=False,
            trust_env=False,
            headers={"User-Agent": "city-lifeline"},
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def run(self, problems: dict[str, str], stop: threading.Event) -> None:
        """Ask until stopped; what is wrong is one of ``problems``."""
        try:
            while not stop.is_set():
                self.turn(stop)
                if self.trouble:
                    problems[FEED_RULE] = f"official warnings 官方预警来源: {self.trouble}"
                else:
                    problems.pop(FEED_RULE, None)
                stop.wait(self._settings.every_s)
        finally:
            self.close()

    def turn(self, stop: threading.Event) -> None:
        """Ask once and take what is new."""
        troubles = []
        try:
            for link in self._links(stop):
                try:
                    self._one(link, stop)
                except (NotServed, Unreadable, LedgerError) as error:
                    troubles.append(str(error))
        except (NotServed, Unreadable, LedgerError) as error:
            troubles.append(str(error))
        if stop.is_set():
            return
        self._failed = self._failed + 1 if troubles else 0
        self.trouble = "; ".join(troubles[:3])
        if not troubles:
            self._board.own_trouble(FEED_RULE, "")
        elif self._failed >= FAILED_TURNS:
            self._board.own_trouble(FEED_RULE, self.trouble)

    def _links(self, stop: threading.Event) -> list[tuple[str, str]]:
        """Return (address, mark) of messages not seen; a message in the place of a feed is taken.

        The mark changes with what the feed says of it: an entry that was changed is asked again.
        """
        raw = self._asked(self._settings.url, stop, MAX_FEED_BYTES)
        root = _xml(raw)
        if root.tag == f"{{{NAMESPACE}}}alert":
            self._take(raw, hashlib.sha256(raw).hexdigest())
            return []
        found = list(_entries(root))
        if root.tag not in (f"{_ATOM}feed", "rss"):
            raise Unreadable(f"{root.tag[:80]!r} is neither a CAP alert nor an Atom or RSS feed")
        if len(found) > MAX_ENTRIES:
            found = found[:MAX_ENTRIES]  # newest first, as feeds are
        return [each for each in found if each[1] not in self._seen]

    def _one(self, link: tuple[str, str], stop: threading.Event) -> None:
        href, mark = link
        url = urljoin(self._settings.url, href)
        ours, its = urlsplit(self._settings.url), urlsplit(url)
        known = its.hostname in {ours.hostname, *self._settings.hosts}
        if not known or its.scheme not in {"https", ours.scheme} or "@" in its.netloc:
            self._remember(mark)
            said = f"the feed names {its.scheme}://{its.hostname}, which is not in hosts"
            raise Unreadable(said)
        self._take(self._asked(url, stop, MAX_BYTES), mark)

    def _asked(self, url: str, stop: threading.Event, max_bytes: int) -> bytes:
        """Ask; the token is shown to the feed's own host only."""
        own = urlsplit(url).netloc == urlsplit(self._settings.url).netloc
        self._client.headers.update(self._settings.headers if own else {})
        if not own:
            for name in self._settings.headers:
                self._client.headers.pop(name, None)
        return asked(self._client, url, stop, max_bytes=max_bytes)

    def _take(self, raw: bytes, mark: str) -> None:
        """Take a message once; what cannot be read is told once, not at every turn.

        Where the ledger cannot be written it is not remembered, and comes again.
        """
        if mark in self._seen:
            return
        try:
            self._board.take(raw, via="feed")
        except (Unreadable, Conflict):
            self._remember(mark)
            raise
        self._remember(mark)

    def _remember(self, mark: str) -> None:
        self._seen[mark] = None
        while len(self._seen) > MAX_SEEN:
            del self._seen[next(iter(self._seen))]


def _xml(raw: bytes) -> Element:
    try:
        root: Element = ElementTree.fromstring(raw, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Unreadable(f"XML with {type(error).__name__}: no DTD, no entities") from error
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(f"the feed is no XML: {error}"[:300]) from error
    return root


def _entries(root: Element) -> Iterator[tuple[str, str]]:
    """Yield (address, mark) of an Atom or RSS feed's entries."""
    for entry in root.findall(f"{_ATOM}entry"):
        links = entry.findall(f"{_ATOM}link")
        caps = [link for link in links if link.get("type") == CONTENT_TYPE]
        hrefs = [link.get("href", "") for link in (caps or links)]
        updated = entry.findtext(f"{_ATOM}updated") or ""
        if hrefs and hrefs[0]:
            yield hrefs[0], f"{hrefs[0]} {updated.strip()}"
    for item in root.findall("channel/item"):
        href = (item.findtext("link") or "").strip()
        if href:
            yield href, f"{href} {(item.findtext('pubDate') or '').strip()}"
