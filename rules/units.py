"""UCUM unit expressions as exact numbers: ``kPa/min`` → (Fraction, dimension).

Written here because the libraries do not fit: ucumvert with pint takes 1.8 s to start, computes
in binary floats (``L/s`` is off in the last digit), and refuses ``[pH]``, ``{NTU}`` and
``Cel/min``. The tests compare this table with them where they have an answer.

The grammar is UCUM's (case-sensitive): prefixes, ``.`` and ``/``, exponents, parentheses,
annotations. Annotations mean nothing in UCUM; three of them do here, because ``%{LEL}``,
``%{vol}`` and ``%{RH}`` must never be taken for one another.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final

Dimension = tuple[tuple[str, int], ...]  # (base, exponent), sorted; () is a pure number

MEANT_ANNOTATIONS: Final = ("LEL", "vol", "RH")
KELVIN_AT_0_CEL: Final = Fraction("273.15")

_PREFIX: Final = {
    "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1,
    "d": -1, "c": -2, "m": -3, "u": -6, "n": -9, "p": -12,
}  # fmt: skip

# atom: (factor, dimension, takes prefixes); a factor may name other units
_ATOM: Final[dict[str, tuple[str, str, bool]]] = {
    "m": ("1", "m", True), "g": ("1e-3", "kg", True), "s": ("1", "s", True),
    "A": ("1", "A", True), "K": ("1", "K", True), "mol": ("1", "mol", True),
    "Cel": ("1", "K", True), "[degF]": ("5/9", "K", False),
    "rad": ("1", "rad", True), "deg": ("0.017453292519943295769236907684886", "rad", False),
    "L": ("1e-3", "m3", True), "l": ("1e-3", "m3", True), "t": ("1000", "kg", True),
    "min": ("60", "s", False), "h": ("3600", "s", False), "d": ("86400", "s", False),
    "wk": ("604800", "s", False), "a": ("31557600", "s", False),
    "Hz": ("1", "s-1", True), "N": ("1", "kg.m.s-2", True), "Pa": ("1", "kg.m-1.s-2", True),
    "bar": ("1e5", "kg.m-1.s-2", True), "atm": ("101325", "kg.m-1.s-2", False),
    "m[H2O]": ("9806.65", "kg.m-1.s-2", True), "m[Hg]": ("133322", "kg.m-1.s-2", True),
    "[psi]": ("6894.757293168361336722673445346890693781387562775125550251", "kg.m-1.s-2", False),
    "J": ("1", "kg.m2.s-2", True), "W": ("1", "kg.m2.s-3", True),
    "V": ("1", "kg.m2.s-3.A-1", True), "S": ("1", "kg-1.m-2.s3.A2", True),
    "Ohm": ("1", "kg.m2.s-3.A-2", True), "Sv": ("1", "m2.s-2", True),
    "[g]": ("9.80665", "m.s-2", True), "[in_i]": ("0.0254", "m", False),
    "[ft_i]": ("0.3048", "m", False), "[mi_i]": ("1609.344", "m", False),
    "[kn_i]": ("1852/3600", "m.s-1", False), "[lb_av]": ("0.45359237", "kg", False),
    "%": ("1e-2", "", False), "[ppth]": ("1e-3", "", False), "[ppm]": ("1e-6", "", False),
    "[ppb]": ("1e-9", "", False), "10*": ("10", "", False), "10^": ("10", "", False),
    "[pH]": ("1", "pH", False), "dB": ("1", "dB", False), "dBm": ("1", "dBm", False),
}  # fmt: skip

# how people write them; the left side is no UCUM code, or another spelling of one
_SPELLINGS: Final = {
    "%LEL": "%{LEL}", "%lel": "%{LEL}", "%{lel}": "%{LEL}", "LEL%": "%{LEL}",
    "%vol": "%{vol}", "%VOL": "%{vol}", "%{VOL}": "%{vol}", "vol%": "%{vol}",
    "%RH": "%{RH}", "%rh": "%{RH}", "%{rh}": "%{RH}",
    "ppm": "[ppm]", "ppb": "[ppb]", "NTU": "{NTU}", "pH": "[pH]", "psi": "[psi]",
    "dB(A)": "dB{A}", "dBA": "dB{A}",
    "°C": "Cel", "℃": "Cel", "degC": "Cel", "°": "deg", "kWh": "kW.h", "Wh": "W.h", "h-1": "/h",
}  # fmt: skip

_TOKEN: Final = re.compile(r"\{[^{}]*\}|[./()]|\[[^\[\]]*\]|[^./(){}\[\]]+")
_COMPONENT: Final = re.compile(r"^(?P<symbol>.*?)(?P<exponent>[+-]?\d+)?$")


class UnknownUnit(ValueError):  # noqa: N818 - reads as what it says
    """The text is no unit known here, or not one of this quantity."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A parsed unit: ``value_in_base = value * scale + offset``. ``tag``: LEL, vol or RH."""

    scale: Fraction
    dimension: Dimension
    offset: Fraction = Fraction(0)
    tag: str = ""


