"""The API's OpenAPI document, of which nothing is written twice.

FastAPI makes it of the routes and their models; ways to log in, errors and the role of each route
are added here, from the table of what each route needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from lifeline.console.access import CSRF, OPEN, ROUTES, SAFE_COOKIE, TOKEN_HEADER, Needs
from lifeline.console.answer_models import ANSWERS

if TYPE_CHECKING:
    from fastapi import FastAPI

PATH: Final = "/api/openapi.json"
_MEANINGS: Final = {
    "401": "nobody is logged in, or the token holds no longer",
    "403": "the role or scope does not allow it, or the request was not made by this page",
    "404": "it is not there, or not seen by who asks",
    "409": "it does not stand so (any more)",
    "413": "the body is too long or of unknown length",
    "415": "the body is no JSON",
    "422": "a value cannot be: see field, value, remedy",
    "429": "too many failures: see Retry-After",
    "503": "the ledger does not answer, or the city is not well",
}


class ErrorFacts(BaseModel):
    """What is wrong, and what to do about it."""

    model_config = ConfigDict(extra="allow")

    message: str
    field: str = ""
    value: Any = None
    remedy: str = ""


class ErrorAnswer(BaseModel):
    """Every error of the API."""

    error: ErrorFacts


def install(app: FastAPI) -> None:
    """Let the application's document tell errors, ways to log in, and the role of each route."""
    made = app.openapi

    def whole() -> dict[str, Any]:
        fresh = app.openapi_schema is None
        document = made()
        if fresh:
            _complete(document)
        return document

    app.openapi = whole  # type: ignore[method-assign]  # as FastAPI's documentation extends it


def _complete(document: dict[str, Any]) -> None:
    reference = "#/components/schemas/{model}"
    schema = ErrorAnswer.model_json_schema(ref_template=reference)
    parts = document.setdefault("components", {})
    schemas: dict[str, Any] = parts.setdefault("schemas", {})
    schemas.update(schema.pop("$defs"))
    schemas["ErrorAnswer"] = schema
    answers = list(dict.fromkeys(ANSWERS.values()))
    _, told = models_json_schema(
        [(model, "validation") for model in answers], ref_template=reference, by_alias=True
    )
    schemas.update(told["$defs"])
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)  # FastAPI's own errors, which ours replace
    parts["securitySchemes"] = {
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": SAFE_COOKIE,
            "description": f"From POST /login; orders show {CSRF} too. Without TLS: lifeline.",
        },
        "token": {"type": "http", "scheme": "bearer", "description": "lifeline people token"},
        "token-header": {"type": "apiKey", "in": "header", "name": TOKEN_HEADER},
    }
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _tell(operation, (method.upper(), path), ROUTES.get((method.upper(), path)))


def _tell(operation: dict[str, Any], route: tuple[str, str], needs: Needs | None) -> None:
    method = route[0]
    if needs is None:
        return  # answered to nobody
    if needs is OPEN or needs.role is None:
        operation["security"] = []
    else:
        operation["security"] = [{"session": []}, {"token": []}, {"token-header": []}]
        operation["x-role"] = needs.role.word
        operation["x-whole-city"] = needs.whole
    model = ANSWERS.get(route)
    if model is not None:
        schema = {"$ref": f"#/components/schemas/{model.__name__}"}
        operation["responses"]["200"]["content"] = {"application/json": {"schema": schema}}
    errors = ["401", "403", "404", "422", "503"]
    if method == "POST":
        errors += ["409", "413", "415", "429"]
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/ErrorAnswer"}}}
    for status in sorted(errors):
        operation["responses"][status] = {"description": _MEANINGS[status], "content": content}
