"""A whole running city, `lifeline run`, whose folder a test edits; its modules speak CoAP."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from typing import TYPE_CHECKING, Any, Self

import httpx

from ingest.codecs.compact import Series, encode
from ingest.journal import JournalReader, durable_end
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.torture.processes import until
from lifeline.torture.senders import BOOT, Message, Module
from lifeline.torture.site import MODULES, PORTS, RULES, registry_text
from rules.engine import Engine
from rules.events import decode
from rules.events import encode as event_line
from rules.readings import Control, texts_named
from tests import servers
from tests.terminal import lifeline

if TYPE_CHECKING:
    from pathlib import Path

    from rules.events import Event
    from rules.readings import Record


class Steady:
    """A module's readings at levels a test sets, %vol by port."""

    def __init__(self, device: str) -> None:
        self._device = device
        self.level = dict.fromkeys(PORTS, 0.2)
        self._sequence = 0

    def next(self) -> Message:
        self._sequence += 1
        base_ms = time.time_ns() // 1_000_000
        blocks = [Series(port=p, offsets_ms=[0], values=[v]) for p, v in self.level.items()]
        frame = encode(
            device=self._device,
            boot=BOOT,
            sequence=self._sequence,
            time_base_ms=base_ms,
            blocks=blocks,
        )
        samples = tuple((p, base_ms, v) for p, v in self.level.items())
        return Message(self._device, self._sequence, samples, frame)


class ReloadCity:
    """Leaving it stops everything; ``site`` is its folder, ``levels`` what its modules measure."""

    def __init__(self, folder: Path, *, extra: str = "") -> None:
        self.site, self.data, self.log = folder / "site", folder / "data", folder / "log"
        self.page = servers.free_port()
        self.coap = servers.free_port(socket.SOCK_DGRAM)
        for room in ("registry", "rules"):
            (self.site / room).mkdir(parents=True)
        self.write_registry(registry_text())
        self.write_rules(RULES)
        (self.site / "city.toml").write_text(
            textwrap.dedent(f"""\
                [site]
                name = "Reload"
                [coap]
                port = {self.coap}
                [page]
                port = {self.page}
                """)
            + extra
        )
        self.modules: list[Module] = []
        self.levels: dict[str, dict[int, float]] = {}

    def write_rules(self, text: str) -> None:
        """Write the one file of rules, as an editor does: aside, then renamed."""
        self._write(self.site / "rules" / "all.yaml", text)

    def write_registry(self, text: str) -> None:
        self._write(self.site / "registry" / "all.yaml", text)

    @staticmethod
    def _write(path: Path, text: str) -> None:
        aside = path.with_suffix(".new")
        aside.write_text(text, encoding="utf-8")
        aside.replace(path)

    def __enter__(self) -> Self:
        words = ["run", self.site, "--data", self.data, "--json-logs"]
        self.run = subprocess.Popen(
            [sys.executable, "-m", "lifeline", *map(str, words)],
            stderr=self.log.open("wb"),
            stdin=subprocess.DEVNULL,
        )
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.page}", timeout=30)
        try:
            until(self._answers, "the page", timeout_s=60)
            for device in MODULES:
                module = Module(device, self.coap, seed=1, every_s=0.1)
                steady = Steady(device)
                module._signal = steady  # type: ignore[assignment]
                self.levels[device] = steady.level
                self.modules.append(module)
                module.start()
            until(lambda: all(module.kept for module in self.modules), "readings")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for module in self.modules:
            module.finish()
        self.modules.clear()
        self.http.close()
        if self.run.poll() is None:
            self.run.send_signal(signal.SIGTERM)
        self.run.wait(20)

    def _answers(self) -> bool:
        assert self.run.poll() is None, self.log.read_text()[-3000:]
        try:
            return self.http.get("/api/state").json()["site"]
        except (httpx.HTTPError, KeyError, ValueError):
            return False

    # ---- what a person does and sees ------------------------------------------------------------

    def reload(self, *words: object) -> tuple[int, dict[str, Any], str]:
        """Run `lifeline reload`; return its exit code, its JSON and what it said."""
        out = self.site.parent / "reload.json"
        ran = lifeline("reload", "--site", self.site, "--data", self.data, "--json", out, *words)
        return ran.returncode, json.loads(out.read_text()), ran.stdout + ran.stderr

    def alarms(self, **wanted: object) -> list[dict[str, Any]]:
        held = self.http.get("/api/alarms").json()["alarms"]
        return [a for a in held if all(a[key] == value for key, value in wanted.items())]

    def alarm(self, **wanted: object) -> dict[str, Any]:
        """Wait for one alarm."""
        until(lambda: self.alarms(**wanted), f"an alarm {wanted}")
        return self.alarms(**wanted)[0]

    def problems(self) -> dict[str, str]:
        return self.http.get("/api/health").json()["problems"]

    def reloads(self) -> dict[str, float]:
        """Return lifeline_reloads_total by result."""
        lines = self.http.get("/metrics").text.splitlines()
        told = [line for line in lines if line.startswith("lifeline_reloads_total{")]
        return {line.split('result="')[1].split('"')[0]: float(line.split()[-1]) for line in told}

    def pid_of(self, process: str) -> int | None:
        """Return the pid of one of the processes, None while there is none."""
        for pid in subprocess.check_output(
            ["ps", "-o", "pid=", "--ppid", str(self.run.pid)], text=True
        ).split():
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")  # noqa: PTH123, SIM115
            if process.encode() in words:
                return int(pid)
        return None

    # ---- what is on disk ------------------------------------------------------------------------

    def records(self) -> list[Record]:
        return records_of(self.data)

    def sites(self) -> list[dict[str, str]]:
        """Return what each record of the journal put in force."""
        bodies = [record.body for record in self.records()]
        return [named for b in bodies if isinstance(b, Control) and (named := texts_named(b))]

    def events(self) -> list[Event]:
        return [decode(line) for line in event_lines(self.data)]


def records_of(data: Path) -> list[Record]:
    with JournalReader(data / "journal") as reader:
        end, records = durable_end(data / "journal"), []
        while some := reader.read(until=end):
            records += some
    return records


def event_lines(data: Path) -> list[bytes]:
    with JournalReader(data / "events") as reader:
        end, lines = durable_end(data / "events"), []
        while some := reader.events(until=end):
            lines += [line for _, record in some for line in record.lines]
    return lines


def fresh(data: Path) -> Engine:
    """Return an engine that knows nothing but the stored texts."""
    return Engine(*empty_site(), resolve=SiteTexts(data).resolve)


def folded(engine: Engine, records: list[Record]) -> list[bytes]:
    return [event_line(event) for event in engine.fold(records)]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
