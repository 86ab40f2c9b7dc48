"""A setup or migration from a configuration: the server, the gate and the steps put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeline.errors import Failure, Missing
from lifeline.influx.layout import wanted_layout
from lifeline.influx.migrate import layout_version, may_migrate, may_set_up
from lifeline.influx.server import Refusal, Server
from lifeline.influx.setup import Arrangement
from lifeline.influx.tokens import read_token, wanted_tokens

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lifeline.influx.setup import Step
    from lifeline.settings.config import CityConfig, InfluxEntry


def arrange(
    config: CityConfig,
    entry: InfluxEntry,
    admin_token_file: Path,
    *,
    migrating: bool,
    shorten: bool,
    dry_run: bool,
) -> Iterator[Step]:
    """Do and tell each step.

    Raises
    ------
    Failure
        A file or a right is missing, the server does not answer, or its layout is not one to be
        set up or migrated; each with the remedy.
    """
    if entry.token_file is None or not entry.org:
        raise Missing(
            f"{config.folder}: [influx] must name org and token_file: the file the store's token "
            'is written to, as token_file = "secrets/influx"'
        )
    layout = wanted_layout(entry)
    server = Server.of(config, read_token(admin_token_file))
    try:
        if not server.has_buckets():
            raise Failure(
                f"{server.url} has no /api/v2/buckets as InfluxDB 2.x has: there is nothing to set "
                "up there; InfluxDB 1.x wants CREATE DATABASE, VictoriaMetrics nothing"
            )
        gate = may_migrate if migrating else may_set_up
        gate(layout_version(server, layout), layout)
        arrangement = Arrangement(
            server,
            layout,
            wanted_tokens(layout, config.path(entry.token_file)),
            as_token=lambda token: Server.of(config, token),
            shorten=shorten,
            dry_run=dry_run,
        )
        yield from arrangement.steps()
    except Refusal as error:
        said = f"{error}; "
        if error.of_rights:
            said += f"the token in {admin_token_file} must be an all-access token of the org "
            said += "(influx auth create --all-access), or an operator token to make the org"
        else:
            said += "see the log of InfluxDB; what was done before stands, run this again"
        raise Failure(said) from error
    finally:
        server.close()
