"""The field page and what it asks: one asset on a phone, and what a person does there.

Orders carry the caller's ``command`` and how long they waited in the phone (``waited_s``: by the
phone's own clock, which may be wrong, so that only the difference counts). No order names what the
person had seen: an arrival stays true whatever happened meanwhile.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Annotated, Any, Final

from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import FileResponse, JSONResponse, Response

from lifeline.console.access import Asking, sight_of, signed_by
from lifeline.console.answers import BadInput, problem
from lifeline.console.asset_routes import Code, brief, seen_row
from lifeline.console.field_view import entry_json, here_json
from lifeline.console.orders import MINUTE_NS, Person, Said, Text
from lifeline.duty.proof import proven_by
from lifeline.ledger import Unknown
from lifeline.ledger.field import Entry, FieldBook, Visit
from lifeline.photos import MAX_BYTES, PhotoRefused

if TYPE_CHECKING:
    from pathlib import Path

    from fastapi import FastAPI

    from lifeline.console.desk import Desk
    from lifeline.people.roles import Actor

DAY_S: Final = 86_400
SECOND_NS: Final = 10**9
ENCODED: Final = (MAX_BYTES + 2) // 3 * 4
CommandId = Annotated[str, Field(min_length=1, max_length=56)]  # its incident's order has a longer
EntryId = Annotated[str, InPath(pattern="^[0-9a-f]{12}$")]
NamedId = Annotated[str, Field(pattern="^(|[0-9a-f]{12})$")]
Reading = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
SMALLEST: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGNgYGAAAAAEAAH2FzhVAAAAAElFTkSuQmCC"
)
"""A PNG of one pixel: the example."""
CONFINED: Final = {
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Content-Disposition": 'inline; filename="photo.jpg"',
    "Cache-Control": "private, max-age=86400, immutable",
}
"""Of a photo beside the headers of every answer: no browser makes anything but a picture of it."""


def _like(**example: Any) -> ConfigDict:
    example |= {"waited_s": 0, "command": "3f9a0c"}
    return ConfigDict(
        extra="forbid", str_strip_whitespace=True, json_schema_extra={"examples": [example]}
    )


class _Body(BaseModel):
    by: Person | None = None  # with accounts left out: it is the login
    command: CommandId
    waited_s: Annotated[float, Field(ge=0, le=30 * DAY_S, allow_inf_nan=False)] = 0


class ArriveBody(_Body):
    """On site: moves the incident's flow where it fits, else it is a note."""

    model_config = _like(text="two of us, cover open")

    text: Text = ""
    incident_id: NamedId = ""


class FieldNoteBody(_Body):
    """What was found."""

    model_config = _like(text="smells at the north wall")

    text: Said
    incident_id: NamedId = ""


class PhotoBody(_Body):
    """A photo: JPEG, PNG or WebP in base64; only its pixels are kept."""

    model_config = _like(text="valve V7", image=SMALLEST)

    text: Text = ""
    incident_id: NamedId = ""
    image: Annotated[str, Field(min_length=1, max_length=ENCODED)]


class CalibrateBody(_Body):
    """Out of service for so many minutes; ``subject``: a channel or device on it, "" all."""

    model_config = _like(minutes=30, text="test gas 2.2 %vol")

    minutes: Annotated[int, Field(ge=1, le=120)] = 30
    subject: Annotated[str, Field(max_length=200)] = ""
    text: Text = ""


class ResultBody(_Body):
    """What a calibration gave: passed or not, what it showed as found and as left."""

    model_config = _like(of="0123456789ab", passed=True, found=2.31, left=2.2, text="span set")

    of: CommandId  # the id of the calibration's entry, or the command that ordered it
    passed: Annotated[bool, Field(strict=True)]
    found: Reading | None = None
    left: Reading | None = None
    text: Text = ""


def install(app: FastAPI, desk: Desk, static: Path) -> None:
    """Add the field page, its questions and its orders."""
    book = FieldBook(desk.ledger)
    _pages(app, static)
    _reading(app, desk, book)
    _doing(app, desk, book)
    _photos(app, desk, book)
    _calibrating(app, desk, book)


def _pages(app: FastAPI, static: Path) -> None:
    fresh = {"Cache-Control": "no-cache"}

    @app.get("/field", include_in_schema=False)
    def _field() -> FileResponse:
        return FileResponse(static / "field.html", headers=fresh)

    @app.get("/field/{code:path}", include_in_schema=False)
    def _at(code: Code) -> FileResponse:  # noqa: ARG001 - the page asks what it is
        return FileResponse(static / "field.html", headers=fresh)

    @app.get("/field-worker.js", include_in_schema=False)
    def _worker() -> FileResponse:
        return FileResponse(static / "field_worker.js", headers=fresh)


def _row(desk: Desk, actor: Actor, asset_id: str) -> int:
    """Return the row of an asset that is seen."""
    row = seen_row(desk, sight_of(desk, actor), asset_id)
    site = desk.keeper.site
    if row is None or site is None or site.registry.assets.id[row] != asset_id:
        remedy = "type the code again, or look for it 请核对编码"
        raise Unknown(f"there is no asset {asset_id!r} 没有该设施", remedy=remedy)
    return row


