"""The reading room's pages and data, over HTTP on the loopback address."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

from fastapi import FastAPI, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, PlainTextResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, PackageLoader, StrictUndefined

from sagittal.errors import BadInput, Refused, SagittalError
from sagittal.report.codec import dumps
from sagittal.report.finding import Evidence
from sagittal.report.reading import Reading
from sagittal.report.report import Communication
from sagittal.serve import export, forms, review
from sagittal.serve.guard import App, Guard, TooLarge
from sagittal.serve.manifest import manifest
from sagittal.serve.panel import diameter, moment, panel
from sagittal.serve.shelf import Opened, Shelf
from sagittal.serve.store import READ, Store, now
from sagittal.serve.worker import Reader, Worker
from sagittal.settings import ServeSettings
from sagittal.version import __version__

HERE = Path(__file__).parent / "reading_room"
EVENTS = ("ai shown", "ai hidden", "overlay shown", "overlay hidden", "opened")
Text = Annotated[str, Form(max_length=1000)]
Seen = Annotated[str, Form(max_length=12)]


@dataclass(frozen=True)
class Room:
    """What the routes share. ``token`` is in every page of ours and in no other."""

    settings: ServeSettings
    store: Store
    shelf: Shelf
    reader: Reader
    worker: Worker
    pages: Environment
    token: str

    def page(self, name: str, **values: Any) -> HTMLResponse:
        """A template, every value escaped."""
        common = {"token": self.token, "version": __version__, "teaching": self.settings.teaching}
        return HTMLResponse(self.pages.get_template(name).render(**common, **values))

    def panel(self, study: str) -> HTMLResponse:
        """Findings and report of the latest version."""
        row, opened = self.store.row(study), self.shelf.get(study)
        reading = self.store.reading(study)
        return self.page(
            "panel.html",
            row=row,
            panel=panel(reading, opened),
            versions=self.store.versions(study),
            exports=export.offered(reading),
            diameter=diameter,
        )

    def step(
        self, study: str, actor: str, action: str, change: Callable[[Reading], Reading], seen: str
    ) -> HTMLResponse:
        """Apply a change to the latest version, append the new one, show it.

        ``seen`` is the version the page showed: nobody changes or signs what is not on the screen.
        """
        latest = self.store.reading(study)
        if seen not in ("", str(latest.version)):
            raise Refused(
                "the reading has changed since this page was loaded; load it again",
                wanted=f"version {latest.version}",
                got=f"version {seen}",
            )
        made = change(latest)
        self.store.append(study, made)
        self.store.log(study, actor, action, f"version {made.version}")
        return self.panel(study)

    def redraft(self, study: str) -> review.Redraft:
        """How this study's report is drawn up again."""
        opened = self.shelf.get(study)
        return lambda reading: self.reader.redraft(opened.study, reading)


