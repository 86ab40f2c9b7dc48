"""The AT dialogue: as the shared samples of public firmware have it, over stdin and over a pty."""

import os
import select
import socket
import subprocess
import time

import pytest

from ingest.codecs import compact
from tests.firmware.posted import Posts, until

DEVICE = "410100-gas-nb-000123"


class Dialogue:
    """The controller's side of the line: ``ask`` writes a command and waits for what must come."""

    def __init__(self, firmware, port, *, pty=False):
        command = [firmware.program, "modem", "--device", DEVICE, "--port", str(port)]
        self.process = subprocess.Popen(
            [*command, "--ack-timeout-ms", "60", *(["--pty"] if pty else [])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.write_fd, self.read_fd = self.process.stdin.fileno(), self.process.stdout.fileno()
        self.heard = b""
        if pty:
            name = self.process.stdout.readline().decode().split()[1]
            self.write_fd = self.read_fd = os.open(name, os.O_RDWR | os.O_NOCTTY)

    def ask(self, line, *ends, within_s=5):
        """Return the lines up to one that begins with any of ``ends`` (OK or an error, if none)."""
        ends = ends or ("OK", "ERROR", "+CME ERROR")
        if line:
            os.write(self.write_fd, line.encode() + b"\r\n")
        deadline, got = time.monotonic() + within_s, []
        while True:
            while b"\r\n" in self.heard:
                said, self.heard = self.heard.split(b"\r\n", 1)
                got.append(said.decode())
                if got[-1].startswith(ends):
                    return got
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self.read_fd], [], [], max(left, 0))
            assert ready, f"{line!r}: {got}, and none of {ends} within {within_s} s"
            self.heard += os.read(self.read_fd, 4096)

    def end(self):
        self.process.stdin.close()
        self.process.terminate()
        err = self.process.stderr.read().decode()
        self.process.wait(10)
        self.process.stdout.close()
        self.process.stderr.close()
        assert "Sanitizer" not in err, err


@pytest.fixture
def dialogue(firmware):
    opened = []

    def start(port, **options):
        opened.append(Dialogue(firmware, port, **options))
        return opened[-1]

    yield start
    for line in opened:
        line.end()


def attached(line, server):
    assert line.ask("AT+CEREG=1") == ["OK"]
    assert line.ask(f"AT+NCDP=127.0.0.1,{server.port}") == ["OK"]
    assert line.ask("AT+CGATT=1") == ["OK"]
    assert line.ask("", "+QLWEVTIND:3") == ["+CEREG:2", "+CEREG:1", "+QLWEVTIND:0", "+QLWEVTIND:3"]
    return line


def payload(sequence):
    return compact.encode(
        device=DEVICE, boot=1, sequence=sequence, time_base_ms=1_767_225_600_000,
        blocks=[compact.Series(port=1, offsets_ms=[0], values=[0.5])],
    )  # fmt: skip


@pytest.mark.parametrize("pty", [False, True], ids=["stdin", "pty"])
def test_a_module_attaches_posts_and_reports_the_delivery(dialogue, pty):
    with Posts() as server:
        line = attached(dialogue(server.port, pty=pty), server)
        assert line.ask("AT+CSQ") == ["+CSQ:19,99", "OK"]
        assert line.ask("AT+CEREG?") == ["+CEREG:1,1", "OK"]
        assert line.ask("AT+CPSMS=1,,,01000011,00000010") == ["OK"]
        assert line.ask("AT+CPSMS?") == ["+CPSMS:1,,,01000011,00000010", "OK"]
        frame = payload(1)
        said = line.ask(f"AT+QLWULDATAEX={len(frame)},{frame.hex()},0x0100,1", "+QLWULDATASTATUS")
        assert said == ["OK", "+QLWULDATASTATUS:4,1"]
        assert server.payloads == {(1, 1): frame}
        frame = payload(2)
        said = line.ask(f"AT+QLWULDATAEX={len(frame)},{frame.hex().upper()},0x0101", "+QLWULDATAS")
        assert said == ["OK", "+QLWULDATASTATUS:4"]