def _visit(desk: Desk, actor: Actor, asset_id: str, body: _Body) -> Visit:
    row, site, sight = _row(desk, actor, asset_id), desk.keeper.site, sight_of(desk, actor)
    return Visit(
        asset_id=asset_id,
        by=signed_by(actor, body.by),
        command=body.command,
        on=lambda subject: site is not None and site.asset_of(subject) == row,
        sees=None if sight.whole else sight.subject,
        waited_ns=int(body.waited_s * SECOND_NS),
        text=getattr(body, "text", ""),
        incident_id=getattr(body, "incident_id", ""),
    )


def _told(desk: Desk, entry: Entry) -> JSONResponse:
    desk.bell.ring()
    return JSONResponse({"entry": entry_json(entry, desk.photos)})


def _reading(app: FastAPI, desk: Desk, book: FieldBook) -> None:
    @app.get("/api/field/{asset_id}")
    def _here(asset_id: Code, actor: Asking) -> JSONResponse:
        """Return what a person on site needs: place, alarms, incidents, last values, entries."""
        row, site = _row(desk, actor, asset_id), desk.keeper.site
        assert site is not None  # noqa: S101 - a row is of a site
        told = here_json(desk, site, row, sight_of(desk, actor), book)
        return JSONResponse(brief(site, row) | told)


def _doing(app: FastAPI, desk: Desk, book: FieldBook) -> None:
    @app.post("/api/field/{asset_id}/on-site")
    def _arrive(asset_id: Code, body: ArriveBody, actor: Asking) -> JSONResponse:
        return _told(desk, book.on_site(_visit(desk, actor, asset_id, body)))

    @app.post("/api/field/{asset_id}/note")
    def _note(asset_id: Code, body: FieldNoteBody, actor: Asking) -> JSONResponse:
        return _told(desk, book.note(_visit(desk, actor, asset_id, body)))


def _photos(app: FastAPI, desk: Desk, book: FieldBook) -> None:
    @app.post("/api/field/{asset_id}/photo")
    def _photo(asset_id: Code, body: PhotoBody, actor: Asking) -> JSONResponse:
        visit = _visit(desk, actor, asset_id, body)
        try:
            raw = base64.b64decode(body.image, validate=True)
        except (binascii.Error, ValueError) as error:
            said = f"image: no base64 ({error})"
            raise BadInput("image", body.image[:40], "send base64", message=said) from error
        try:
            kept = desk.photos.take(raw)
        except PhotoRefused as refused:
            said = str(refused)
            raise BadInput("image", f"{len(raw)} bytes", refused.remedy, message=said) from refused
        shown = {"hash": kept.digest, "width": kept.width, "height": kept.height}
        return _told(desk, book.photo(visit, shown))

    @app.get("/api/photos/{entry_id}")
    def _shown(entry_id: EntryId, actor: Asking) -> Response:
        """Return a photo as JPEG to who sees its asset."""
        entry = book.one(entry_id)
        unknown = Unknown(f"there is no entry {entry_id!r} 没有该记录", remedy="reload 请刷新")
        if seen_row(desk, sight_of(desk, actor), entry.asset_id) is None:
            raise unknown
        digest = entry.said.get("photo", {}).get("hash")
        path = desk.photos.path(digest) if digest else None
        if path is None:
            said = "this photo is kept no longer 照片已过保存期" if digest else str(unknown)
            return problem(404, said, field="entry_id", value=entry_id, remedy=unknown.remedy)
        return FileResponse(path, media_type="image/jpeg", headers=CONFINED)


def _calibrating(app: FastAPI, desk: Desk, book: FieldBook) -> None:
    @app.post("/api/field/{asset_id}/calibrate")
    def _calibrate(asset_id: Code, body: CalibrateBody, actor: Asking) -> JSONResponse:
        visit = _visit(desk, actor, asset_id, body)
        match, subject = _worked_on(desk, asset_id, body.subject)
        for_ns = body.minutes * MINUTE_NS
        return _told(desk, book.calibrate(visit, match=match, subject=subject, for_ns=for_ns))

    @app.post("/api/field/{asset_id}/result")
    def _result(asset_id: Code, body: ResultBody, actor: Asking) -> JSONResponse:
        visit = _visit(desk, actor, asset_id, body)
        site, every_ns = desk.keeper.site, desk.settings.duty.test_every_ns

        def proves(match: str, subject: str) -> str:
            return proven_by(site, every_ns, match, subject) if site is not None else ""

        done = book.result(
            visit,
            entry_id=body.of,
            passed=body.passed,
            found=body.found,
            left=body.left,
            proves=proves,
            simulation=desk.keeper.simulation,
        )
        return _told(desk, done)


def _worked_on(desk: Desk, asset_id: str, subject: str) -> tuple[str, str]:
    """Return (match, subject) of what is worked on: the asset, or a channel or device on it."""
    site = desk.keeper.site
    if subject in ("", asset_id) or site is None:
        return "asset", asset_id
    registry, own = site.registry, site.registry.asset_row.get(asset_id)
    row = registry.channel_row.get(subject)
    if row is not None and registry.channels.asset[row] == own:
        return "channel", subject
    row = registry.device_row.get(subject)
    if row is not None and registry.devices.asset[row] == own:
        return "device", subject
    raise BadInput("subject", subject, f"name a channel or device of {asset_id}, or leave it out")
