"""What make-secrets makes, once for all tests of this folder."""

import subprocess
from pathlib import Path

import pytest

from tests.deploy_files import DEPLOY, GATEWAY


@pytest.fixture(scope="session")
def secrets(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("deploy") / "secrets"
    words = [DEPLOY / "make-secrets", "--host", "gateway.example", "--gateway", GATEWAY, folder]
    ran = subprocess.run(words, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    for token in ("store-token", "grafana-token"):  # as `lifeline influx setup` would
        (folder / "influx" / token).write_text("t" * 40)
    return folder
