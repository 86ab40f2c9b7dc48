"""A city is copied while it runs; another machine goes on from the copy with the same alarms."""

from __future__ import annotations

import json
import random
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner

from ingest.journal import Cursor, JournalReader, JournalWriter, durable_end
from lifeline.backup.restore import restore, verify
from lifeline.backup.shelf import Shelf
from lifeline.backup.take import back_up
from lifeline.cli.app import app
from lifeline.data_folder import DataFolder
from lifeline.engine_process import SiteTexts, empty_site
from lifeline.errors import BackupDamaged, Missing, NewerFolder, Occupied
from lifeline.ledger import Ledger
from lifeline.photos import PhotoLimits, Photos
from lifeline.torture.journaled import event_lines, read_journal, said, seen
from lifeline.torture.processes import City, until
from lifeline.torture.senders import Gateway, Signal
from lifeline.torture.site import GATEWAYS, Ports, write_site
from rules.alarms import Ack
from rules.engine import Engine
from rules.events import encode
from rules.readings import Tick
from tests import servers
from tests.heard import is_subscribed, started
from tests.lifeline.test_photos import written

if TYPE_CHECKING:
    from pathlib import Path

    from rules.alarms import Alarm

LEVEL = {GATEWAYS[0]: 3.0, GATEWAYS[1]: 1.1}  # %vol: red by two rules, yellow by one


class Never(random.Random):
    def random(self) -> float:
        return 0.9


class Steady(Signal):
    """A device whose values stay where they are, so that open alarms are the same at any moment."""

    def __init__(self, device: str) -> None:
        super().__init__(device, 1)
        self._random = Never()
        self._level = dict.fromkeys(self._level, LEVEL[device])


def gas(data: Path) -> list[tuple[str, str, int, str, str]]:
    """The open alarms about gas, as an operator knows them."""
    ledger = Ledger(f"sqlite:///{data / 'ledger.sqlite'}")
    alarms: list[Alarm] = ledger.open_alarms()
    ledger.close()
    return sorted(
        (a.alarm_id, a.subject, a.severity, a.ack.value, a.acked_by)
        for a in alarms
        if a.rule.startswith("ch4")
    )


def small(site: Path, broker_port: int) -> None:
    """Write a site without InfluxDB and webhook."""
    ports = Ports(
        broker_port,
        servers.free_port(socket.SOCK_DGRAM),
        servers.free_port(),
        "http://x",
        "http://x",
    )
    write_site(site, ports)
    text = (site / "city.toml").read_text()
    (site / "city.toml").write_text(text[: text.index("[influx]")])


def city_of(site: Path) -> City:
    city = City(site, site / "data")
    del city.processes["store"]
    return started(city)


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory):
    """Two backups during traffic; the newer one restored and started elsewhere, without traffic."""
    folder = tmp_path_factory.mktemp("backup")
    old, new, shelf = folder / "old", folder / "new", folder / "shelf"
    with servers.mosquitto() as broker:
        small(old, broker.port)
        with city_of(old) as city:
            until(lambda: is_subscribed(old / "data", broker.port), "ingest is subscribed")
            gateways = [Gateway(d, broker.port, seed=1, every_s=0.03) for d in GATEWAYS]
            for gateway in gateways:
                gateway._signal = Steady(gateway.name)
                gateway.start()
            until(lambda: len(gas(old / "data")) == 5, "five alarms are open")
            ledger = Ledger(f"sqlite:///{old / 'data' / 'ledger.sqlite'}")
            red = next(a for a in ledger.open_alarms() if a.rule == "ch4-loud")
            ledger.acknowledge(red.alarm_id, "Li", "", None, "c-1")
            ledger.close()
            until(
                lambda: (
                    Cursor.load(old / "data/cursors/archive").offset > 0
                    and all(len(g.kept) > 20 for g in gateways)
                ),
                "archived",
                timeout_s=90,
            )
            first = back_up(old / "data", shelf, site=old)
            so_far = sum(len(g.kept) for g in gateways)
            until(lambda: sum(len(g.kept) for g in gateways) > so_far, "something new to copy")
            kept = {g.name: g.kept for g in gateways}
            second = back_up(old / "data", shelf, site=old)
            assert all(g.is_alive() for g in gateways), "traffic went on"
            open_then = gas(old / "data")
            for gateway in gateways:
                gateway.finish()
        done = restore(shelf, new)
        with city_of(new) as city:
            until(
                lambda: Cursor.load(new / "data/cursors/engine").offset > second.journal_end,
                "the restored engine has gone on",
            )
            ledger = Ledger(f"sqlite:///{new / 'data' / 'ledger.sqlite'}")
            until(lambda: ledger.cursor().through > second.journal_end, "so has its ledger")
            ledger.close()
            for name in ("ingest", "engine", "serve", "archive"):
                assert city.processes[name].stop() == 0, city.processes[name].tail()
    return old, new, shelf, (first, second), kept, open_then, done


