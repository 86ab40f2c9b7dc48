"""The page's /metrics tell what is, whether or not anybody looks at the page."""

import pytest

from tests.lifeline.small_city import GAS, LEVEL, SmallCity, serving, until


@pytest.fixture
def city(tmp_path):
    held = SmallCity(tmp_path / "data")
    yield held
    held.close()


def test_open_alarms_are_counted_though_nobody_looks_at_the_page(city):
    """Also those beyond what the page lists, and 0 where there is none."""

    def told(http, severity, word):
        found = f'lifeline_alarms_open{{process="serve",severity="{severity}",word="{word}"}} '
        lines = http.get("/metrics").text.splitlines()
        return float(next(line for line in lines if line.startswith(found)).split()[-1])

    with serving(city.data, max_listed=1, ready="/metrics") as http:
        assert told(http, 2, "UNACK") == 0
        city.send(GAS, 1.3)
        until(lambda: told(http, 2, "UNACK") == 1)
        city.send(LEVEL, 0.7)
        city.send(GAS, 1.4)
        until(lambda: told(http, 3, "UNACK") == 1)
        until(lambda: told(http, 2, "UNACK") == 1)
        assert told(http, 4, "ACKED") == 0
