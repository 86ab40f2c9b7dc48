"""The real servers tests run against: mosquitto, influxd 1.6.7, victoria-metrics, on loopback.

    with servers.mosquitto() as broker:
        client.connect(broker.host, broker.port)

Each takes a free port and a temporary folder, is up when the block begins and is ended by its pid
when it ends. ``stop``, ``kill``, ``start`` and ``pause`` are there for tests of outages; the port
and the folder stay the same. A missing program fails the test: see ``make test-setup``.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOST = "127.0.0.1"
START_TIMEOUT_S = 20.0


_PORTS = itertools.cycle(random.SystemRandom().sample(range(20_000, 32_000), 12_000))


def free_port(kind: int = socket.SOCK_STREAM) -> int:
    """Return a loopback port nobody listens on now (SOCK_STREAM or SOCK_DGRAM).

    Below those that the kernel gives to whoever asks for any: between here and the server's start
    nobody else is given it. A CoAP server listens on the TCP port of the same number, too.
    """
    kinds = {kind, socket.SOCK_STREAM}
    for port in itertools.islice(_PORTS, 1_000):
        with contextlib.ExitStack() as probes:
            try:
                for each in kinds:
                    probe = probes.enter_context(socket.socket(socket.AF_INET, each))
                    probe.bind((HOST, port))
            except OSError:
                continue
        return port
    raise AssertionError("no port from 20000 to 31999 is free: end what listens there")


def program(name: str) -> str:
    """Return the path of a server program, or fail the test with the remedy."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin")
    if found is None:
        raise AssertionError(f"{name} is not installed: run `make test-setup`")
    return found


@dataclass
class Server:
    """A running server; ``folder`` keeps its configuration, data and ``server.log``."""

    command: list[str]
    port: int
    folder: Path
    ready: Callable[[Server], bool]
    host: str = HOST
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, "the server is stopped"
        return self.process.pid

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text(errors="replace")

    def start(self) -> None:
        """Start it (again, on the same port and data) and wait until it answers."""
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=self.folder
            )
        deadline = time.monotonic() + START_TIMEOUT_S
        while not self.ready(self):
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"{self.command[0]} did not come up:\n{self.log[-2000:]}")
            time.sleep(0.02)

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """End it cleanly (SIGTERM), so that it writes its persistence."""
        self._end(signal.SIGTERM, timeout_s)

    def kill(self) -> None:
        """End it at once (SIGKILL)."""
        self._end(signal.SIGKILL, 10.0)

    @contextlib.contextmanager
    def pause(self) -> Iterator[None]:
        """Let it hang (SIGSTOP) within the block: it accepts, but does not answer."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def _end(self, how: signal.Signals, timeout_s: float) -> None:
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.send_signal(how)
            try:
                self.process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
        self.process = None


@contextlib.contextmanager
def running(
    build: Callable[[Path, int], list[str]],
    ready: Callable[[Server], bool],
    port: int | None = None,
) -> Iterator[Server]:
    """Run the command that ``build(folder, port)`` returns, until the block ends."""
    with tempfile.TemporaryDirectory(prefix="lifeline-test-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        server = _started(build, ready, folder, port)
        try:
            yield server
        finally:
            server.stop()


def _started(
    build: Callable[[Path, int], list[str]],
    ready: Callable[[Server], bool],
    folder: Path,
    port: int | None,
) -> Server:
    attempts = 3  # another process may take a free port between the probe and the start
    for attempt in range(attempts):
        chosen = port or free_port()
        server = Server(build(folder, chosen), chosen, folder, ready)
        try:
            server.start()
        except AssertionError:
            if port is not None or attempt + 1 == attempts:
                raise
        else:
            return server
    raise AssertionError("unreachable")


def listens(server: Server) -> bool:
    """Return whether the server's port accepts a connection."""
    return accepts(server.host, server.port)


def accepts(host: str, port: int) -> bool:
    """Return whether a port accepts a connection."""
    try:
        with socket.create_connection((host, port), 0.5):
            return True
    except OSError:
        return False


def answers(path: str) -> Callable[[Server], bool]:
    """Return a check that a GET of ``path`` gives 2xx."""

    def check(server: Server) -> bool:
        try:
            with urllib.request.urlopen(server.url + path, timeout=1) as answer:  # noqa: S310
                return 200 <= int(answer.status) < 300
        except (OSError, urllib.error.URLError):
            return False

    return check


