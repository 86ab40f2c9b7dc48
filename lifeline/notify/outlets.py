"""The outlets that ``city.toml`` names, ready to be opened: one line for each kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeline.notify.alertmanager import AlertmanagerSettings
from lifeline.notify.cap import CapSender
from lifeline.notify.cap_outlet import CapOutletSettings
from lifeline.notify.email import EmailSettings
from lifeline.notify.mqtt import MqttSettings
from lifeline.notify.robots import Kind, RobotSettings
from lifeline.notify.webhook import WebhookSettings
from lifeline.settings.outlet_entries import MAIL_PORTS, ROBOTS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lifeline.notify.sending import OutletSettings
    from lifeline.settings.config import CityConfig


def outlets_of(config: CityConfig) -> tuple[OutletSettings, ...]:
    """Return the settings of every outlet beside the webhook."""
    return tuple(
        _MAKERS[kind](config, f"{kind}:{name}", entry)
        for kind, name, entry in config.entry.outlet.each()
    )


def webhook_of(config: CityConfig) -> WebhookSettings | None:
    """Return the webhook's settings, None where there is none."""
    entry = config.entry.webhook
    if entry is None:
        return None
    return WebhookSettings(
        url=entry.url,
        secret=config.secret(entry.secret_file, entry.secret_env).encode(),
        ca_file=_file(config, entry.ca_file),
        min_severity=entry.min_severity,
    )


def cap_sender_of(config: CityConfig) -> CapSender:
    """Return who we are in a CAP message; without a table, by the city's name."""
    entry, site = config.entry.cap, config.entry.site
    if entry is None:
        return CapSender(name=site.name, name_zh=site.name_zh)
    return CapSender(
        sender=entry.sender,
        name=entry.sender_name or site.name,
        name_zh=entry.sender_name_zh or site.name_zh,
    )


def cap_outlet_of(config: CityConfig) -> CapOutletSettings | None:
    """Return where incidents are sent as CAP messages, None where to nobody."""
    entry = config.entry.cap
    if entry is None or entry.url is None:
        return None
    return CapOutletSettings(
        url=entry.url,
        secret=config.secret(entry.secret_file, entry.secret_env).encode(),
        min_severity=entry.min_severity,
        ca_file=_file(config, entry.ca_file),
    )


def _alertmanager(config: CityConfig, name: str, entry: Any) -> OutletSettings:
    return AlertmanagerSettings(
        name=name,
        url=entry.url,
        page=config.page_url,
        user=entry.user,
        password=config.secret(entry.password_file, entry.password_env),
        ca_file=_file(config, entry.ca_file),
        min_severity=entry.min_severity,
        every_s=entry.every / 1e9,
    )


def _mqtt(config: CityConfig, name: str, entry: Any) -> OutletSettings:
    return MqttSettings(
        name=name,
        host=entry.host,
        port=entry.port or (8883 if entry.tls else 1883),
        prefix=entry.prefix,
        user=entry.user,
        password=config.secret(entry.password_file, entry.password_env),
        tls=entry.tls,
        ca_file=_file(config, entry.ca_file),
        min_severity=entry.min_severity,
    )


def _email(config: CityConfig, name: str, entry: Any) -> OutletSettings:
    return EmailSettings(
        name=name,
        host=entry.host,
        port=entry.port or MAIL_PORTS[entry.security],
        sender_address=entry.sender,
        to=tuple(entry.to),
        security=entry.security,
        user=entry.user,
        password=config.secret(entry.password_file, entry.password_env),
        language=entry.language,
        ca_file=_file(config, entry.ca_file),
        min_severity=entry.min_severity,
        per_minute=entry.per_minute,
    )


def _robot(kind: Kind) -> Callable[[CityConfig, str, Any], OutletSettings]:
    def made(config: CityConfig, name: str, entry: Any) -> OutletSettings:
        return RobotSettings(
            name=name,
            kind=kind,
            url=config.secret(entry.url_file, entry.url_env),
            secret=config.secret(entry.secret_file, entry.secret_env),
            language=entry.language,
            ca_file=_file(config, entry.ca_file),
            min_severity=entry.min_severity,
            per_minute=entry.per_minute,
        )

    return made


_MAKERS: Mapping[str, Callable[[CityConfig, str, Any], OutletSettings]] = {
    "alertmanager": _alertmanager,
    "mqtt": _mqtt,
    "email": _email,
    **{kind: _robot(kind) for kind in ROBOTS},
}


def _file(config: CityConfig, name: str | None) -> str | None:
    return str(config.path(name)) if name else None
