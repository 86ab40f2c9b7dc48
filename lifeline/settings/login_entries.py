"""The table ``[login]`` of ``city.toml``, and where the page may be reached from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Final

from pydantic import Field

from lifeline.people.doorman import LoginRules
from lifeline.settings.tls_option import LOOPBACK
from rules.strict_models import DurationNs, Strict

if TYPE_CHECKING:
    from lifeline.settings.config import CityConfig
    from lifeline.settings.toml_text import TomlDocument

MINUTE_NS: Final = 60 * 10**9
HOUR_NS: Final = 60 * MINUTE_NS
LEAST_TOKEN: Final = 32  # characters of the token a proxy shows to the page


class LoginEntry(Strict):
    """The page asks everybody for a login, also before there is an account."""

    idle: Annotated[DurationNs, Field(ge=MINUTE_NS, le=30 * 24 * HOUR_NS)] = HOUR_NS
    longest: Annotated[DurationNs, Field(ge=10 * MINUTE_NS, le=30 * 24 * HOUR_NS)] = 12 * HOUR_NS

    @property
    def rules(self) -> LoginRules:
        """Return it as the doorman takes it."""
        return LoginRules(required=True, idle_ns=self.idle, longest_ns=self.longest)


def check_page(config: CityConfig, document: TomlDocument) -> None:
    """Let the page leave loopback only with a login: its own and TLS, or a proxy's and a token."""
    entry, page = config.entry, config.entry.page
    if entry.login is not None and entry.login.idle > entry.login.longest:
        said = "idle: is longer than longest; write a shorter one"
        document.problem(("login", "idle"), said, noun="key")
    if page.token_file is not None and not os.access(config.path(page.token_file), os.R_OK):
        return  # told with all files that are missing
    key, said = "", ""
    own = entry.login is not None and entry.tls is not None
    shown = page.token_file or page.token_env
    if page.origin is not None and (shown or not own):
        length = len(config.secret(page.token_file, page.token_env))
        if length < LEAST_TOKEN:
            key = "token_file" if page.token_file else "token_env" if page.token_env else "origin"
            said = f"the proxy's token has {length} characters; name a file of {LEAST_TOKEN} or "
            said += "more: openssl rand -hex 32"
            if not shown:
                said += "; without a proxy write the tables [login] and [tls]"
    elif shown and page.origin is None:
        key = "token_file" if page.token_file else "token_env"
        said = 'a token alone is for nobody; add origin = "https://…" as browsers see the proxy'
    elif page.origin is None and not LOOPBACK.fullmatch(page.bind):
        key = "bind"
        if own:
            said = f'{page.bind}: add origin = "https://…" as browsers see the page: it answers '
            said += "to no other name"
        else:
            said = f"{page.bind}: the page has no login of its own that TLS protects; beyond "
            said += "loopback write the tables [login] and [tls] (docs/people.md), or put a "
            said += "reverse proxy with a login before it: add origin and token_file, see "
            said += "docs/deploy.md"
    if said:
        document.problem(("page", key), f"{key}: {said}", noun="key")
