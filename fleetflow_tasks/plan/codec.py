# SPDX-License-Identifier: Apache-2.0
"""Plan <-> bytes. What a scheduler needs is readable, what only a runtime needs is sealed.

    header \\n clear sealed

header: JSON, one line: schema, run, project, stage, the id of the key, how long `clear` is. clear: the steps and the
services' names, JSON, deflated. sealed: everything else (images, environment, secrets, options, root), JSON, deflated,
then AES-256-GCM with header and clear as associated data. So nobody who can write to Redis can change a step, or bring
one run's plan into another run or stage, without the key; and a process that has no key can still draw the graph.

The bytes are deterministic: the nonce is a keyed hash of all that goes in, so that it repeats only where the whole
plan repeats for the same run, which tells nobody anything (the construction is SIV's). Three keys (sealing, nonce, key
id) are derived from one text by HKDF, so none gives another away. `cryptography` is imported where it is used: a plan
that stays in this process needs none.
"""

import hashlib
import hmac
import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import msgspec

from fleetflow_tasks.config.model import Data, ProjectName, Secret, ServiceName, StageName
from fleetflow_tasks.errors import Problem, RefusedError
from fleetflow_tasks.plan.model import SCHEMA, Plan, ResolvedService, Step

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SHORTEST = 32  # characters of a key: 192 bits in base64, 128 in hexadecimal
_NONCE = 12  # bytes, what GCM is made for
_LARGEST = 64 * 2**20  # bytes of a readable part; 100,000 services make some 30 MB
_LEVEL = 6  # zlib's own default, said so that the bytes do not follow a change of it


class KeyMaterial:
    """The text that keys are derived from. It prints `[hidden]`."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "KeyMaterial([hidden])"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyMaterial) and hmac.compare_digest(other._text.encode(), self._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    @property
    def id(self) -> str:
        """Says which key this is, and nothing of it: safe in a header, a log, an error."""
        return self.derived("key id", 4).hex()

    def derived(self, purpose: str, length: int = 32) -> bytes:
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        info = f"fleetflow plan {purpose}".encode()
        return HKDF(algorithm=SHA256(), length=length, salt=None, info=info).derive(self._text.encode())


class Keys(Data, frozen=True, kw_only=True):
    """current seals; both open. previous: the key before the last rotation, while runs sealed with it may be alive."""

    current: KeyMaterial
    previous: KeyMaterial | None = None

    @property
    def ids(self) -> tuple[str, ...]:
        """Which keys these are, and nothing of them."""
        return tuple(key.id for key in (self.current, self.previous) if key is not None)

    def named(self, id_: str) -> KeyMaterial | None:
        return next((key for key in (self.current, self.previous) if key is not None and key.id == id_), None)


class Header(Data, frozen=True, kw_only=True):
    """What a sealed plan says of itself. clear: bytes of the readable part that follows."""

    schema: int
    run: str
    project: ProjectName
    stage: StageName
    key: str
    clear: int


class Readable(Data, frozen=True, kw_only=True):
    """What can be read without a key, and is believed only after unsealing."""

    services: tuple[ServiceName, ...]
    steps: tuple[Step, ...]


class NewerSchemaError(RefusedError):
    """A newer FleetFlow made this plan: leave it to a newer worker. schema: its number."""

    def __init__(self, schema: int) -> None:
        super().__init__(
            Problem(
                code="newer-schema",
                message=f"the plan has schema {schema}, this FleetFlow knows up to {SCHEMA}",
                fix="bring this worker to the version of the one who submitted",
            )
        )
        self.schema = schema


def parse_key(text: str) -> KeyMaterial:
    """A key as people keep it: any text of at least 32 characters, base64 or not. Raises RefusedError where it is shorter."""
    text = text.strip()
    if len(text) < SHORTEST:
        raise RefusedError(
            Problem(
                code="key-too-short",
                message=f"the key has {len(text)} characters, at least {SHORTEST} are needed",
                fix="make one with `openssl rand -base64 32`, and give it to submitter and workers as `FLEETFLOW_KEY`",
            )
        )
    return KeyMaterial(text)


def seal(plan: Plan, keys: Keys, run: str) -> bytes:
    """The plan's bytes for *run*, sealed with the current key; the same input gives the same bytes."""
    clear = _deflated(Readable(services=tuple(service.name for service in plan.services), steps=plan.steps))
    header = Header(
        schema=plan.schema, run=run, project=plan.project, stage=plan.stage, key=keys.current.id, clear=len(clear)
    )
    readable = _json(header) + b"\n" + clear
    values = zlib.compress(
        _json(_Values(root=plan.root, services=plan.services, options=plan.options), _revealed), _LEVEL
    )
    nonce = hmac.digest(keys.current.derived("nonce"), len(readable).to_bytes(8) + readable + values, "sha256")[:_NONCE]
    return readable + nonce + _cipher(keys.current).encrypt(nonce, values, readable)