def create_app(settings: ServeSettings, reader: Reader, *, start_worker: bool = True) -> FastAPI:
    """The application; ``app.state.room`` holds its parts, ``app.state.guarded`` is what to serve."""
    store = Store(settings.data)
    shelf = Shelf(store, settings.studies_in_memory)
    pages = Environment(
        loader=PackageLoader("sagittal.serve", "reading_room/templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["moment"] = moment
    worker = Worker(store, shelf, reader)
    room = Room(settings, store, shelf, reader, worker, pages, secrets.token_urlsafe(24))

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        if start_worker:
            worker.start()
        yield
        worker.stop()

    app = FastAPI(
        title="Sagittal reading room", lifespan=life, docs_url=None, redoc_url=None, openapi_url=None
    )
    app.state.room = room
    app.mount("/static", StaticFiles(directory=HERE / "static"), name="static")
    _failures(app)
    _lists(app, room)
    _images(app, room)
    _reviews(app, room)

    def limit(path: str) -> int:
        return settings.max_upload_mb * 2**20 if path == "/upload" else settings.max_form_kb * 2**10

    app.state.guarded = Guard(cast(App, app), room.token, limit)
    return app


def _failures(app: FastAPI) -> None:
    @app.exception_handler(SagittalError)
    async def ours(request: Request, error: SagittalError) -> PlainTextResponse:
        return PlainTextResponse(str(error), 409 if isinstance(error, Refused) else 422)

    @app.exception_handler(KeyError)
    async def absent(request: Request, error: KeyError) -> PlainTextResponse:
        return PlainTextResponse("there is nothing here", 404)

    @app.exception_handler(IndexError)
    async def outside(request: Request, error: IndexError) -> PlainTextResponse:
        return PlainTextResponse("there is no such image", 404)

    @app.exception_handler(TooLarge)
    async def large(request: Request, error: TooLarge) -> PlainTextResponse:
        return PlainTextResponse("larger than allowed", 413)


def _lists(app: FastAPI, room: Room) -> None:
    store = room.store

    @app.get("/")
    def worklist() -> HTMLResponse:
        return room.page("worklist.html", rows=store.rows(), here="")

    @app.get("/rows")
    def rows(here: str = "") -> HTMLResponse:
        return room.page("rows.html", rows=store.rows(), here=here)

    @app.get("/side")
    def side(here: str = "") -> HTMLResponse:
        return room.page("names.html", rows=store.rows(), here=here)

    @app.get("/worklist.json")
    def listed() -> JSONResponse:
        shown = ("id", "label", "modality", "state", "status", "version", "synthetic", "problem")
        return JSONResponse([{name: getattr(row, name) for name in shown} for row in store.rows()])

    @app.get("/studies/{study}")
    def study_page(study: str) -> Response:
        row = store.row(study)
        if row.state != READ:
            return room.page("waiting.html", row=row, rows=store.rows(), here=study)
        opened, reading = room.shelf.get(study), store.reading(study)
        return room.page(
            "room.html",
            row=row,
            rows=store.rows(),
            here=study,
            opened=opened,
            panel=panel(reading, opened),
            versions=store.versions(study),
            exports=export.offered(reading),
            diameter=diameter,
        )

    @app.post("/upload")
    async def upload(request: Request, name: str = "study") -> JSONResponse:
        study, folder = store.new_folder()
        try:
            source = await forms.receive(request, folder, name)
            await forms.check_readable(source)
        except BaseException:
            store.discard(study)
            raise
        store.add(study, source, label="uploaded")
        store.log(study, "reader", "uploaded")
        room.worker.wake()
        return JSONResponse({"id": study})


def _images(app: FastAPI, room: Room) -> None:
    def shelf(study: str) -> Opened:
        return room.shelf.get(study)

    @app.get("/studies/{study}/manifest.json")
    def study_manifest(study: str) -> JSONResponse:
        return JSONResponse(manifest(shelf(study), room.store.reading(study)))

    @app.get("/studies/{study}/pixels/{key}/{plane}/{k}")
    def pixels(study: str, key: str, plane: str, k: int) -> Response:
        shown = shelf(study).shown[key]
        body = shown.pixels(plane, k)
        info, how = shown.planes[plane], shown.encoding
        return Response(
            body,
            media_type="application/octet-stream",
            headers={
                "x-rows": str(info.rows),
                "x-columns": str(info.columns),
                "x-dtype": how.dtype,
                "x-slope": repr(how.slope),
                "x-intercept": repr(how.intercept),
            },
        )

    @app.get("/studies/{study}/masks/{number}/{plane}/{k}")
    def mask(study: str, number: int, plane: str, k: int) -> Response:
        opened, reading = shelf(study), room.store.reading(study)
        names = list(opened.masks)
        if not 0 <= number < len(names):
            raise IndexError
        summary = next((m for m in reading.masks if m.name == names[number]), None)
        key = opened.key_of(summary.series_uid) if summary else None
        if key is None:
            raise IndexError
        bits = opened.shown[key].mask_bits(opened.masks[names[number]], plane, k)
        return Response(bits, media_type="application/octet-stream")


def _reviews(app: FastAPI, room: Room) -> None:
    store = room.store

    @app.get("/studies/{study}/reading.json")
    def latest(study: str) -> Response:
        return Response(dumps(store.reading(study)), media_type="application/json")

    @app.get("/studies/{study}/panel")
    def show(study: str) -> HTMLResponse:
        return room.panel(study)

    @app.post("/studies/{study}/findings/{uid}/accept")
    def accept(study: str, uid: str, by: Text = "", version: Seen = "") -> HTMLResponse:
        redraft = room.redraft(study)
        return room.step(
            study,
            by,
            "accept",
            lambda r: review.accept(r, uid, by=by, when=now(), redraft=redraft),
            version,
        )

    @app.post("/studies/{study}/findings/{uid}/reject")
    def reject(study: str, uid: str, by: Text = "", reason: Text = "", version: Seen = "") -> HTMLResponse:
        redraft = room.redraft(study)
        return room.step(
            study,
            by,
            "reject",
            lambda r: review.reject(r, uid, by=by, when=now(), redraft=redraft, reason=reason),
            version,
        )

    @app.post("/studies/{study}/findings/{uid}/restore")
    def restore(study: str, uid: str, by: Text = "", version: Seen = "") -> HTMLResponse:
        redraft = room.redraft(study)

        def change(reading: Reading) -> Reading:
            for number in range(reading.version - 1, 0, -1):
                earlier = store.reading(study, number)
                if any(f.tracking_uid == uid for f in earlier.findings):
                    return review.restore(reading, earlier, uid, by=by, when=now(), redraft=redraft)
            raise BadInput("there is no such finding in any version")

        return room.step(study, by, "restore", change, version)

    @app.post("/studies/{study}/findings/{uid}/edit")
    def edit(
        study: str,
        uid: str,
        by: Text = "",
        presence: Text = "",
        certainty: Text = "",
        laterality: Text = "",
        severity: Text = "",
        size: Text = "",
        version: Seen = "",
    ) -> HTMLResponse:
        redraft = room.redraft(study)
        corrections = forms.corrections(presence, certainty, laterality, severity, size)
        return room.step(
            study,
            by,
            "edit",
            lambda r: review.edit(r, uid, corrections, by=by, when=now(), redraft=redraft),
            version,
        )

    @app.post("/studies/{study}/findings")
    def add(
        study: str, by: Text = "", text: Text = "", key: Text = "", k: Text = "", version: Seen = ""
    ) -> HTMLResponse:
        redraft, opened = room.redraft(study), room.shelf.get(study)
        proof: Evidence | None = forms.place(opened, key, k)
        return room.step(
            study,
            by,
            "add",
            lambda r: review.add(r, text, by=by, when=now(), redraft=redraft, evidence=proof),
            version,
        )

    @app.post("/studies/{study}/sign")
    async def sign(study: str, request: Request) -> HTMLResponse:
        form = {name: str(value)[:1000] for name, value in (await request.form()).items()}
        by, when = form.get("by", ""), now()

        def change(reading: Reading) -> Reading:
            told: list[Communication] = forms.communications(form, reading, by)
            return review.sign(reading, by=by, when=when, communications=told)

        return room.step(study, by, "sign", change, form.get("version", ""))

    @app.post("/studies/{study}/amend")
    def amend(study: str, by: Text = "", reason: Text = "", version: Seen = "") -> HTMLResponse:
        return room.step(
            study, by, "amend", lambda r: review.amend(r, by=by, when=now(), reason=reason), version
        )

    @app.post("/studies/{study}/events")
    def event(study: str, action: Text, by: Text = "", detail: Text = "") -> Response:
        store.row(study)
        if action not in EVENTS:
            raise BadInput(f"no event {action!r}", f"one of {', '.join(EVENTS)}")
        store.log(study, by or "reader", action, detail[:200])
        return Response(status_code=204)

    @app.get("/studies/{study}/exports/{name}")
    def download(study: str, name: str) -> FileResponse:
        path, kind, shown = export.made(room.store, room.shelf, room.reader, study, name)
        store.log(study, "reader", "export", shown)
        return FileResponse(path, media_type=kind, filename=shown)
