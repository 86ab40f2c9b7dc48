"""Who may say what at mosquitto, out of the registry: an ACL, accounts, a password a device.

A broker tells nobody who published. That a message on ``lifeline/v1/<id>/…`` is of that device
is true only because nobody else may publish there: this file makes it so.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from ingest.codecs import TOPIC_FORMS
from lifeline.errors import Rejected
from lifeline.private_files import write_private
from lifeline.production_mark import TOPIC as MARK

if TYPE_CHECKING:
    from collections.abc import Mapping as Lookup
    from collections.abc import Sequence
    from pathlib import Path

    from ingest.codecs.json_mapping import Mapping
    from rules.registry import Registry

ACL, USERS, PASSWORDS = "acl", "mqtt-users", "gateways"
HEALTH: Final = "health"
ITERATIONS: Final = 101  # as mosquitto_passwd: the passwords are random, and gateways come at once
SALT_BYTES, PASSWORD_BYTES = 12, 24
_FILTER_SIGNS: Final = re.compile(r"[+#\s/\x00-\x1f]")
_HEAD: Final = """\
# Who may do what at the broker: made by `lifeline registry broker-acl` from the registry, not to be
# edited. Mosquitto reads it again on SIGHUP. What is not allowed here is refused without a word.

# Everyone: the mark of a broker that serves a real city. Simulators look for it and keep away.
pattern read {mark}
"""


@dataclass(frozen=True, slots=True)
class Speakers:
    """Who speaks by MQTT: each device's topics, and the devices of our own heartbeat."""

    topics: dict[str, tuple[str, ...]]
    probes: tuple[str, ...]
    shared: tuple[str, ...]  # topics that name no device: their devices can speak for each other


def speakers(registry: Registry, mappings: Sequence[Mapping] = ()) -> Speakers:
    """Return who may publish what; what is retired speaks no more.

    Raises
    ------
    Rejected
        A device's id or a mapping's topic would mean more than itself in an ACL.
    """
    devices, channels = registry.devices, registry.channels
    spoken = [set[str]() for _ in devices.id]
    for row, quantity in enumerate(channels.quantity):
        if channels.alive[row] and channels.device[row] >= 0:
            spoken[int(channels.device[row])].add(quantity)
    topics: dict[str, tuple[str, ...]] = {}
    probes = []
    for row, device in enumerate(devices.id):
        if devices.transport[row] != "mqtt" or not devices.alive[row]:
            continue
        if devices.state[row] == "retired":
            continue
        if _FILTER_SIGNS.search(device):
            said = f"device {device!r}: its id has a sign that means more than itself in topics; "
            raise Rejected(said + "give it another in the registry")
        if spoken[row] == {"heartbeat"}:
            probes.append(device)
        else:
            topics[device] = _topics(device, devices.codec[row], mappings)
    named = [m.topic for m in mappings if "{device}" not in m.topic]
    return Speakers(topics, tuple(probes), tuple(dict.fromkeys(named)))


def acl_text(who: Speakers, *, user: str, filters: Sequence[str]) -> str:
    """Return the ACL; ``user`` is our own account, which reads ``filters``."""
    parts = [_HEAD.format(mark=MARK)]
    reads = dict.fromkeys((*filters, *who.shared))
    ours = [f"topic read {one}" for one in reads] + [f"topic write {MARK}"]
    ours += [f"topic write {topic}" for device in who.probes for topic in _up(device)]
    parts.append("\n".join(["# City Lifeline itself, its heartbeat too.", f"user {user}", *ours]))
    parts.append(f"user {HEALTH}\ntopic read $SYS/broker/uptime")
    for device, topics in sorted(who.topics.items()):
        parts.append("\n".join([f"user {device}", *(f"topic write {one}" for one in topics)]))
    return "\n\n".join(part.rstrip("\n") for part in parts) + "\n"


@dataclass(frozen=True, slots=True)
class Written:
    """What changed on disk: devices that got a password, that lost their account."""

    new: tuple[str, ...]
    gone: tuple[str, ...]
    acl_changed: bool


def write_accounts(folder: Path, who: Speakers, acl: str, own: Lookup[str, str]) -> Written:
    """Write ACL and accounts into ``folder``; ``own`` are the passwords of accounts not devices'.

    A device without a password gets one, in a file of its own. Accounts of devices that the
    registry no longer knows end (their passwords stay, for one that comes back: nobody has to
    go there); others that stand in the list (health, people's) stay.
    """
    passwords = folder / PASSWORDS
    passwords.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = _accounts(folder / USERS)
    new = []
    wanted = dict(own)
    for device in who.topics:
        path = passwords / device
        if not path.exists():
            write_private(path, secrets.token_hex(PASSWORD_BYTES).encode() + b"\n")
            new.append(device)
        wanted[device] = path.read_text(encoding="utf-8").strip()
    known = {p.name for p in passwords.iterdir() if not p.name.startswith(".")}
    gone = tuple(sorted((known & held.keys()) - wanted.keys()))
    for device in gone:
        del held[device]
    for name, password in wanted.items():
        if not matches(held.get(name, ""), password):
            held[name] = hashed(password)
    lines = "".join(f"{name}:{line}\n" for name, line in sorted(held.items()))
    _in_place(folder / USERS, lines)
    return Written(tuple(new), gone, acl_changed=_in_place(folder / ACL, acl))


def stale(folder: Path, who: Speakers, acl: str) -> list[str]:
    """Return what the files of ``folder`` do not say as the registry does; nothing is changed."""
    said = []
    if not (folder / ACL).is_file() or (folder / ACL).read_text(encoding="utf-8") != acl:
        said.append(f"{folder / ACL}: is not what the registry says")
    held = _accounts(folder / USERS)
    said += [f"{device}: has no account" for device in who.topics if device not in held]
    return said


def hashed(password: str, *, salt: bytes | None = None, iterations: int = ITERATIONS) -> str:
    """Return what mosquitto's password file holds of a password: PBKDF2 of SHA-512."""
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    key = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, iterations)
    return f"$7${iterations}${_text(salt)}${_text(key)}"


def matches(line: str, password: str) -> bool:
    """Tell whether a line of the password file is of this password; False for what is none."""
    try:
        _, kind, *parts = line.split("$")
        if kind == "7":
            rounds, salt, _ = parts
            made = hashed(password, salt=base64.b64decode(salt), iterations=int(rounds))
        elif kind == "6":
            salt, _ = parts
            key = hashlib.sha512(password.encode() + base64.b64decode(salt)).digest()
            made = f"$6${salt}${_text(key)}"
        else:
            return False
    except ValueError:
        return False
    return hmac.compare_digest(made.encode(), line.encode())


def _topics(device: str, codec: str, mappings: Sequence[Mapping]) -> tuple[str, ...]:
    form = next(form for form, name in TOPIC_FORMS.items() if name == codec)
    topics = [f"lifeline/v1/{device}/{form}"]
    if codec == "json":
        topics += [m.topic.replace("{device}", device) for m in mappings]
    return tuple(dict.fromkeys(topics))


def _up(device: str) -> tuple[str, ...]:
    return (f"lifeline/v1/{device}/up",)


def _accounts(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name: rest for name, _, rest in pairs}


def _in_place(path: Path, text: str) -> bool:
    """Write where it differs, keeping owner and place: a broker's container sees this very file."""
    if path.is_file():
        if path.read_text(encoding="utf-8") == text:
            return False
        path.write_text(text, encoding="utf-8")
        return True
    write_private(path, text.encode())
    return True


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