def ucum(text: str) -> str:
    """Return the UCUM code for a unit as people write it (``%LEL`` → ``%{LEL}``)."""
    plain = text.strip().replace("µ", "u").replace("μ", "u")
    plain = plain.replace("²", "2").replace("³", "3").replace("·", ".")
    if plain in _SPELLINGS:
        return _SPELLINGS[plain]
    head, slash, tail = plain.partition("/")
    return _SPELLINGS.get(head, head) + slash + tail


@lru_cache(maxsize=4096)
def parse(text: str) -> Unit:
    """Return the unit ``text`` names.

    Raises
    ------
    UnknownUnit
        It is not a UCUM expression over the atoms of this table.
    """
    code = ucum(text)
    if len(code) > 64 or not code:
        raise UnknownUnit(f"unit {text[:64]!r} is not a unit")
    tokens = _TOKEN.findall(code)
    if "".join(tokens) != code:
        raise UnknownUnit(f"unit {text!r}: unbalanced bracket")
    tag = next((t[1:-1] for t in tokens if t[1:-1] in MEANT_ANNOTATIONS and t[0] == "{"), "")
    if code in ("Cel", "[degF]"):
        return _absolute_temperature(code)
    scale, powers, rest = _term(tokens, text)
    if rest:
        raise UnknownUnit(f"unit {text!r}: unexpected {rest[0]!r}")
    return Unit(scale, tuple(sorted((b, e) for b, e in powers.items() if e)), tag=tag)


def _absolute_temperature(code: str) -> Unit:
    scale, dimension, _ = _ATOM[code]
    zero = KELVIN_AT_0_CEL - (Fraction(32) * Fraction(5, 9) if code == "[degF]" else 0)
    return Unit(Fraction(scale), ((dimension, 1),), zero)


Term = tuple[Fraction, dict[str, int], list[str]]


def _term(tokens: list[str], text: str) -> Term:
    scale, sign = Fraction(1), 1
    powers: dict[str, int] = {}
    if tokens and tokens[0] == "/":
        tokens, sign = tokens[1:], -1
    while True:
        factor, inner, tokens = _component(tokens, text)
        scale *= factor**sign
        for b, e in inner.items():
            powers[b] = powers.get(b, 0) + sign * e
        if not tokens or tokens[0] not in ("/", "."):
            return scale, powers, tokens
        sign = -1 if tokens[0] == "/" else 1
        tokens = tokens[1:]


def _component(tokens: list[str], text: str) -> Term:
    if not tokens:
        raise UnknownUnit(f"unit {text!r} ends too early")
    head, rest = tokens[0], tokens[1:]
    if head == "(":
        factor, powers, rest = _term(rest, text)
        if not rest or rest[0] != ")":
            raise UnknownUnit(f"unit {text!r}: missing ')'")
        return factor, powers, rest[1:]
    if head.startswith("{"):
        # turbidity units have no UCUM atom, but must not pass for a plain number
        return Fraction(1), ({"NTU": 1} if head == "{NTU}" else {}), rest
    symbol = head
    while rest and rest[0] not in (".", "/", "(", ")") and not rest[0].startswith("{"):
        symbol, rest = symbol + rest[0], rest[1:]  # m[H2O], [in_i], 10*-6 come in pieces
    if rest and rest[0].startswith("{"):
        rest = rest[1:]
    factor, powers = _symbol(symbol, text)
    return factor, powers, rest


def _symbol(symbol: str, text: str) -> tuple[Fraction, dict[str, int]]:
    if symbol.isascii() and symbol.isdigit() and len(symbol) <= 9 and int(symbol):
        return Fraction(int(symbol)), {}
    found = _COMPONENT.match(symbol)
    name = found["symbol"] if found else symbol
    exponent = int(found["exponent"]) if found and found["exponent"] else 1
    if abs(exponent) > 12:
        raise UnknownUnit(f"unit {text!r}: exponent {exponent} is out of range")
    if name in _ATOM:
        ten, atom = 0, _ATOM[name]
    else:
        for prefix, ten in _PREFIX.items():  # noqa: B007 - ten is used after the loop
            if name.startswith(prefix) and _ATOM.get(name[len(prefix) :], ("", "", False))[2]:
                atom = _ATOM[name[len(prefix) :]]
                break
        else:
            raise UnknownUnit(f"unit {text!r}: {symbol!r} is not a known UCUM unit")
    base = Fraction(10) ** ten * _number(atom[0])
    return base**exponent, {b: e * exponent for b, e in _dimension(atom[1]).items()}


@lru_cache
def _number(text: str) -> Fraction:
    top, _, bottom = text.partition("/")
    return Fraction(top) / Fraction(bottom or "1")


def _dimension(text: str) -> dict[str, int]:
    powers = {}
    for part in filter(None, text.split(".")):
        found = _COMPONENT.match(part)
        assert found  # noqa: S101 - our own table
        powers[found["symbol"]] = int(found["exponent"] or 1)
    return powers


def known_codes() -> tuple[str, ...]:
    """Return the atoms and usual spellings, for 'did you mean'."""
    common = ("kPa", "MPa", "mm", "cm", "mg/m3", "m3/h", "um/m")
    return tuple(dict.fromkeys((*common, *_ATOM, *_SPELLINGS.values())))
