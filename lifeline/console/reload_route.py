"""``POST /api/reload``: the folder's rules and registry into force, or what would change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from lifeline.console.access import Asking, signed_by
from lifeline.console.answers import problem
from lifeline.errors import Failure
from lifeline.reload import reload_folder
from rules.problems import Invalid

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lifeline.console.desk import Desk


class ReloadBody(BaseModel):
    """Who asks; ``check`` changes nothing and says what would change."""

    model_config = ConfigDict(
        extra="forbid",
        str_strip_whitespace=True,
        json_schema_extra={"examples": [{"check": True}]},
    )

    by: Annotated[str, Field(min_length=1, max_length=64, pattern=r"\S")] | None = None
    check: bool = False


def install(app: FastAPI, desk: Desk) -> None:
    """Add the route: 200 with what changed, 422 with every mistake, 503 where nobody took it."""

    @app.post("/api/reload")
    def _reload(body: ReloadBody, actor: Asking) -> JSONResponse:
        by, folder = signed_by(actor, body.by), desk.settings.folder
        if folder is None:
            raise HTTPException(404, "this page belongs to no city's folder")
        try:
            done = reload_folder(folder, desk.data, how="page", by=by, check=body.check)
        except Invalid as error:
            errors = [p.to_json() for p in error.problems if p.severity == "error"]
            said = (
                f"{len(errors)} mistakes: nothing was changed / {len(errors)} 处错误，未作任何更改"
            )
            return problem(422, said, remedy="mend the files, then again", problems=errors)
        except Failure as error:
            return problem(503, str(error), remedy="what held still holds; see the message")
        finally:
            desk.bell.ring()
        return JSONResponse(done.to_json())
