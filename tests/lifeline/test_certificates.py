"""A site's own authority: made by one command, kept, renewed, and nobody else's to read."""

from __future__ import annotations

import json
import stat
import subprocess

import pytest

from lifeline.certificates import ROLES, ends_of
from lifeline.new_site import write_new_site
from tests import certified, servers
from tests.terminal import lifeline


@pytest.fixture
def city(tmp_path):
    write_new_site(tmp_path / "city")
    return tmp_path / "city"


def openssl(*words) -> str:
    ran = subprocess.run(
        [servers.program("openssl"), *words], capture_output=True, text=True, check=False
    )
    return ran.stdout + ran.stderr


def test_one_command_makes_all_and_keys_are_for_their_owner_alone(city):
    ran = lifeline("site", "certificates", city, "--host", "gw.example", "--host", "192.0.2.7")
    assert ran.returncode == 0, ran.stderr
    assert "write the table [tls]" in ran.stdout
    folder = city / "secrets" / "tls"
    assert {p.name for p in folder.iterdir()} == {
        f"{name}.{kind}" for name in ("ca", *ROLES) for kind in ("crt", "key")
    }
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in folder.glob("*.key")}
    assert set(modes.values()) == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert "PRIVATE" not in ran.stdout + ran.stderr


@pytest.mark.real
def test_another_program_verifies_them_strictly_for_each_name(city):
    lifeline("site", "certificates", city, "--host", "gw.example", "--host", "192.0.2.7")
    folder = city / "secrets" / "tls"
    words = ["verify", "-x509_strict", "-purpose", "sslserver", "-CAfile", folder / "ca.crt"]
    for role in ROLES:
        for name in ("gw.example", "localhost"):
            said = openssl(*words, "-verify_hostname", name, folder / f"{role}.crt")
            assert said.strip().endswith("OK"), said
        assert "OK" in openssl(*words, "-verify_ip", "192.0.2.7", folder / f"{role}.crt")
        said = openssl(*words, "-verify_hostname", "other.example", folder / f"{role}.crt")
        assert "OK" not in said.split(":")[-1]


def test_the_hosts_of_the_configuration_are_among_its_names(city):
    text = (city / "city.toml").read_text()
    (city / "city.toml").write_text(text.replace("127.0.0.1", "broker.example", 1))
    lifeline("site", "certificates", city)
    shown = openssl(
        "x509", "-in", city / "secrets/tls/mqtt.crt", "-noout", "-ext", "subjectAltName"
    )
    assert "DNS:broker.example" in shown


def test_a_second_run_keeps_all_and_says_which_name_is_lacking(city, tmp_path):
    lifeline("site", "certificates", city)
    folder = city / "secrets" / "tls"
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    told = tmp_path / "told.json"
    ran = lifeline("site", "certificates", city, "--host", "late.example", "--json", told)
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert ran.stdout.count("is not for late.example: --renew") == len(ROLES)
    assert {row["done"] for row in json.loads(told.read_text())} == {"kept"}


def test_renewing_needs_the_authority_s_key_and_keeps_the_authority(city):
    lifeline("site", "certificates", city)
    folder = city / "secrets" / "tls"
    authority, page = (folder / "ca.crt").read_bytes(), (folder / "page.crt").read_bytes()
    (folder / "ca.key").rename(folder.parent / "ca.key")
    ran = lifeline("site", "certificates", city, "--renew")
    assert ran.returncode == 2
    assert "put the authority's key back" in ran.stderr
    assert (folder / "page.crt").read_bytes() == page
    (folder.parent / "ca.key").rename(folder / "ca.key")
    assert lifeline("site", "certificates", city, "--renew").returncode == 0
    assert (folder / "ca.crt").read_bytes() == authority
    assert (folder / "page.crt").read_bytes() != page


@pytest.mark.parametrize("host", ["https://gw.example", "a b", "gw.example:8883", ""])
def test_a_host_that_is_none_is_refused_before_anything_is_made(city, host):
    ran = lifeline("site", "certificates", city, f"--host={host}")
    assert ran.returncode == 2
    assert "neither a name nor an address" in ran.stderr
    assert not (city / "secrets" / "tls").exists()


def test_a_file_that_is_no_certificate_is_told_with_the_remedy(city):
    folder = city / "secrets" / "tls"
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("nothing")
    ran = lifeline("site", "certificates", city)
    assert ran.returncode == 2
    assert "is no certificate in PEM; move it away" in ran.stderr


def test_what_ends_soon_is_said(tmp_path):
    held = certified.ended(tmp_path / "tls")
    (again,) = {m.note for m in certified.make_certificates(held.folder, []) if m.path.stem != "ca"}
    assert again == "ends soon: --renew makes it anew"
    assert ends_of(held.of("page")[0]) < ends_of(held.authority)