def mosquitto(
    *,
    port: int | None = None,
    users: dict[str, str] | None = None,
    password_file: Path | None = None,
    certificate: tuple[Path, Path] | None = None,
    extra: str = "",
) -> contextlib.AbstractContextManager[Server]:
    """Run mosquitto with persistence.

    ``users`` (name to password) or a ``password_file`` made by mosquitto_passwd shut out everyone
    else; ``certificate`` (cert, key) makes the listener TLS.
    """

    def build(folder: Path, chosen: int) -> list[str]:
        folder.chmod(0o777)  # started by root, it drops to its own user and writes here
        lines = [
            f"listener {chosen} {HOST}",
            "allow_anonymous " + ("false" if users or password_file else "true"),
            "persistence true",
            f"persistence_location {folder}/",
            "autosave_interval 1",
            "max_inflight_messages 400",
            "max_queued_messages 100000",
            "log_dest stderr",
            "log_type all" if os.environ.get("LIFELINE_TEST_TRACE") else "log_type notice",
        ]
        if users or password_file:
            passwords = folder / "passwords"
            passwords.write_bytes(password_file.read_bytes() if password_file else b"")
            for name, password in (users or {}).items():
                tool = program("mosquitto_passwd")
                subprocess.run([tool, "-b", str(passwords), name, password], check=True)
            passwords.chmod(0o644)
            lines.append(f"password_file {passwords}")
        for word, source in zip(("certfile", "keyfile"), certificate or (), strict=False):
            readable = folder / word
            shutil.copy(source, readable)
            readable.chmod(0o644)
            lines.append(f"{word} {readable}")
        config = folder / "mosquitto.conf"
        config.write_text("\n".join([*lines, extra, ""]))
        return [program("mosquitto"), "-c", str(config)]

    return running(build, listens, port)


def influxd(*, port: int | None = None) -> contextlib.AbstractContextManager[Server]:
    """Run InfluxDB 1.6.7: ``/write`` and ``/query``; CREATE DATABASE is the test's first step."""

    def build(folder: Path, chosen: int) -> list[str]:
        config = folder / "influxdb.conf"
        config.write_text(
            f"""
reporting-disabled = true
bind-address = "{HOST}:{free_port()}"
[meta]
dir = "{folder}/meta"
[data]
dir = "{folder}/data"
wal-dir = "{folder}/wal"
query-log-enabled = false
[http]
bind-address = "{HOST}:{chosen}"
log-enabled = false
flux-enabled = false
[monitor]
store-enabled = false
[logging]
level = "warn"
"""
        )
        return [program("influxd"), "-config", str(config)]

    return running(build, answers("/ping"), port)


def victoria_metrics(*, port: int | None = None) -> contextlib.AbstractContextManager[Server]:
    """Run VictoriaMetrics: ``/api/v2/write`` for the v2 client, ``/api/v1/export`` to read back."""

    def build(folder: Path, chosen: int) -> list[str]:
        return [
            program("victoria-metrics"),
            f"-httpListenAddr={HOST}:{chosen}",
            f"-storageDataPath={folder}/data",
            "-retentionPeriod=100y",
            "-memory.allowedPercent=5",
        ]

    return running(build, answers("/health"), port)


def prometheus(*targets: str, port: int | None = None) -> contextlib.AbstractContextManager[Server]:
    """Run Prometheus, which reads ``/metrics`` of the targets (host:port) every second."""

    def build(folder: Path, chosen: int) -> list[str]:
        config = folder / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s}\n"
            "scrape_configs:\n"
            f"- {{job_name: lifeline, static_configs: [{{targets: {list(targets)}}}]}}\n"
        )
        return [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address={HOST}:{chosen}",
        ]

    return running(build, answers("/-/ready"), port)


def alertmanager(
    receiver: str, *, port: int | None = None
) -> contextlib.AbstractContextManager[Server]:
    """Run Alertmanager, which tells the webhook ``receiver`` of alerts at once, also of ends."""

    def build(folder: Path, chosen: int) -> list[str]:
        config = folder / "alertmanager.yml"
        config.write_text(
            "route: {receiver: test, group_by: ['...'], group_wait: 0s, group_interval: 1s}\n"
            "receivers:\n"
            f"- {{name: test, webhook_configs: [{{url: '{receiver}', send_resolved: true}}]}}\n"
        )
        return [
            program("prometheus-alertmanager"),
            f"--config.file={config}",
            f"--storage.path={folder}/data",
            f"--web.listen-address={HOST}:{chosen}",
            "--cluster.listen-address=",
        ]

    return running(build, answers("/-/ready"), port)
