"""From a request to its answer: routing, the one worker, crashes, and the faults in the queue."""

from threading import Event

from rotator.sandbox.api import ROUTES, health
from rotator.sandbox.faults import Fault, FaultQueue
from rotator.sandbox.messages import Answer, Refusal, Request, crash, refuse
from rotator.sandbox.state import State

_PREFIX = "/api"
_DOWN = "(psycopg2.OperationalError) connection to server failed: Connection refused"
_FAILED_INSERT = """(psycopg2.errors.DiskFull) could not extend file "base/16384/16402"
[SQL: INSERT INTO tokens (token, token_type) VALUES (%%(token)s, %%(token_type)s)]
[parameters: {'token': '%s', 'token_type': 'service'}]"""
_NOT_DONE = Answer(204)


class Service:
    """Serves requests from many threads; `stopping` wakes all that wait."""

    def __init__(self, state: State, call_delay: float) -> None:
        self.state = state
        self.faults = FaultQueue()
        self.calls: list[tuple[str, str, int | None]] = []
        self.stopping = Event()
        self._call_delay = call_delay

    def serve(self, request: Request) -> tuple[Answer, Fault]:
        """Return the answer, and the fault that says how to send it."""
        name = _relative(request.path)
        if self._call_delay:
            self.stopping.wait(self._call_delay)
        template = _template(request.path)
        fault = self.faults.take(f"{request.method} {name}", f"{request.method} {template}")
        if fault.hold:
            self.stopping.wait(fault.hold)
        fault.before()
        with self.state.lock:
            answer = self._work(request, template) if fault.work else _NOT_DONE
            answer = self._distort(answer, fault)
        fault.after()
        if fault.wait:
            self.stopping.wait(fault.wait)
        self.calls.append((request.method, name, None if fault.send == "reset" else answer.status))
        return answer, fault

    def _work(self, request: Request, template: str | None) -> Answer:
        if template is None:
            return _unknown(request)
        calls = ROUTES[template]
        if request.method not in calls:
            allowed = next(iter(calls))  # Starlette names the first route of a path only
            return refuse(405, "Method Not Allowed", ("allow", allowed)).answer
        call = calls[request.method]
        if self.state.database_broken and call is not health:
            return crash(_DOWN)
        try:
            return call(self.state, request)
        except Refusal as refusal:
            return refusal.answer
        except Exception as error:  # noqa: BLE001 - the API turns every uncaught exception into this
            return crash(str(error))

    def _distort(self, answer: Answer, fault: Fault) -> Answer:
        if fault.error == "plain":
            return crash(_DOWN)
        if fault.error == "token":
            return crash(self._failed_insert())
        return fault.answer or answer

    def _failed_insert(self) -> str:
        now = self.state.clock()
        live = [row for row in self.state.newest_first() if row.is_live(now)]
        return _FAILED_INSERT % (live[0].secret if live else None)


def _relative(path: str) -> str:
    return path.removeprefix(_PREFIX) if path.startswith(f"{_PREFIX}/") else path


def _template(path: str) -> str | None:
    name = _relative(path)
    if name == path and path != "/health":
        return None
    if name in ROUTES:
        return name
    head, _, last = name.rpartition("/")
    return f"{head}/{{id}}" if last and f"{head}/{{id}}" in ROUTES else None


def _unknown(request: Request) -> Answer:
    bare = request.path.rstrip("/")
    if bare == request.path or _template(bare) is None:
        return refuse(404, "Not Found").answer
    # Behind a proxy that ends TLS this sends clients to plain HTTP, as the real one does.
    query = f"?{request.query}" if request.query else ""
    return Answer(307, b"", None, (("location", f"http://{request.host}{bare}{query}"),))
