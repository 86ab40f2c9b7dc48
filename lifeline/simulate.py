"""A scenario sent to somebody's broker, or written down as a recording."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ingest.secret_words import noted
from ingest.tls import machine_authorities
from lifeline.clock import Clock
from lifeline.errors import Missing
from lifeline.production_mark import refuse_production
from rules.durations import parse_duration
from rules.problems import Invalid, Problem
from rules.registry_file import load_registry
from simulators.devices.coap import CoapTarget
from simulators.devices.mqtt import MqttTarget
from simulators.devices.run import run_city
from simulators.recording.simulated import city_registry
from simulators.recording.simulated import simulate as write_simulated
from simulators.scenario import load_scenario

if TYPE_CHECKING:
    import threading
    from pathlib import Path

    from rules.registry import Registry
    from simulators.scenario import Scenario


def record_scenario(name: str, *, out: Path, lasts: str, registry: Path | None) -> dict[str, Any]:
    """Write a recording at full speed; return its meta, the ground truth in it."""
    scenario = load_scenario(name)
    held = load_registry(registry) if registry else None
    return write_simulated(scenario, out=out, registry=held, lasts_ns=_lasts(lasts))


def send_scenario(
    name: str,
    *,
    to: str,
    coap: str,
    factor: float,
    lasts: str,
    registry: Path | None,
    stats: Path | None,
    user: str,
    password_file: Path | None,
    ca_file: Path | None,
    only: list[str],
    without: list[str],
    most: int | None,
    stop: threading.Event,
) -> dict[str, Any]:
    """Run a scenario's devices against a broker until its end or ``stop``; return what was sent.

    Raises
    ------
    Invalid
        An address, the scenario or the registry is wrong.
    ProductionBroker
        The broker serves a real city.
    """
    scheme, host, port = _address(to, {"mqtt": 1883, "mqtts": 8883})
    post = _address(coap, {"coap": 5683}) if coap else None
    tls_ca = _authority(ca_file, scheme)
    scenario = load_scenario(name)
    password = _secret(password_file)
    refuse_production(host, port, user=user, password=password, ca_file=tls_ca)
    # the scenario's time begins when its city stands: a large one takes a while to make
    held: Registry = load_registry(registry) if registry else city_registry(scenario)
    now_ns = time.time_ns()
    clock = _EndingClock(
        now_ns, now_ns, factor, stop=stop, end_ns=now_ns + _length(scenario, lasts)
    )
    return run_city(
        registry=held,
        scenario=scenario,
        clock=clock,
        mqtt=MqttTarget(
            host=host,
            port=port,
            username=user or None,
            password=password or None,
            tls_ca=tls_ca,
        ),
        coap=CoapTarget(host=post[1], port=post[2]) if post else None,
        stop=stop,
        stats_file=stats,
        only=only,
        without=without,
        most=most,
    )


class _EndingClock(Clock):
    """A Clock that sets ``stop`` when the scenario's time is over."""

    def __init__(
        self, wall_ns: int, city_ns: int, factor: float, *, stop: threading.Event, end_ns: int
    ) -> None:
        super().__init__(wall_ns, city_ns, factor)
        self._stop = stop
        self._end_ns = end_ns

    def now_ns(self) -> int:
        """Return the city time."""
        now_ns = super().now_ns()
        if now_ns >= self._end_ns:
            self._stop.set()
        return now_ns


def _secret(file: Path | None) -> str:
    if file is None:
        return ""
    try:
        return noted(file.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise Missing(f"{file}: {error.strerror}; --password-file names a file of yours") from error


def _lasts(text: str) -> int | None:
    return parse_duration(text) if text else None


def _length(scenario: Scenario, lasts: str) -> int:
    return _lasts(lasts) or scenario.lasts_ns


def _authority(file: Path | None, scheme: str) -> str | None:
    """Return the authority's file for TLS, None where the scheme has none."""
    if scheme != "mqtts":
        if file is not None:
            raise Missing(f"--ca-file {file}: without TLS nobody looks at it; --to mqtts://…")
        return None
    if file is not None and not file.is_file():
        raise Missing(f"{file}: no such file; --ca-file names the broker's authority")
    return str(file) if file is not None else machine_authorities()


def _address(text: str, ports: dict[str, int]) -> tuple[str, str, int]:
    """Return (scheme, host, port); ``ports`` are the schemes and their usual ports."""
    said = f"not an address; write {' or '.join(f'{s}://127.0.0.1:{p}' for s, p in ports.items())}"
    try:
        parts = urlsplit(text)
        host, named = parts.hostname, parts.port
    except ValueError as error:
        raise Invalid([Problem(text, 0, 0, "", said)]) from error
    if parts.scheme not in ports or not host or parts.username:
        raise Invalid([Problem(text, 0, 0, "", said)])
    return parts.scheme, host, named or ports[parts.scheme]
