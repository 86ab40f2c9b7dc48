"""Registry and rules change by one record of the journal, or not at all."""

from dataclasses import replace

from rules.readings import Control, texts_named
from tests.intake_run import records, running
from tests.intake_site import site


def test_registry_and_rules_change_in_one_record_and_only_from_what_its_author_saw(tmp_path):
    asked = []

    def load(hashes):
        asked.append(dict(hashes))
        return {"new": replace(site(), content_hash="new")}[hashes["registry"]]

    seen = {"registry": site().content_hash, "rules": "rules-1"}
    both = {"registry": "new", "rules": "rules-2"}
    with running(tmp_path, load_site=load) as service:
        taken = service.control(type="site", data=both | {"instead_of": seen})
        stale = service.control(type="site", data=both | {"rules": "3", "instead_of": seen})
    assert asked == [both], "new rules were never tried on the old registry"
    assert "in force is" in stale["error"]
    told = [r for r in records(tmp_path / "journal") if isinstance(r.body, Control)]
    assert [texts_named(r.body) for r in told] == [seen, both]
    assert told[-1].offset == taken["offset"]


def test_a_registry_that_gives_a_row_another_meaning_is_refused(tmp_path):
    mine = site()
    turned = replace(mine.channels, id=(*mine.channels.id[1:], mine.channels.id[0]))
    other = replace(mine, channels=turned, content_hash="turned")
    with running(tmp_path, load_site=lambda _: other) as service:
        told = service.control(type="site", data={"registry": "turned", "rules": "rules-1"})
    assert f"{mine.channels.id[0]} has another row" in told["error"]
    types = [r.body.type for r in records(tmp_path / "journal") if isinstance(r.body, Control)]
    assert types == ["site"]
