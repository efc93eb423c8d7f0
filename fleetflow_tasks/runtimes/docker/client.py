# SPDX-License-Identifier: Apache-2.0
"""The Engine: one typed method per API call, and its errors turned into ours.

Only the SDK's low-level client is used, and it is imported with the first connection: planning and checking load no
SDK. Every call has a timeout shorter than a lease, so that a worker which lost its step cannot change anything much
later. Whether a failure may pass by itself is decided here and nowhere else.
"""

import json
import logging
import os
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fleetflow_tasks.errors import Problem, UnavailableError
from fleetflow_tasks.runtimes.asked import asked
from fleetflow_tasks.runtimes.base import DeployError
from fleetflow_tasks.runtimes.docker.endpoints import Endpoint
from fleetflow_tasks.runtimes.docker.stream import lines

# Seconds for one call; a stop adds the ten that it may wait. Still less than a worker may go on without having renewed its
# lease of 30, which is 27: whoever holds a step knows how its last call ended before somebody else may have the step.
TIMEOUT = 15.0
SILENCE = 120.0  # seconds that a pull may say nothing; while it is under way the Engine speaks several times a second
GRACE = 10  # seconds between TERM and KILL inside one stop call, Docker's own default
CONNECTIONS = 32  # kept open; a worker has at most this many step threads
NO_LOGIN = "e30="  # `{}`: an Engine asked to push wants to be told even that
NOBODYS = "fleetflow.nobody"  # a label that nothing has
OLDEST = (1, 41)  # Engine 20.10
NEWEST = (1, 47)  # what this module was tried with; a newer Engine still speaks it

log = logging.getLogger(__name__)

_OK, _SWITCHED = 200, 101  # the second where both sides now speak as they like

Trace = Callable[[str, str], None]  # told of each request: method, path

_PASSING = (  # what a registry or an Engine says when trying again may help
    "i/o timeout",
    "tls handshake timeout",
    "connection reset",
    "connection refused",
    "toomanyrequests",
    "unexpected eof",
    "temporary failure in name resolution",
    "context deadline exceeded",
    "client.timeout exceeded",
    "service unavailable",
    "bad gateway",
    "internal server error",  # a status, and no word beside it
    # The Engine's own daemon below it, containerd, is being restarted, or has more to do than it can.
    "error while dialing",
    "transport is closing",
    "ttrpc: closed",
    "resource temporarily unavailable",
    "device or resource busy",
)
_RATE_LIMIT_PAUSE = 60.0  # seconds; registries count pulls per hours, so an early second try is a wasted one


