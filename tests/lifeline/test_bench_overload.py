"""In overload nothing goes unaccounted, safety stays, and it ends; no figure is judged."""

import numpy as np
import pytest

from ingest.admission import Admission
from ingest.frame import Frame
from ingest.overload import OverloadLimits
from ingest.sources import mqtt_wire as wire
from lifeline.bench.chain import crowd, overload
from lifeline.bench.chain.crowd import Crowd
from lifeline.bench.chain.overload_page import markdown
from rules.readings import HEARD_ONLY

FAR_NS = 2_000_000_000 * 10**9


def frames(crowd_, count):
    inbox = wire.Inbox()
    inbox.take(b"".join(crowd_.next() for _ in range(count)))
    return [Frame(payload, "mqtt", topic, FAR_NS) for topic, payload, _ in inbox.messages]


def test_what_the_crowd_says_it_sent_is_what_admission_finds():
    made = Crowd()
    admitted = Admission(crowd.site()).admit(frames(made, 2 * crowd.ROUND))
    assert not admitted.quarantined
    known = admitted.readings.channel[admitted.readings.channel != HEARD_ONLY]
    found = np.bincount(known, minlength=crowd.CHANNELS)
    np.testing.assert_array_equal(found, made.readings)
    samples = np.zeros(crowd.CHANNELS, np.int64)
    for _, block in admitted.blocks:
        samples[block.channel] += block.samples.shape[1]
    np.testing.assert_array_equal(samples, made.samples)
    assert made.samples.sum() == 2 * crowd.WAVE_DEVICES * crowd.WAVE_CHANNELS * crowd.WAVE_SAMPLES


def test_each_message_of_a_safety_gateway_raises_one_channel_and_no_other_message_any():
    admitted = Admission(crowd.site()).admit(frames(Crowd(), 3 * crowd.ROUND))
    high = admitted.readings.channel[admitted.readings.value > 26]
    assert sorted(high.tolist()) == [1, 2, 3, 501, 502, 503]
    assert crowd.safety()[high].all()
    assert crowd.safety().sum() == 1000


@pytest.mark.real
def test_in_overload_every_reading_is_journaled_or_counted_and_safety_never_shed():
    """A real broker and three processes on one core; limits so low that any machine passes them."""
    ask = overload.Ask(
        calm_s=1.0,
        overload_s=4.0,
        after_s=2.0,
        rate=250_000,
        times=4.0,
        # a step stays longer than /metrics are old, or it would not be seen in them
        limits=OverloadLimits(queue_share=0.02, step_s=0.1, calm_s=2.5),
    )
    said = []
    result = overload.run(ask, tell=said.append)
    assert result["uncounted"] == 0
    assert result["safety_shed"] == 0
    assert result["shed_samples"] > 0
    assert result["shed"]["info"] > 0
    assert result["recovered"]
    calm, over, after = result["phases"]
    assert [p["phase"] for p in (calm, over, after)] == ["calm", "overload", "after"]
    assert over["alarms"] > 0
    assert result["most_shed_step"] >= 2
    assert result["sent"] > 0
    assert any("one core carries" in line for line in said)
    page = markdown(result, 4.0)
    assert f"| readings sent | {result['sent']:,} |" in page
    assert (
        f"| neither journaled nor counted by channel in /metrics | {result['uncounted']} |" in page
    )


def test_each_promise_that_is_not_kept_is_named():
    row = {"phase": "overload", "p99_s": 4.9}
    good = {
        "uncounted": 0, "safety_shed": 0, "within_memory": True, "recovered": True,
        "rss_mb": {"engine": 300}, "memory_limit_mb": 1024, "phases": [row],
    }  # fmt: skip
    assert overload.faults(good) == []
    bad = {
        "uncounted": 7, "safety_shed": 8, "within_memory": False, "recovered": False,
        "phases": [row | {"p99_s": 5.1}, row | {"p99_s": float("nan")}],
    }  # fmt: skip
    said = overload.faults(good | bad)
    assert len(said) == 6
    for part, line in zip(("7 read", "8 read", "300", "recover", "5.1", "nan"), said, strict=True):
        assert part in line