def test_the_restored_city_has_the_same_open_alarms_and_acknowledgements(moved):
    _, new, _, _, _, open_then, done = moved
    assert len(open_then) == 5
    assert [row for row in open_then if row[3] == Ack.ACKED.value and row[4] == "Li"]
    assert gas(new / "data") == open_then
    assert {a.alarm_id for a in done.open_alarms} >= {row[0] for row in open_then}


def test_every_reading_acknowledged_before_the_backup_is_in_the_restored_journal(moved):
    _, new, _, _, kept, _, _ = moved
    assert all(len(messages) > 20 for messages in kept.values())
    assert said([m for messages in kept.values() for m in messages]) <= seen(new / "data")


def test_the_restored_event_log_is_a_fresh_fold_of_the_restored_journal(moved):
    data = moved[1] / "data"
    engine = Engine(*empty_site(), resolve=SiteTexts(data).resolve)
    assert event_lines(data) == [encode(e) for e in engine.fold(read_journal(data))]


def test_a_second_backup_copies_only_what_is_new(moved):
    _, _, shelf, (first, second), *_ = moved
    assert second.journal_end > first.journal_end
    assert Shelf(shelf).names() == [first.made, second.made]
    same = {i.path for i in first.items} & {i.path for i in second.items}
    assert any(path.endswith(".parquet") for path in same)
    assert second.copied_bytes < first.copied_bytes
    assert verify(shelf, at=first.made) == first


# ------------------------------------------------------------------ a folder without a program


@pytest.fixture
def still(tmp_path: Path) -> Path:
    """A stopped data folder with a journal of three segments."""
    data = tmp_path / "city" / "data"
    with DataFolder(data):
        pass
    with JournalWriter(data / "journal", segment_bytes=1) as journal:
        for k in range(3):
            journal.append(Tick(k))
            journal.commit()
    return data