def unseal(blob: bytes, keys: Keys, *, run: str, project: ProjectName, stage: StageName) -> Plan:
    """The plan in *blob*, if it is unaltered, sealed with one of *keys*, and made for this run, project and stage.

    Raises NewerSchemaError before anything else is looked at, RefusedError for all else that is not right.
    """
    from cryptography.exceptions import InvalidTag

    head = header(blob)
    if (head.run, head.project, head.stage) != (run, project, stage):
        there = f"run {head.run} of {head.project}/{head.stage}"
        raise _refused(
            "plan-elsewhere", f"the plan of run {run} of {project}/{stage} was sealed for {there}", _ALTERED_FIX
        )
    key = keys.named(head.key)
    if key is None:
        raise _other_key(run, head.key, keys)
    readable, nonce, sealed = _parts(blob, head)
    try:
        values = _cipher(key).decrypt(nonce, sealed, readable)
    except (InvalidTag, ValueError) as error:
        raise _altered(run) from error
    return _assembled(
        head, _readable(readable), msgspec.json.decode(zlib.decompress(values), type=_Values, dec_hook=_hidden)
    )


def header(blob: bytes) -> Header:
    """What *blob* says of itself, unchecked. Raises NewerSchemaError, or RefusedError where it is no sealed plan."""
    line, found, _ = blob.partition(b"\n")
    if not found:
        raise _unsealed()
    try:
        schema = msgspec.json.decode(line, type=_Schema).schema
        if schema <= SCHEMA:
            return msgspec.json.decode(line, type=Header)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _unsealed() from error
    raise NewerSchemaError(schema)


def readable(blob: bytes) -> Readable:
    """The steps and the services' names, without a key and therefore unchecked: enough to draw a run, never to act.

    Raises as `header`.
    """
    return _readable(_parts(blob, header(blob))[0])


def content_hash(plan: Plan) -> str:
    """The same for two plans that would do the same: where a line stands, and where the project lies, does not count.

    Secrets count. A plain hash over a weak one would let who reads the hash try out guesses, so they go through scrypt
    first, all at once: some 50 ms a guess, and none where the plan holds no secret.
    """
    services = tuple(
        msgspec.structs.replace(service, places={}, env_from_stage=(), secrets={}) for service in plan.services
    )
    secrets = {service.name: service.secrets for service in plan.services if service.secrets}
    parts = [_json(msgspec.structs.replace(plan, services=services, root=""))]
    if secrets:
        parts.append(hashlib.scrypt(_json(secrets, _revealed), salt=b"fleetflow plan content", n=2**14, r=8, p=1))
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


class _Schema(msgspec.Struct):
    schema: int


class _Values(Data, frozen=True, kw_only=True):
    root: str
    services: tuple[ResolvedService, ...]
    options: Mapping[str, Mapping[str, str]]


def _json(value: object, reveal: Callable[[object], object] | None = None) -> bytes:
    return msgspec.json.encode(value, enc_hook=reveal, order="deterministic")


def _revealed(value: object) -> str:
    """Only what goes into the sealed part may be encoded with this."""
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError(f"{type(value).__name__} in a plan")


def _hidden(kind: type, value: object) -> object:
    """msgspec asks for every type that it does not know, and `object` (a runtime's options) is one of them."""
    return Secret(str(value)) if kind is Secret else value


def _deflated(value: object) -> bytes:
    return zlib.compress(_json(value), _LEVEL)


def _cipher(key: KeyMaterial) -> "AESGCM":
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return AESGCM(key.derived("sealing"))


def _parts(blob: bytes, head: Header) -> tuple[bytes, bytes, bytes]:
    start = blob.index(b"\n") + 1 + head.clear
    return blob[:start], blob[start : start + _NONCE], blob[start + _NONCE :]


def _readable(readable: bytes) -> Readable:
    try:
        return msgspec.json.decode(_inflated(readable.partition(b"\n")[2]), type=Readable)
    except (zlib.error, msgspec.DecodeError, RecursionError) as error:
        raise _unsealed() from error


def _inflated(data: bytes) -> bytes:
    """Nobody has vouched for *data* yet: a few bytes must not become gigabytes."""
    inflate = zlib.decompressobj()
    text = inflate.decompress(data, _LARGEST)
    if not inflate.eof:
        raise zlib.error("cut short, or more than a plan can hold")
    return text


def _assembled(head: Header, clear: Readable, values: _Values) -> Plan:
    return Plan(
        schema=head.schema,
        project=head.project,
        stage=head.stage,
        root=values.root,
        services=values.services,
        steps=clear.steps,
        options=values.options,
    )


_ALTERED_FIX = "submit it again, and find out who else can write to this Redis"


def _altered(run: str) -> RefusedError:
    return _refused("plan-altered", f"the plan of run {run} was altered after it was sealed", _ALTERED_FIX)


def _unsealed() -> RefusedError:
    return _refused("plan-unsealed", "what should be a plan is none, or is not sealed", _ALTERED_FIX)


def _other_key(run: str, key: str, keys: Keys) -> RefusedError:
    ours = ", ".join(each.id for each in (keys.current, keys.previous) if each is not None)
    return RefusedError(
        Problem(
            code="plan-other-key",
            message=f"the plan of run {run} was sealed with another key",
            cause=(f"it names key {key}, this process has {ours}",),
            fix="give submitter and workers the same `FLEETFLOW_KEY`; while it changes, `new,old`",
        )
    )


def _refused(code: str, message: str, fix: str) -> RefusedError:
    return RefusedError(Problem(code=code, message=message, fix=fix))
