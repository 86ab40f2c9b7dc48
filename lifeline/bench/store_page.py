"""docs/store-performance.md: the store's writing measured, on one page, with the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lifeline.bench.report import machine, table

if TYPE_CHECKING:
    from collections.abc import Sequence

HEAD = """# How fast the store writes

Measured, not estimated; written by `lifeline bench store --rows 1000000 --markdown
docs/store-performance.md`. All take turns on the same rows in one run, and the best turn of each
counts. A figure is lines by second of CPU time of our process, one core. Other work on the machine
lowers all figures, and moves the ratios less.

{machine}

## To text

Ours writes whole columns. An f-string a row is what one writes first (it escapes nothing), Point
is influxdb-client's own way.

{encoders}
"""

SOCKET = """
## To a server

Encoder, gzip, HTTP and socket together, 10 000 lines a request, into a real VictoriaMetrics on the
same machine; each turn is compared with what the server counted. WriteApi is influxdb-client's own
batching, with Points. The wall's clock includes the server's work, which shares the cores with
ours and with whatever else ran.

{sent}

- Requests to a server on the same machine go uncompressed: the loopback is faster than any gzip,
  and the server need not unpack. To any other they are compressed about eleven times.
- gzip is ISA-L's. Level 1 of zlib packs these lines as small and takes four times as long.
- By the wall the server sets the pace: its own CPU time a million lines is in the last column.
  One request is under way at a time, so the cursor never passes a line without an answer.
"""

SKIPPED = """
## To a server

Not measured: victoria-metrics is not installed on this machine.
"""


def page(encoders: Sequence[dict[str, Any]], sent: Sequence[dict[str, Any]]) -> str:
    """Return the page; ``sent`` is empty where there was no server."""
    text = HEAD.format(
        machine=machine(),
        encoders=table(
            [
                {
                    "encoder": row["encoder"],
                    "lines/s": f"{row['lines_per_s']:,}",
                    "× Point": f"{row['times_point']}",
                }
                for row in encoders
            ]
        ),
    )
    if not sent:
        return text + SKIPPED
    rows = [
        {
            "writer": row["encoder"],
            "lines/s of our CPU": f"{row['lines_per_s']:,}",
            "× WriteApi": f"{row['times_write_api']}",
            "lines/s by the wall": f"{row['wall_lines_per_s']:,}",
            "server, CPU s a million": f"{row['server_cpu_s']:.2f}",
        }
        for row in sent
    ]
    return text + SOCKET.format(sent=table(rows))