class EngineError(DeployError):
    """The Engine refused, or did not answer. status: of HTTP, 0 where no answer came. answer: its own words."""

    def __init__(
        self, problem: Problem, *, status: int, answer: str, transient: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(problem, transient=transient, retry_after=retry_after)
        self.status = status
        self.answer = answer


def connect(found: Sequence[Endpoint], trace: Trace | None = None, *, timeout: float = TIMEOUT) -> "Client":
    """A client of the first Engine among *found* that answers. Raises UnavailableError naming all that were tried."""
    tried = []
    for endpoint in found:
        try:
            return _connected(endpoint, trace, timeout)
        except EngineError as error:
            tried.append(f"{endpoint.url} ({endpoint.origin}): {error.answer}")
    raise UnavailableError(
        Problem(
            code="no-engine",
            message="no Docker Engine answers" + (f" at {found[0].url}" if len(found) == 1 else ""),
            cause=tuple(tried) or ("no DOCKER_HOST, no docker context, and none of the usual sockets exists",),
            fix="join the group that owns the socket (`docker`), or run as a user who may use it"
            if any("Permission denied" in each for each in tried)
            else "start Docker, or say where it is: DOCKER_HOST=unix:///path/docker.sock",
        )
    )


def _knock(endpoint: Endpoint, timeout: float) -> None:
    """Whether anybody listens at a socket: answered before the SDK is loaded, and in the system's own words."""
    scheme, _, path = endpoint.url.partition("://")
    if scheme not in {"unix", "http+unix"}:
        return
    with socket.socket(socket.AF_UNIX) as knocking:
        knocking.settimeout(timeout)
        try:
            knocking.connect(path)
        except OSError as error:
            raise _lost("reach the Engine", error) from error


def _connected(endpoint: Endpoint, trace: Trace | None, timeout: float) -> "Client":
    _knock(endpoint, timeout)
    try:
        from docker.api.client import APIClient
        from docker.errors import DockerException
    except ModuleNotFoundError as missing:
        raise UnavailableError(
            Problem(
                code="runtime-not-installed",
                message=f"the runtime `docker` is not installed: Python module `{missing.name}` is missing",
                fix="run `pip install 'fleetflow[docker]'`",
            )
        ) from missing

    if endpoint.url.startswith("ssh://") and find_spec("paramiko") is None:
        raise UnavailableError(
            Problem(
                code="ssh-not-installed",
                message=f"the Docker Engine at {endpoint.url} cannot be reached: Python module `paramiko` is missing",
                cause=(f"{endpoint.origin} names an Engine behind ssh, and Docker's SDK needs that module for it",),
                fix="run `pip install 'docker[ssh]'`",
            )
        )

    def session(version: str) -> Any:
        return APIClient(
            base_url=endpoint.url,
            version=version,
            timeout=timeout,
            max_pool_size=CONNECTIONS,
            use_ssh_client=endpoint.url.startswith("ssh://"),
            tls=_tls(endpoint),
        )

    try:
        first = Client(session(_spoken(OLDEST)), endpoint, trace)
    except (DockerException, OSError, ssl.SSLError) as error:
        raise _lost("reach the Engine", error) from error
    try:
        newest = first.newest()
    except EngineError:
        first.close()
        raise
    if newest < OLDEST:
        first.close()
        raise UnavailableError(
            Problem(
                code="engine-too-old",
                message=f"the Docker Engine at {endpoint.url} is too old: it speaks API {_spoken(newest)}",
                fix=f"update it: FleetFlow needs API {_spoken(OLDEST)}, Engine 20.10",
            )
        )
    if newest == OLDEST:
        return first
    first.close()
    return Client(session(_spoken(min(newest, NEWEST))), endpoint, trace)


def _spoken(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def _tls(endpoint: Endpoint) -> Any:
    if not endpoint.certificates:
        return False
    from docker.tls import TLSConfig

    folder = Path(endpoint.certificates)
    for path in (folder / name for name in ("ca.pem", "cert.pem", "key.pem")):
        if not os.path.isfile(path):  # noqa: PTH113  (`Path.is_file` fails where it may not look)
            raise UnavailableError(
                Problem(
                    code="engine-certificates",
                    message=f"no TLS with the Docker Engine at {endpoint.url}: there is no file {path}",
                    cause=(endpoint.certified,),
                    fix="put ca.pem, cert.pem and key.pem there, or name the folder that holds them",
                )
            )
    return TLSConfig(
        client_cert=(str(folder / "cert.pem"), str(folder / "key.pem")), ca_cert=str(folder / "ca.pem"), verify=True
    )


class Output:
    """What a container writes, line by line, each with the stream it came on."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return lines(self._response.raw)

    def cancel(self) -> None:
        """Wake who reads, from another thread: closing alone would wait for the reader's lock."""
        from docker.types import CancellableStream

        with suppress(OSError, AttributeError):
            CancellableStream(None, self._response).close()


class Client:
    """One Engine. What it answers is handed on as it came; `observe` gives it types. Safe for many threads."""

    def __init__(self, api: Any, endpoint: Endpoint, trace: Trace | None = None) -> None:
        self.endpoint = endpoint
        self._api = api
        self._timeout: float = api.timeout

        def told(response: Any, *_: object, **__: object) -> None:
            method, path = response.request.method, response.request.path_url
            asked(log, "docker", method, path, response.status_code, response.elapsed.total_seconds())
            if trace is not None:
                trace(method, path)

        api.hooks["response"].append(told)

    @property
    def local(self) -> bool:
        """Whether the Engine shares this machine's files and network, as far as its address tells."""
        return self.endpoint.url.startswith(("unix://", "http+unix://"))

    @property
    def version(self) -> tuple[int, int]:
        return _number(self._api.api_version)

    def newest(self) -> tuple[int, int]:
        """The newest API that the Engine speaks. `_ping` costs 1 ms; `version` asks containerd and costs 20."""
        with _told("reach the Engine", looking=True):
            answer = self._api.get(f"{self._api.base_url}/_ping", timeout=self._timeout)
        return _number(answer.headers.get("Api-Version", "0.0"))

    def identity(self) -> str:
        with _told("ask the Engine who it is", looking=True):
            return str(self._api.info()["ID"])

    def silence(self) -> Any:
        """A stream on which the Engine says nothing, and which ends with the Engine: see `identity`."""
        doing = "keep a connection open"
        url = f"{self._api.base_url}/v{self._api.api_version}/events"
        params = {"filters": json.dumps({"label": [NOBODYS]})}
        with _told(doing):
            response = self._api.get(url, params=params, stream=True, timeout=self._timeout)
        if response.status_code != _OK:
            response.close()
            raise _refused(doing, response.status_code, _message(response), response.headers)
        return response

    def close(self) -> None:
        self._api.close()

    # --- looking

    def containers(self, labels: Mapping[str, str] | None = None) -> object:
        with _told("list containers", looking=True):
            return self._api.containers(all=True, filters=_by(labels or {}))

    def container(self, name: str) -> object | None:
        with _told(f"look at container `{name}`", looking=True):
            return _found(lambda: self._api.inspect_container(name))

    def networks(self, labels: Mapping[str, str] | None = None, name: str = "") -> object:
        with _told("list networks", looking=True):
            return self._api.networks(names=[name] if name else None, filters=_by(labels or {}))

    def volumes(self, labels: Mapping[str, str]) -> object:
        with _told("list volumes", looking=True):
            return self._api.volumes(filters=_by(labels))

    def volume_sizes(self) -> object:
        """All there are, with what each holds: the Engine counts, so it may take a while. Older ones count all there is."""
        url = f"{self._api.base_url}/v{self._api.api_version}/system/df"
        with _told("count what volumes hold", looking=True):
            response = self._api.get(url, params={"type": "volume"}, timeout=self._timeout)
            if response.status_code != _OK:
                raise _refused("count what volumes hold", response.status_code, _message(response), response.headers)
            return response.json()

    def volume(self, name: str) -> object | None:
        with _told(f"look at volume `{name}`", looking=True):
            return _found(lambda: self._api.inspect_volume(name))

    def image(self, reference: str) -> object | None:
        with _told(f"look at image `{reference}`", looking=True):
            return _found(lambda: self._api.inspect_image(reference))

    def published(self, reference: str) -> object:
        """What the registry holds under *reference* now, asked through the Engine."""
        with _told(f"ask the registry for `{reference}`"):
            return self._api.inspect_distribution(reference)

    def tail(self, name: str, number: int) -> tuple[str, ...]:
        """The last lines that a container wrote, on either stream."""
        with self.log(name, tail=number, timestamps=False) as texts:
            return tuple(text for _, text in texts)

    @contextmanager
    def log(
        self,
        name: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        timestamps: bool = True,
    ) -> Iterator[Output]:
        """(stream, line) as a container wrote them, with the Engine's time in front of each where *timestamps* asks.

        The SDK's own reader asks for the container first, and mixes the two streams.
        """
        params = {
            "stdout": 1,
            "stderr": 1,
            "follow": int(follow),
            "timestamps": int(timestamps),
            "tail": "all" if tail is None else str(tail),
            **({} if since is None else {"since": f"{since:.9f}"}),
        }
        doing = f"read the output of container `{name[:12]}`"
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{name}/logs"
        with _told(doing):
            response = self._api.get(
                url, params=params, stream=True, timeout=(self._timeout, None if follow else self._timeout)
            )
        try:
            if response.status_code != _OK:
                raise _refused(doing, response.status_code, _message(response), response.headers)
            yield Output(response)
        finally:
            response.close()

    # --- a command inside a container

    def command(self, container: str, command: Sequence[str], *, typed: bool, tty: bool) -> str:
        """The id of a command that is not started yet. typed: it gets an input."""
        with _told("prepare a command in the container"):
            made = self._api.exec_create(container, list(command), stdin=typed, tty=tty)
            return str(made["Id"])

    def begun(self, command: str, *, tty: bool) -> tuple[socket.socket, bytes, object]:
        """Start it: the line to it, which never blocks, what has come on it by now, and what must live as long as the line.

        The SDK gives its line away too, but not what came in one piece with the answer's head.
        """
        doing = "start a command in the container"
        url = f"{self._api.base_url}/v{self._api.api_version}/exec/{command}/start"
        with _told(doing):
            response = self._api.post(
                url,
                json={"Detach": False, "Tty": tty},
                headers={"Connection": "Upgrade", "Upgrade": "tcp"},
                stream=True,
                timeout=self._timeout,
            )
        if response.status_code not in {_OK, _SWITCHED}:
            raise _refused(doing, response.status_code, _message(response), response.headers)
        reader = response.raw._fp.fp  # noqa: SLF001  (no public way leads to what has been read already)
        line: socket.socket = reader.raw._sock  # noqa: SLF001  (nor to the socket itself)
        line.setblocking(False)
        return line, bytes(reader.peek()), response

    def resize(self, command: str, columns: int, rows: int) -> None:
        """Of its terminal. One that has just ended has no size any more, and that is no error."""
        with suppress(EngineError), _told("resize the command's terminal"):
            self._api.exec_resize(command, height=rows, width=columns)

    def exit_code(self, command: str) -> int | None:
        """None while it runs."""
        with _told("ask how the command ended", looking=True):
            found = self._api.exec_inspect(command)
        return None if found["Running"] else found["ExitCode"]

    # --- adding

    def pull(self, reference: str, platform: str, tick: Callable[[], None]) -> Iterator[object]:
        """Pull an image; yields the Engine's progress objects. *tick* is called every second, and may raise to stop."""
        name, tag = parts(reference)
        params = {"fromImage": name, "tag": tag, **({"platform": platform} if platform else {})}
        doing = f"pull image `{reference}`"

        def ask() -> Any:
            login = self._login(reference)
            headers = {"X-Registry-Auth": login} if login else {}
            return self._asked("/images/create", params, headers=headers, silence=SILENCE)

        return self._progress(doing, ask, tick)

    def push(self, reference: str, tick: Callable[[], None]) -> Iterator[object]:
        """As `pull`, the other way."""
        name, tag = parts(reference)

        def ask() -> Any:
            headers = {"X-Registry-Auth": self._login(reference) or NO_LOGIN}
            return self._asked(f"/images/{name}/push", {"tag": tag}, headers=headers, silence=SILENCE)

        return self._progress(f"push image `{reference}`", ask, tick)

    def build(self, context: Iterator[bytes], params: Mapping[str, str], tick: Callable[[], None]) -> Iterator[object]:
        """Build an image of *context*, a tar; yields the Engine's progress objects.

        What *context* raises comes out of it. There is no bound to a builder's silence but *tick*: compilers are quiet.
        """
        left = threading.Event()

        def pieces() -> Iterator[bytes]:
            for piece in context:
                if left.is_set():  # ended in order, half a tar would be taken for a whole one
                    raise ConnectionAbortedError
                yield piece

        def ask() -> Any:
            headers = {"Content-Type": "application/x-tar"}
            return self._asked("/build", params, headers=headers, silence=None, data=pieces())

        try:
            yield from self._progress("build the image", ask, tick)
        finally:
            left.set()

    def _login(self, reference: str) -> str:
        """What the registry of *reference* is told of us, as the SDK finds it; "" where nobody logged in."""
        from docker import auth

        registry, _ = auth.resolve_repository_name(reference.partition("@")[0])
        header = auth.get_config_header(self._api, registry)
        return header.decode() if header else ""

    def _asked(
        self,
        path: str,
        params: Mapping[str, str],
        *,
        headers: Mapping[str, str],
        silence: float | None,
        data: Iterator[bytes] | None = None,
    ) -> Any:
        """The request as the SDK sends it; its own generators cannot be closed half-way."""
        return self._api.post(
            f"{self._api.base_url}/v{self._api.api_version}{path}",
            params=params,
            headers=headers,
            data=data,
            stream=True,
            timeout=(self._timeout, silence),
        )

    def _progress(self, doing: str, ask: Callable[[], Any], tick: Callable[[], None]) -> Iterator[object]:
        """The objects of the answer to *ask*, as they come."""
        progress: queue.Queue[object] = queue.Queue()
        opened: queue.Queue[Any] = queue.Queue()
        threading.Thread(target=_told_to, args=(doing, ask, progress, opened), daemon=True).start()
        try:
            while True:
                with suppress(queue.Empty):
                    line = progress.get(timeout=1.0)
                    if line is None:
                        return
                    if isinstance(line, Exception):
                        raise line
                    yield line
                tick()
        finally:
            with suppress(queue.Empty):  # an Engine that nobody listens to any more gives it up
                Output(opened.get_nowait()).cancel()

    def create_container(self, name: str, config: Mapping[str, object], platform: str) -> str:
        with _told(f"create container `{name}`"):
            return str(self._api.create_container_from_config(dict(config), name=name, platform=platform or None)["Id"])

    def create_network(self, name: str, labels: Mapping[str, str], subnet: str = "", portion: str = "") -> str:
        """subnet: "" for one of the Engine's choice. portion: of it, which the Engine gives out by itself."""
        ipam = {"Driver": "default", "Config": [{"Subnet": subnet, "IPRange": portion}]} if subnet else None
        with _told(f"create network `{name}`"):
            return str(
                self._api.create_network(name, driver="bridge", labels=dict(labels), check_duplicate=True, ipam=ipam)[
                    "Id"
                ]
            )

    # --- changing

    def start(self, container: str) -> None:
        with _told("start the container"):
            self._api.start(container)

    def stop(self, container: str, grace: int = GRACE) -> None:
        with _told("stop the container"):
            self._api.stop(container, timeout=grace)

    def restart(self, container: str, grace: int = GRACE) -> None:
        with _told("restart the container"):
            self._api.restart(container, timeout=grace)

    def kill(self, container: str, signal: str) -> None:
        with _told(f"send {signal} to the container"):
            self._api.kill(container, signal=signal)

    def disconnect(self, container: str, network: str) -> None:
        with _told("take the container off its network"):
            self._api.disconnect_container_from_network(container, network)

    def connect(self, container: str, network: str, endpoint: Mapping[str, object]) -> None:
        """endpoint: its place there, in the Engine's own shape."""
        url = f"{self._api.base_url}/v{self._api.api_version}/networks/{network}/connect"
        with _told("put the container on its network"):
            body = {"Container": container, "EndpointConfig": dict(endpoint)}
            response = self._api.post(url, json=body, timeout=self._timeout)
            if response.status_code != _OK:
                raise _refused(
                    "put the container on its network", response.status_code, _message(response), response.headers
                )

    def restart_policy(self, container: str, policy: str) -> None:
        with _told("change the restart policy"):
            self._api.update_container(container, restart_policy={"Name": policy})

    def limits(self, container: str, limits: Mapping[str, object]) -> None:
        url = f"{self._api.base_url}/v{self._api.api_version}/containers/{container}/update"
        with _told("change the limits"):
            response = self._api.post(url, json=dict(limits), timeout=self._timeout)
            if response.status_code != _OK:
                raise _refused("change the limits", response.status_code, _message(response), response.headers)

    def rename(self, container: str, name: str) -> None:
        with _told(f"rename the container to `{name}`"):
            self._api.rename(container, name)

    def remove(self, container: str, *, force: bool) -> None:
        """Gone is good: an absent container, or one whose removal is under way, is no error. Takes anonymous volumes."""
        with _told("remove the container"):
            _found(lambda: self._api.remove_container(container, v=True, force=force))

    def remove_network(self, network: str) -> None:
        with _told("remove the network"):
            _found(lambda: self._api.remove_network(network))

    def remove_volume(self, name: str) -> None:
        with _told(f"remove volume `{name}`"):
            _found(lambda: self._api.remove_volume(name))


def _told_to(doing: str, ask: Callable[[], Any], progress: "queue.Queue[object]", opened: "queue.Queue[Any]") -> None:
    """In a thread of its own: a registry may be silent for longer than a step may go without a checkpoint."""
    try:
        for told in _objects(doing, ask, opened):
            progress.put(told)
    except Exception as error:  # noqa: BLE001  (whatever it is belongs to who waits for the answer)
        progress.put(error)
    else:
        progress.put(None)


def _objects(doing: str, ask: Callable[[], Any], opened: "queue.Queue[Any]") -> Iterator[object]:
    with _told(doing), ask() as response:
        opened.put(response)
        if response.status_code != _OK:
            raise _refused(doing, response.status_code, _message(response), response.headers)
        for line in response.iter_lines():
            told = json.loads(line) if line else {}
            if "error" in told:  # inside an answer that began with 200
                raise _refused(doing, 500, str(told["error"]), {})
            yield told


def _by(labels: Mapping[str, str]) -> Mapping[str, list[str]]:
    return {"label": [f"{name}={value}" for name, value in labels.items()]} if labels else {}


def parts(reference: str) -> tuple[str, str]:
    """(name, tag or digest): the Engine would otherwise pull every tag of the name."""
    name, at, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    tagged = colon and "/" not in tag
    bare = head if tagged else name
    return bare, digest if at else tag if tagged else "latest"


def _number(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


@contextmanager
def _told(doing: str, *, looking: bool = False) -> Iterator[None]:
    """Turn what the SDK raises while *doing* into an EngineError. looking: nothing is changed by it."""
    import docker.errors
    import requests.exceptions
    import urllib3.exceptions

    try:
        yield
    except docker.errors.APIError as error:
        status = error.status_code or 0
        headers = error.response.headers if error.response is not None else {}
        raise _refused(doing, status, str(error.explanation or error), headers, looking=looking) from error
    except (requests.exceptions.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
        raise _lost(doing, error) from error
    except docker.errors.DockerException as error:
        raise _refused(doing, 400, str(error), {}) from error


def _found(ask: Callable[[], object]) -> object | None:
    """What *ask* answers; None where there is no such thing, or where its removal is already under way."""
    import docker.errors

    try:
        return ask()
    except docker.errors.APIError as error:
        if error.status_code == 404 or (error.status_code == 409 and "already in progress" in str(error.explanation)):
            return None
        raise


def _refused(doing: str, status: int, answer: str, headers: Mapping[str, str], *, looking: bool = False) -> EngineError:
    said = answer.strip().lower()
    waits = headers.get("Retry-After", "")
    pause = float(waits) if waits.isdigit() else _RATE_LIMIT_PAUSE if "toomanyrequests" in said else None
    return EngineError(
        Problem(code="engine-refused", message=f"the Docker Engine did not {doing}: {answer.strip()}"),
        status=status,
        answer=answer.strip(),
        transient=passes(status, said, looking=looking),
        retry_after=pause,
    )


def passes(status: int, said: str, *, looking: bool = False) -> bool:
    """Whether an answer may be another one by itself in a while. *said* is in lower case.

    looking: nothing was to be changed. Then 500 is the Engine's own trouble; else it is Docker's word for nearly
    everything that a container's definition can have wrong, and only what it says can tell.
    """
    if "already allocated" in said or "address already in use" in said:
        return False  # somebody holds the port, and will go on holding it
    if status in {429, 502, 503, 504}:
        return True
    return status >= 500 and (looking or any(words in said for words in _PASSING))


def _lost(doing: str, error: Exception) -> EngineError:
    reason = _innermost(error)
    return EngineError(
        Problem(
            code="engine-lost",
            message=f"the Docker Engine did not answer while asked to {doing}: {reason}",
            fix="see that it runs: `docker info`",
        ),
        status=0,
        answer=reason,
        transient=True,
    )


def _innermost(error: BaseException) -> str:
    """The words of the system's own error, without the layers of HTTP libraries around it."""
    seen: BaseException = error
    while True:
        inner = seen.__cause__ or seen.__context__ or next((a for a in seen.args if isinstance(a, BaseException)), None)
        if inner is None:
            break
        seen = inner
    words = seen.strerror if isinstance(seen, OSError) and seen.strerror else str(seen)
    return words or type(seen).__name__


def _message(response: Any) -> str:
    try:
        return str(response.json()["message"])
    except (ValueError, KeyError, TypeError):
        return str(response.text)