def test_a_damaged_file_is_refused_by_name_and_nothing_is_left(still: Path, tmp_path: Path):
    made = back_up(still, tmp_path / "shelf")
    item = next(i for i in made.items if i.path.endswith("1.seg"))
    path = Shelf(tmp_path / "shelf").object(item.sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(BackupDamaged, match=rf"{item.sha256}.*hash differs.*{item.path}"):
        restore(tmp_path / "shelf", tmp_path / "new")
    path.unlink()
    with pytest.raises(BackupDamaged, match=rf"is missing; it stands for {item.path}"):
        verify(tmp_path / "shelf")
    assert not list(tmp_path.glob("*new*"))


def test_photos_from_the_field_come_along(still: Path, tmp_path: Path):
    photos = Photos(still / "photos", PhotoLimits())
    kept = photos.take(written())
    back_up(still, tmp_path / "shelf")
    restore(tmp_path / "shelf", tmp_path / "new")
    (found,) = (tmp_path / "new").glob("**/photos/*.jpg")
    assert found.read_bytes() == photos.path(kept.digest).read_bytes()


def test_a_damaged_manifest_is_refused_and_the_older_generation_named(still: Path, tmp_path: Path):
    first = back_up(still, tmp_path / "shelf")
    second = back_up(still, tmp_path / "shelf")
    path = tmp_path / "shelf" / "generations" / f"{second.made}.json"
    path.write_text(path.read_text().replace('"journal_end": 3', '"journal_end": 2'))
    with pytest.raises(BackupDamaged, match=rf"checksum differs.*--at {first.made}"):
        restore(tmp_path / "shelf", tmp_path / "new")
    assert restore(tmp_path / "shelf", tmp_path / "new", at=first.made).journal_end == 3


def test_a_damaged_older_generation_does_not_stop_the_next_backup(still: Path, tmp_path: Path):
    shelf = tmp_path / "shelf"
    first = back_up(still, shelf)
    (shelf / "generations" / f"{first.made}.json").write_text("{")
    with capture_logs() as logs:
        second = back_up(still, shelf, keep=2)
    assert [line["log_level"] for line in logs] == ["error", "error"]
    assert verify(shelf, at=second.made) == second
    assert Shelf(shelf).names() == [first.made, second.made]


def test_a_backup_that_was_cut_off_leaves_the_older_one_whole(still: Path, tmp_path, monkeypatch):
    first = back_up(still, tmp_path / "shelf")
    with JournalWriter(still / "journal", segment_bytes=1) as journal:
        journal.append(Tick(9))
        journal.commit()

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device", "generations")

    with monkeypatch.context() as patched:
        patched.setattr(Shelf, "add", fail)
        with pytest.raises(Missing, match=r"No space left.*run the backup again"):
            back_up(still, tmp_path / "shelf")
    assert verify(tmp_path / "shelf") == first
    again = back_up(still, tmp_path / "shelf")
    assert again.journal_end == 4
    assert again.copied_bytes == 0, "what the other run had copied is not copied again"


def test_only_the_newest_generations_are_kept_and_what_they_need(still: Path, tmp_path: Path):
    shelf = tmp_path / "shelf"
    for k in range(4):
        (still / "cursors" / "x").write_text(str(k))
        back_up(still, shelf, keep=2)
    assert len(Shelf(shelf).names()) == 2
    for name in Shelf(shelf).names():
        verify(shelf, at=name)
    loose = {p.read_bytes() for p in shelf.glob("objects/??/*") if p.stat().st_size == 1}
    assert loose == {b"2", b"3"}


def test_the_last_segment_goes_up_to_the_durable_end_only(still: Path, tmp_path: Path):
    with JournalWriter(still / "journal") as journal:
        end = journal.durable_offset
        with next(iter(sorted((still / "journal").glob("*.seg"), reverse=True))).open("ab") as f:
            f.write(b"half a group that is being written")
        made = back_up(still, tmp_path / "shelf")
    restore(tmp_path / "shelf", tmp_path / "new")
    copy = tmp_path / "new" / "data" / "journal"
    assert made.journal_end == durable_end(copy) == end == 3
    with JournalReader(copy) as reader:
        assert len(reader.read(until=3)) == 3
        assert not reader.damage
    assert not any(b"half a group" in p.read_bytes() for p in copy.glob("*.seg"))


def test_a_journal_that_retention_cut_below_the_snapshot_is_no_backup(still: Path, tmp_path: Path):
    (still / "snapshots" / f"{1:020}.snap").write_bytes(b"s")
    for k in (0, 1):
        (still / "journal" / f"{k:020}.seg").unlink()
    with pytest.raises(Missing, match="begins at 2, the copied snapshot needs 1"):
        back_up(still, tmp_path / "shelf")


@pytest.mark.parametrize(
    ("where", "url", "said"),
    [
        ("city/data/shelf", "", "belongs onto another disk"),
        ("shelf", "postgresql+psycopg://h/d", "pg_dump --format=custom"),
    ],
)
def test_what_cannot_be_a_backup_is_refused_with_the_remedy(still, tmp_path, where, url, said):
    with pytest.raises(Missing, match=said):
        back_up(still, tmp_path / where, ledger_url=url)


def test_two_backups_do_not_write_to_one_folder_at_once(still: Path, tmp_path: Path):
    with Shelf(tmp_path / "shelf"), pytest.raises(Occupied, match="another backup"):
        back_up(still, tmp_path / "shelf")


def test_a_full_folder_is_not_restored_over_and_a_newer_backup_is_refused(
    still, tmp_path, monkeypatch
):
    back_up(still, tmp_path / "shelf")
    with pytest.raises(Missing, match="not empty"):
        restore(tmp_path / "shelf", still)
    (still / "VERSION").write_text("2\n")
    monkeypatch.setattr("lifeline.backup.restore.VERSION", 1)
    with pytest.raises(NewerFolder, match="of version 2, this program knows 1"):
        restore(tmp_path / "shelf", tmp_path / "new")


def test_the_commands_tell_what_was_done_in_both_languages(still: Path, tmp_path: Path):
    run = CliRunner()
    figures = tmp_path / "f.json"
    shelf, new = str(tmp_path / "shelf"), str(tmp_path / "new")
    done = run.invoke(app, ["backup", shelf, "--site", str(still.parent), "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert "备份完成" in done.output
    assert json.loads(figures.read_text())["journal_end"] == 3
    done = run.invoke(app, ["restore", shelf, "--to", new, "--json", str(figures)])
    assert done.exit_code == 0, done.output
    assert "已恢复" in done.output
    assert json.loads(figures.read_text())["open_alarms"] == []
    with DataFolder(tmp_path / "new" / "data"):
        pass
    shutil.rmtree(new)
    assert run.invoke(app, ["restore", shelf, "--check"]).exit_code == 0
    assert run.invoke(app, ["restore", shelf]).exit_code == 2
