"""The device in C, built once with every warning an error and the sanitizers on."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "gateway-firmware-sim"


@dataclass(frozen=True)
class Firmware:
    """``start`` runs the device; ``tally`` waits for its end and gives its JSON line."""

    program: Path

    def start(self, role: str, device: str, port: int, **options: object) -> subprocess.Popen[str]:
        command = [self.program, role, "--device", device, "--port", str(port)]
        for name, value in options.items():
            command.append(f"--{name.replace('_', '-')}")
            command += [] if value is True else [str(value)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def tally(self, process: subprocess.Popen[str], *, timeout_s: float = 30) -> dict:
        out, err = process.communicate(timeout=timeout_s)
        assert "Sanitizer" not in err, err
        return json.loads(out.splitlines()[-1]) | {"exit": process.returncode, "said": err}


@pytest.fixture(scope="session")
def firmware(tmp_path_factory):
    build = tmp_path_factory.mktemp("firmware")
    made = subprocess.run(
        ["make", "-C", FIRMWARE, "checked", f"BUILD={build}"], capture_output=True, check=False
    )
    assert made.returncode == 0, made.stderr.decode()
    return Firmware(build / "lifeline-device-checked")