def test_what_comes_down_with_an_answer_is_told_unasked(dialogue):
    with Posts(answer=bytes.fromhex("AAAA0000")) as server:
        line = attached(dialogue(server.port), server)
        frame = payload(1)
        assert line.ask(f"AT+NMGS={len(frame)},{frame.hex()}", "+NNMI") == [
            "OK",
            "+NNMI:4,AAAA0000",
        ]


def test_a_server_that_is_silent_is_reported_as_not_delivered(dialogue):
    with Posts() as server:
        line = attached(dialogue(server.port), server)
        server.silent = True
        frame = payload(1)
        command = f"AT+QLWULDATAEX={len(frame)},{frame.hex()},0x0100,7"
        assert line.ask(command) == ["OK"]
        assert line.ask(command) == ["ERROR"]  # one at a time
        assert line.ask("", "+QLWULDATASTATUS") == ["+QLWULDATASTATUS:3,7"]
        server.silent = False
        assert line.ask(command, "+QLWULDATASTATUS") == ["OK", "+QLWULDATASTATUS:4,7"]


def test_errors_have_numbers_where_they_are_asked_for(dialogue):
    with Posts() as server:
        line = dialogue(server.port)
        assert line.ask("AT+NONSENSE") == ["ERROR"]
        assert line.ask("AT+CMEE=1") == ["OK"]
        assert line.ask("AT+NONSENSE") == ["+CME ERROR: 100"]
        assert line.ask("AT+NMGS=2,A9A1") == ["+CME ERROR: 30"]  # not attached
        for wrong in ("AT+NMGS=3,A9A1", "AT+NMGS=2,A9G1", "AT+NMGS=2", "AT+NMGS=0,",
                      "AT+CPSMS=1,,,0100,00000010", "AT+CPSMS=2", "AT+NCDP=nowhere,1",
                      "AT+QLWULDATAEX=2,A9A1,0x0200", "AT+NSOST=0,127.0.0.1,9,1,00",
                      f"AT+NMGS=600,{'00' * 600}"):  # fmt: skip
            assert line.ask(wrong) == ["+CME ERROR: 50"], wrong
        assert line.ask("AT+CFUN=0") == ["OK"]
        assert line.ask("AT+CGATT=1") == ["+CME ERROR: 3"]
        assert line.ask("AT+CGATT?") == ["+CGATT:0", "OK"]
        said = line.ask("AT+NRB")
        assert said == ["REBOOTING", "REBOOT_CAUSE_APPLICATION_AT", "OK"]
        assert line.ask("AT+CFUN?") == ["+CFUN:1", "OK"]
        assert line.ask("AT+NONSENSE") == ["ERROR"]  # verbose errors went with the restart


def test_a_udp_socket_of_the_module_speaks_to_anybody(dialogue):
    with Posts() as server, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(5)
        line = attached(dialogue(server.port), server)
        assert line.ask("AT+NSOCR=DGRAM,17,0,1") == ["0", "OK"]
        port = peer.getsockname()[1]
        assert line.ask(f"AT+NSOST=0,127.0.0.1,{port},3,414243") == ["0,3", "OK"]
        got, sender = peer.recvfrom(100)
        assert got == b"ABC"
        peer.sendto(b"\x01\x02", sender)
        assert line.ask("", "+NSONMI") == ["+NSONMI:0,2"]
        assert line.ask("AT+NSORF=0,100") == [f"0,127.0.0.1,{port},2,0102,0", "OK"]
        assert line.ask("AT+NSORF=0,100") == ["OK"]
        assert line.ask("AT+NSOCL=0") == ["OK"]
        assert line.ask("AT+NSOCL=0") == ["ERROR"]


def test_echo_is_the_controller_s_choice(dialogue):
    with Posts() as server:
        line = dialogue(server.port)
        assert line.ask("ATE1") == ["OK"]
        assert line.ask("AT") == ["AT", "OK"]
        assert line.ask("ATE0") == ["ATE0", "OK"]
        assert line.ask("AT") == ["OK"]
        until(lambda: line.heard == b"", "nothing more")
