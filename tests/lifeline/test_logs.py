"""Logs: one form for ours and for libraries', and never a secret."""

import json
import subprocess
import sys

import pytest

from ingest.sources.mqtt import MqttSettings
from lifeline.notify.webhook import WebhookSettings
from simulators.devices.mqtt import MqttTarget

SECRET = "hunter2-never-told"  # noqa: S105 - of a test
PROGRAM = """
import logging, sys, structlog
from lifeline.logs import configure_logs
configure_logs(json_lines=sys.argv[1] == "json", process="probe")
def refused(password):
    raise OSError("refused")
try:
    refused(sys.argv[2])
except OSError:
    structlog.get_logger("ours").exception("ours failed")
    logging.getLogger("theirs").exception("theirs failed")
logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
"""


def logged(form: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", PROGRAM, form, SECRET], capture_output=True, text=True, check=True
    )
    return ran.stderr


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_traceback_tells_its_frames_and_no_values(form):
    said = logged(form)
    assert said.count("refused") >= 2
    assert SECRET not in said
    assert "Invalid HTTP" not in said


def test_lines_of_libraries_are_json_too_and_name_the_process():
    lines = [json.loads(line) for line in logged("json").splitlines()]
    assert [line["event"] for line in lines] == ["ours failed", "theirs failed"]
    assert all(line["process"] == "probe" and line["level"] == "error" for line in lines)


@pytest.mark.parametrize(
    "settings",
    [
        MqttSettings(host="h", password=SECRET),
        MqttTarget(host="h", port=1, password=SECRET),
        WebhookSettings(url="http://h", secret=SECRET.encode()),
    ],
)
def test_settings_do_not_show_their_secret(settings):
    assert SECRET not in repr(settings)
