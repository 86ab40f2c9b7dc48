"""Public data sets as sources of a replay: each table of one becomes a CSV with its mapping.

The data are never part of the project; a folder holds them as their publishers pack them (one
folder a set, named as in ``SETS``). What has no time of its own (gas batches, change points) gets
one sample a minute or a day from 2020 on. A column the project has no quantity for is ``shape``,
a number without unit, of class info.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from rules.problems import Invalid, Problem
from simulators import dataset_rules
from simulators.dataset_labels import batadal_attacks, flagged, nab_windows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from simulators.dataset_labels import Span

Column = dict[str, Any]
NUMBER: Final[Column] = {"quantity": "shape", "class": "info"}
START: Final = datetime(2020, 1, 1, tzinfo=UTC)
STRAIN: Final[Column] = {"quantity": "strain", "unit": "um/m", "range": [-2000, 2000]}
TEMPERATURE: Final[Column] = {"quantity": "temperature", "unit": "Cel", "range": [-40, 200]}
PRESSURE: Final[Column] = {"quantity": "pressure", "unit": "m[H2O]", "range": [0, 160]}

HEAT_COLUMNS: Final[dict[str, Column]] = dict.fromkeys(
    ("t_amb", "t_ref", "t_sup_prim", "t_ret_prim", "t_sup_sec", "t_ret_sec"), TEMPERATURE
) | {"e": {"quantity": "energy", "unit": "MW.h"}, "pe": {"quantity": "power", "unit": "kW"}}


class Absent(Exception):  # noqa: N818 - reads as what it says
    """A data set cannot be read here; the text says what it lacks."""


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a set: a mapping of its columns, and its lines as CSV text with a header."""

    name: str
    domain: str
    asset_type: str
    every: str
    time: dict[str, str]
    columns: dict[str, Column]
    text: Callable[[], str] = field(repr=False)
    separator: str = ","
    spans: Callable[[], list[Span]] = field(default=list, repr=False)  # labelled as wrong

    def write(self, folder: Path) -> Path:
        """Write CSV and mapping; return the mapping's path."""
        stem = self.name.lower().replace("/", "-").replace("_", "-").replace(" ", "-")[:40]
        (folder / f"{stem}.csv").write_text(self.text(), encoding="utf-8")
        mapping = {
            "version": 1,
            "name": stem,
            "title": self.name,
            "file": f"{stem}.csv",
            "separator": self.separator,
            "time": self.time,
            "every": self.every,
            "domain": self.domain,
            "asset_type": self.asset_type,
            "columns": self.columns,
        }
        path = folder / f"{stem}.yaml"
        path.write_text(yaml.safe_dump(mapping, allow_unicode=True), encoding="utf-8")
        return path


def rules_of(name: str) -> Path:
    """Return the rule file ``usual`` or ``settlement`` that fits data sets, not sites."""
    return Path(next(iter(dataset_rules.__path__))) / f"{name}.yaml"


def tables(folder: Path, name: str) -> list[Table]:
    """Return the tables of one set below ``folder``.

    Raises
    ------
    Absent
        The set is not there, or cannot be read without what the text names.
    Invalid
        No set has such a name.
    """
    if name not in SETS:
        said = f"unknown data set; known are {', '.join(SETS)}"
        raise Invalid([Problem(name, 0, 0, "", said)])
    if not (folder / name).is_dir():
        raise Absent(f"{folder / name} is not there")
    held = list(SETS[name](folder / name))
    if not held:
        raise Absent(f"{folder / name} holds no file of this set")
    return held


def _flagged(
    text: Callable[[], str], columns: list[str], when: dict[str, str], separator: str = ","
) -> list[Span]:
    return flagged(text(), columns, (when["column"], when["format"]), separator)


def _file(path: Path) -> Callable[[], str]:
    return lambda: path.read_text(encoding="utf-8-sig")


def _skab(folder: Path) -> Iterator[Table]:
    columns = {
        "Pressure": {"quantity": "pressure", "unit": "bar", "range": [-1, 10]},
        "Temperature": TEMPERATURE,
        "Thermocouple": TEMPERATURE,
        "Volume Flow RateRMS": {"quantity": "flow", "unit": "L/min", "range": [0, 200]},
        "Accelerometer1RMS": {"quantity": "accel", "unit": "m/s2"},
        "Accelerometer2RMS": {"quantity": "accel", "unit": "m/s2"},
        "Current": NUMBER,
        "Voltage": NUMBER,
    }
    when = {"column": "datetime", "format": "%Y-%m-%d %H:%M:%S", "zone": "UTC"}
    for path in sorted(folder.rglob("*.csv")):
        name = f"skab/{path.parent.name}/{path.stem}"
        file = _file(path)
        spans = partial(_flagged, file, ["anomaly"], when, ";")
        yield Table(name, "water", "rig", "1s", when, columns, file, ";", spans)


