"""Pages of a real browser that fail the test with whatever breaks in their scripts."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DESK = {"width": 1500, "height": 900}


@contextmanager
def page_of(browser: Any, url: object, **how: Any) -> Iterator[Any]:
    """Open a page with cookies and storage of its own; ``how`` as the browser's context takes it.

    What a script of it threw is told beside whatever failed because of it.
    """
    context = browser.new_context(**{"locale": "en-US", "viewport": DESK} | how)
    page, troubles = context.new_page(), []
    page.on("pageerror", lambda error: troubles.append(f"{page.url}: {error}"))
    try:
        page.goto(str(url))
        yield page
    finally:
        context.close()
        assert troubles == []


@contextmanager
def on_duty(browser: Any, http: Any, by: str = "li") -> Iterator[Any]:
    """Open the page of a city without accounts, in the name of somebody; ``http`` hangs on it."""
    with page_of(browser, http.base_url) as page:
        page.http = http
        page.evaluate("(by) => localStorage.setItem('by', by)", by)
        page.reload()
        yield page
