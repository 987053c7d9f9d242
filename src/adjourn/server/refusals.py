"""What is refused before any route sees it: a page for whoever sits at a browser, a problem for
programs. There is no style and no script in it, for nothing behind us is asked for any."""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.responses import HTMLResponse, Response
from starlette.types import Scope

from adjourn.errors import AdjournError
from adjourn.server.problems import for_programs, problem_response, request_id

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<main role="alert" tabindex="-1" data-trouble>
<h1>{title}</h1>
<p>{text}</p>
<p>Request {id}</p>
</main>
</html>
"""


def refusal(scope: Scope, error: AdjournError, status: int) -> Response:
    """The answer that says this error to whoever sent the request."""
    id = request_id(scope)
    problem = problem_response(error, status, id)
    if for_programs(scope["path"]) or not _reads_pages(Headers(scope=scope)):
        return problem
    kept = {
        name: problem.headers[name]
        for name in ("retry-after", "connection")
        if name in problem.headers
    }
    title = HTTPStatus(status).phrase
    return HTMLResponse(_PAGE.format(title=title, text=escape(str(error)), id=id), status, kept)


def _reads_pages(headers: Headers) -> bool:
    """Whether it asks for HTML by name, as browsers do for pages and what takes the place of a part
    of one."""
    for word in ",".join(headers.getlist("accept")).lower().split(","):
        kind, *more = (part.strip() for part in word.split(";"))
        if kind == "text/html":
            return not any(each.replace(" ", "").rstrip("0.") == "q=" for each in more)
    return False