def _nab(folder: Path) -> Iterator[Table]:
    when = {"column": "timestamp", "format": "%Y-%m-%d %H:%M:%S", "zone": "UTC"}
    for path in sorted(folder.glob("data/*/*.csv")):
        fahrenheit = "temperature" in path.stem
        value = {"quantity": "temperature", "unit": "[degF]"} if fahrenheit else NUMBER
        every = _usual(path, when["column"])
        labels = folder / "labels" / "combined_windows.json"
        spans = partial(nab_windows, labels, f"{path.parent.name}/{path.name}")
        name, file = f"nab/{path.stem}", _file(path)
        yield Table(name, "env", "series", every, when, {"value": value}, file, spans=spans)


def _usual(path: Path, column: str) -> str:
    """Return how far apart lines mostly are: the median, in whole seconds."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        held = sorted(datetime.fromisoformat(line[column]) for line in csv.DictReader(lines))
    apart = sorted((b - a).total_seconds() for a, b in pairwise(held))
    return f"{max(1, round(apart[len(apart) // 2]))}s"


def _batadal(folder: Path) -> Iterator[Table]:
    when = {"column": "DATETIME", "format": "%d/%m/%y %H", "zone": "UTC"}
    for path in sorted(folder.glob("dataset*.csv")):
        with path.open(encoding="utf-8-sig", newline="") as lines:
            titles = [title.strip() for title in next(csv.reader(lines))]
        columns: dict[str, Column] = {}
        for title in titles:
            if title.startswith("L_"):
                columns[title] = {"quantity": "level", "unit": "m", "range": [0, 10]}
            elif title.startswith("F_"):
                columns[title] = {"quantity": "flow", "unit": "L/s", "range": [0, 400]}
            elif title.startswith("P_"):
                columns[title] = PRESSURE
        spans = partial(batadal_attacks, folder / "attacks.csv", path.stem)
        name, file = f"batadal/{path.stem}", _file(path)
        yield Table(name, "water", "network", "1h", when, columns, file, spans=spans)


def _lro(folder: Path) -> Iterator[Table]:
    when = {"column": "datetime", "format": "%Y-%m-%d %H:%M", "zone": "UTC"}
    lost = {"fault_codes": [-9999]}
    columns = {
        "temp": TEMPERATURE | lost,
        "cond": {"quantity": "conductivity", "unit": "uS/cm", "range": [0, 2000]} | lost,
        "ph": {"quantity": "ph", "range": [0, 14]} | lost,
        "turb": {"quantity": "turbidity", "unit": "{NTU}", "range": [0, 4000]} | lost,
        "stage": {"quantity": "level", "unit": "cm", "range": [0, 500]} | lost,
        "do": NUMBER | lost,
    }
    for path in sorted(folder.glob("*2019.csv")):
        name, file = f"lro/{path.stem}", _file(path)
        spans = partial(_flagged, file, [f"{title}_qual" for title in columns], when)
        yield Table(name, "env", "river", "15m", when, columns, file, spans=spans)


def _oddwater(folder: Path) -> Iterator[Table]:
    try:
        pyreadr: Any = import_module("pyreadr")  # only this set needs it
    except ImportError as error:
        raise Absent("needs pyreadr to read R's files: pip install pyreadr") from error
    frame = next(iter(pyreadr.read_r(str(folder / "data_pioneer_anom.rda")).values()))
    columns: dict[str, Column] = {}
    for title in frame.columns:
        if title == "Level":
            columns[title] = {"quantity": "level", "unit": "m", "range": [-1, 20]}
        elif title == "Cond":
            columns[title] = {"quantity": "conductivity", "unit": "uS/cm", "range": [0, 5000]}
        elif title == "Tur":
            columns[title] = {"quantity": "turbidity", "unit": "{NTU}", "range": [0, 4000]}
    when = {"column": "Timestamp", "format": "%d/%m/%Y %H:%M", "zone": "UTC"}
    name = "oddwater/pioneer"
    file = _kept(str(frame.to_csv(index=False)))
    spans = partial(_flagged, file, [f"label_{title}" for title in columns], when)
    yield Table(name, "env", "river", "1h", when, columns, file, spans=spans)


def _munich(folder: Path) -> Iterator[Table]:
    """Yield strain at 100 Hz: the reference state and the support settlement, and the forces."""
    for path in sorted(folder.rglob("*100Hz.csv.zip")):
        with zipfile.ZipFile(path) as archive:
            raw = archive.read(archive.namelist()[0]).decode("utf-8", errors="replace")
        titles = [title.strip() for title in raw[: raw.index("\n")].split(",")]
        columns = {}
        for title in titles[1:]:
            force, strain = title.startswith("FRC"), title.startswith("DMS")
            tilt = {"quantity": "tilt", "unit": "deg", "range": [-10, 10]}
            kilonewton = {"quantity": "cable_force", "unit": "kN", "range": [0, 2000]}
            columns[title] = kilonewton if force else STRAIN if strain else tilt
        when = {"column": titles[0], "format": "%Y-%m-%d %H:%M:%S.%f", "zone": "UTC"}
        short = path.name.removeprefix("UniBw_2022-04-11_").split(".csv")[0].split("At100")[0]
        name = f"munich/{short}"
        yield Table(name, "bridge", "span", "10ms", when, columns, _kept(raw))


def _kept(text: str) -> Callable[[], str]:
    return lambda: text


def _xai4heat(folder: Path) -> Iterator[Table]:
    when = {"column": "datetime", "format": "%Y-%m-%d %H:%M:%S", "zone": "UTC"}
    for path in sorted(folder.glob("*.csv")):
        name = f"xai4heat/{path.stem.rsplit('_', 1)[-1]}"
        yield Table(name, "heat", "station", "1h", when, HEAT_COLUMNS, _file(path))


def _airquality(folder: Path) -> Iterator[Table]:
    columns: dict[str, Column] = {
        "CO_GT": {"quantity": "co", "unit": "mg/m3", "range": [0, 100]},
        "NO2_GT": {"quantity": "no2", "unit": "ug/m3", "range": [0, 1000]},
        "T": TEMPERATURE,
        "RH": {"quantity": "humidity", "unit": "%{RH}", "range": [0, 100]},
    }
    names = ("PT08_S1_CO", "PT08_S2_NMHC", "PT08_S3_NOx", "PT08_S4_NO2", "PT08_S5_O3")
    columns |= dict.fromkeys((*names, "C6H6_GT", "NOx_GT"), NUMBER)
    columns = {title: column | {"fault_codes": [-200]} for title, column in columns.items()}

    def text(path: Path) -> str:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rest = (line.replace(",", " ", 1) for line in lines if line.strip(", "))
        return "\n".join(rest) + "\n"

    when = {"column": "Date Time", "format": "%d/%m/%Y %H:%M:%S", "zone": "UTC"}
    for path in sorted(folder.glob("*.csv")):
        name = "airquality/uci"
        yield Table(name, "env", "station", "1h", when, columns, partial(text, path))


def _gas_drift(folder: Path) -> Iterator[Table]:
    """Yield the steady-state answer of each of the 16 sensors, a measurement a minute."""
    when = {"column": "time", "format": "iso8601"}
    columns = {f"s{sensor + 1:02d}": NUMBER for sensor in range(16)}

    def text(path: Path) -> str:
        rows = []
        for at, line in enumerate(path.read_text(encoding="ascii").splitlines()):
            features = [part.split(":")[1] for part in line.split()[1:]]
            moment = (START + timedelta(minutes=at)).isoformat()
            rows.append([moment, *features[::8]])
        return _csv(["time", *columns], rows)

    for path in sorted(folder.glob("*.dat")):
        name = f"gas-drift/{path.stem}"
        yield Table(name, "gas", "rig", "1m", when, columns, partial(text, path))


def _tcpd(folder: Path) -> Iterator[Table]:
    when = {"column": "time", "format": "iso8601"}
    for path in sorted(folder.glob("*.json")):
        held = json.loads(path.read_text(encoding="utf-8"))
        if "series" not in held:
            continue  # annotations.json
        series = {s["label"].lower(): s["raw"] for s in held["series"]}
        columns = dict.fromkeys(series, NUMBER)
        lines = zip(*series.values(), strict=True)
        rows = [
            [(START + timedelta(days=day)).isoformat(), *("" if v is None else v for v in line)]
            for day, line in enumerate(lines)
        ]
        text = _csv(["time", *columns], rows)
        yield Table(f"tcpd/{path.stem}", "env", "series", "1d", when, columns, _kept(text))


def _csv(header: list[str], rows: Iterable[list[Any]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(header)
    writer.writerows(rows)
    return out.getvalue()


SETS: Final[dict[str, Callable[[Path], Iterator[Table]]]] = {
    "nab": _nab,
    "skab": _skab,
    "batadal": _batadal,
    "lro": _lro,
    "oddwater": _oddwater,
    "munich_bridge": _munich,
    "xai4heat": _xai4heat,
    "uci_airquality": _airquality,
    "uci_gas_drift": _gas_drift,
    "tcpd": _tcpd,
}
