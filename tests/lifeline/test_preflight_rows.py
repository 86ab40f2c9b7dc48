"""A channel keeps its row: the journal's rows mean what the registry of that time said."""

import pytest

from ingest.journal import JournalWriter
from lifeline.errors import Missing
from lifeline.new_site import write_new_site
from lifeline.preflight import read_site
from lifeline.settings.config import load_config
from rules.readings import Control, Tick

FIRST = """
- id: 410100-gas-aa-000001
  type: manhole
  site: 410100-st-000001
  name: New
  name_zh: 新
  at: [113.6, 34.7]
  sensors:
  - id: ch4-01
    device: 410100-gas-gw-000001
    channels:
    - {id: vol, quantity: ch4, unit: "%{vol}", port: 2, key: new,
       range: [0, 5], resolution: 0.01,
       every: 1m, class: safety}
"""


@pytest.fixture
def city(tmp_path):
    """A city whose journal names its registry, to which an asset is then added at the top."""
    write_new_site(tmp_path / "city")
    config = load_config(tmp_path / "city")
    before = read_site(config, config.data)
    before.store(config.data)
    journal = JournalWriter(config.data / "journal")
    journal.append(Tick(1))
    journal.append(Control("registry", {"hash": before.registry_hash}))
    journal.commit()
    journal.close()
    path = config.registry / "city.yaml"
    path.write_text(path.read_text().replace("\nassets:", f"\nassets:{FIRST}", 1))
    return config, before


def test_a_channel_added_to_the_files_moves_no_other(city):
    config, before = city
    after = read_site(config, config.data)
    rows = after.registry.channel_row
    assert len(rows) == len(before.registry.channel_row) + 1
    assert {c: rows[c] for c in before.registry.channel_row} == before.registry.channel_row
    assert rows["410100-gas-aa-000001/ch4-01/vol"] == max(rows.values())


def test_a_registry_the_journal_relies_on_must_not_be_gone(city):
    config, before = city
    (config.data / "registry" / f"{before.registry_hash}.json").unlink()
    with pytest.raises(Missing, match="restore it from a backup"):
        read_site(config, config.data)


def test_without_a_journal_rows_begin_anew(tmp_path):
    write_new_site(tmp_path / "city")
    config = load_config(tmp_path / "city")
    assert sorted(read_site(config, config.data).registry.channel_row.values()) == [0, 1]
