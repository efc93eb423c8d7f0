# SPDX-License-Identifier: Apache-2.0
"""Desired and observed -> operations, each decision with its cause. Pure; prints itself.

How a container is replaced, and why in this order:

    overlap   start new · wait · introduce new · withdraw old · linger · stop old · rename · rename · remove old
    swap      old's restart policy off · stop old · start new · wait · rename · rename · remove old

In an overlap every request has to be served. DNS hands out the address of any running container that bears the
service's alias, ready or not; so the new one is made without it, and is introduced when it is ready. And before the old
one is told to stop it is withdrawn, and has a moment for those who got its address just before. At each point at least
one of the two is in DNS, and ready. Both operations do nothing where their end is reached, so they may come again.

The swap is for what two containers cannot share: a published port, a volume that is written. The policy goes off first,
because an Engine that restarts in the middle would otherwise bring the old one back to its port. Renames come last:
containers are found by label, so a crash between any two calls leaves something that the next run understands, and what
it understands is in `_settled`. If the new one fails, `undo` is carried out instead: the same old container runs again.

A label cannot be changed, so a container's hash would lie if its settings were changed in place and then changed back.
Therefore the values of limits are not in the hash; a service that has limits is inspected for them, and they alone are
changed in place. Every other change replaces the container.
"""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from fleetflow_tasks.config.model import Data, ServiceName
from fleetflow_tasks.plan.image import short
from fleetflow_tasks.runtimes.base import Change, ChangeKind
from fleetflow_tasks.runtimes.docker.desired import NEXT, PREVIOUS, Definition, hashed
from fleetflow_tasks.runtimes.docker.observe import Container

_ALIVE = {"running", "paused", "restarting"}
_JUST_STARTED = ("Up Less than a second", "Up 1 second")  # the Engine's words
_NO_BUILD = "build: no such image yet"
_ONE_CALL = 10.0  # seconds that one stop call may wait; more is waited for outside of a call
# Seconds between the withdrawal and the stop. A client that knew the address before may have knocked while the
# container was off the network; the system knocks again after one second.
_LINGER = 1.5

# Operations name a container by the name it has at that moment; `apply` knows the ids.


class Create(Data, frozen=True, kw_only=True, tag="create"):
    """apart: without the service's alias in DNS, until it is introduced."""

    name: str
    apart: bool = False


class Start(Data, frozen=True, kw_only=True, tag="start"):
    name: str


class Signal(Data, frozen=True, kw_only=True, tag="signal"):
    name: str
    signal: str


class Stop(Data, frozen=True, kw_only=True, tag="stop"):
    """grace: seconds between the stop signal and KILL."""

    name: str
    grace: int


class Restart(Data, frozen=True, kw_only=True, tag="restart"):
    """Stop and start in one call, so that whoever sends it may die over it. grace: as of a stop."""

    name: str
    grace: int


class Rename(Data, frozen=True, kw_only=True, tag="rename"):
    name: str
    to: str


class Remove(Data, frozen=True, kw_only=True, tag="remove"):
    name: str


class Policy(Data, frozen=True, kw_only=True, tag="policy"):
    name: str
    policy: str


class Limit(Data, frozen=True, kw_only=True, tag="limit"):
    name: str
    limits: Mapping[str, int]


class Introduce(Data, frozen=True, kw_only=True, tag="introduce"):
    """From now on DNS answers *alias* with its address, too. Its connections go on."""

    name: str
    network: str
    alias: str


class Withdraw(Data, frozen=True, kw_only=True, tag="withdraw"):
    """From now on DNS does not answer *alias* with its address. Its connections go on."""

    name: str
    network: str
    alias: str


class Linger(Data, frozen=True, kw_only=True, tag="linger"):
    """Time for what is under way to come to its end."""

    name: str
    seconds: float


class AwaitReady(Data, frozen=True, kw_only=True, tag="await-ready"):
    name: str


class AwaitEnd(Data, frozen=True, kw_only=True, tag="await-end"):
    """Until it has ended, at most *seconds*."""

    name: str
    seconds: float


Operation = (
    Create
    | Start
    | Signal
    | Stop
    | Restart
    | Rename
    | Remove
    | Policy
    | Limit
    | Introduce
    | Withdraw
    | Linger
    | AwaitReady
    | AwaitEnd
)


class Decision(Data, frozen=True, kw_only=True):
    """What to do, and what to do instead of the rest where a part of it fails.

    serving: the name of the container that serves while and after the new one fails; "" where there is none.
    """

    change: Change
    forward: tuple[Operation, ...] = ()
    undo: tuple[Operation, ...] = ()
    serving: str = ""

    def describe(self) -> str:
        """One line per operation, as people read it."""
        head = f"{self.change.kind}: {self.change.cause}" if self.change.cause else self.change.kind
        lines = [head, *(f"  {said(operation)}" for operation in self.forward)]
        return "\n".join([*lines, *(f"  or else {said(operation)}" for operation in self.undo)])


def said(operation: Operation) -> str:
    match operation:
        case Create(name=name, apart=apart):
            return f"create {name}" + (", not in DNS yet" if apart else "")
        case Start(name=name):
            return f"start {name}"
        case Signal(name=name, signal=signal):
            return f"send {signal} to {name}"
        case Stop(name=name, grace=grace):
            return f"stop {name} within {grace} s"
        case Restart(name=name, grace=grace):
            return f"restart {name} within {grace} s"
        case Rename(name=name, to=to):
            return f"rename {name} to {to}"
        case Remove(name=name):
            return f"remove {name}"
        case Policy(name=name, policy=policy):
            return f"set the restart policy of {name} to {policy}"
        case Limit(name=name, limits=limits):
            return f"set limits of {name}: " + ", ".join(f"{key}={value}" for key, value in sorted(limits.items()))
        case Introduce(name=name, alias=alias):
            return f"give {name} its place in DNS as `{alias}`"
        case Withdraw(name=name, alias=alias):
            return f"take {name} out of DNS as `{alias}`"
        case Linger(name=name, seconds=seconds):
            return f"let {name} end what it began, {seconds:g} s"
        case AwaitReady(name=name):
            return f"wait until {name} is ready"
        case AwaitEnd(name=name, seconds=seconds):  # pragma: no branch  (the last there is)
            return f"wait until {name} has ended, at most {seconds:g} s"


def decide(
    desired: Definition, image: str, containers: Sequence[Container], *, run: str = "", network: str = ""
) -> Decision:
    """What makes *containers*, those of one service, into what is desired.

    image: the id behind the desired reference. run: whose deployment this is, for `rerun "always"`.
    network: the id of the stage's network, "" where it was not asked for.
    """
    current, following, first, last = _settled(desired, containers)
    if current is None:
        return _created(desired, image)
    cause = unfit(desired, image, current, run=run, network=network)
    if not cause:
        decision = _kept(desired, current, following)
    else:
        ready = following is not None and not unfit(desired, image, following, run=run, network=network)
        decision = _replaced(desired, current, following, cause, usable=ready)
    return _tidied(decision, first, last)


def prepared(
    desired: Definition, image: str, containers: Sequence[Container], *, run: str, network: str = ""
) -> tuple[Operation, ...]:
    """What can be done before the deployment: adds only, and replaces what was itself only prepared."""
    names = {container.name: container for container in containers}
    if not names:
        return (Create(name=desired.name),)
    current, following = names.get(desired.name), names.get(desired.name + NEXT)
    fits = [c for c in (current, following) if c and not unfit(desired, image, c, run=run, network=network)]
    if fits or current is None:
        return ()
    create = Create(name=desired.name + NEXT, apart=_beside(desired, current))
    if following is None:
        return (create,)
    return () if following.state in _ALIVE else (Remove(name=following.name), create)


def restarted(
    desired: Definition,
    image: str,
    containers: Sequence[Container],
    *,
    run: str,
    network: str = "",
    again: bool = False,
) -> Decision:
    """What starts a service anew with the content that it has: beside the old one where that can be, else in place.

    What is made beside it is made from the text, so only where that says what runs. And not where the old one keeps
    something in an anonymous volume, for that would go with it. run: whose mark tells that it was done already.
    again: an earlier attempt may have stopped it.
    """
    current, following, first, last = _settled(desired, containers)
    if current is None or desired.job or not (current.state in _ALIVE or (again and current.state == "exited")):
        return Decision(change=Change(kind="none", cause="not running"))
    if current.mark.run == run:
        decision = Decision(change=Change(kind="none"), forward=(AwaitReady(name=current.name),))
    elif why := _alone(desired, image, current, network):
        decision = _again(desired, current, following, why)
    else:
        ready = following is not None and following.mark.run == run
        cause = "the old one served until the new one was ready"
        decision = _replaced(desired, current, following, cause, usable=ready)
    return _tidied(decision, first, last)


def removed(containers: Collection[Container]) -> tuple[Operation, ...]:
    """Stop and remove all of *containers*."""
    return tuple(operation for container in containers for operation in (*_stopped(container), _gone(container)))


def superfluous(wanted: Collection[ServiceName], containers: Sequence[Container]) -> tuple[Container, ...]:
    """Which of a stage's *containers* the plan does not hold: other services, and leftovers beside the named one."""
    names = {container.name for container in containers}
    return tuple(
        container
        for container in containers
        if container.mark.service not in wanted
        or (_base(container.name) != container.name and _base(container.name) in names)
    )


def unstarted(run: str, containers: Sequence[Container]) -> tuple[Container, ...]:
    """Which of *containers* that run prepared and nobody has ever started."""
    return tuple(container for container in containers if container.state == "created" and container.mark.run == run)


def newer(containers: Sequence[Container], generation: int) -> Container | None:
    """One that a later run than *generation* made: this run is stale and must not touch anything."""
    return next((container for container in containers if container.mark.generation > generation), None)


def unfit(desired: Definition, image: str, container: Container, *, run: str = "", network: str = "") -> str:
    """Why *container* is not what is desired, limits aside; "" where it is."""
    if container.state in {"dead", "removing"}:
        return f"the container is {container.state}"
    if container.mark.hash != hashed(desired, image):
        return _changed(desired, image, container)
    if desired.network not in container.networks:
        return f"not on network `{desired.network}`"
    joined = container.networks[desired.network]
    if network and joined and joined != network and container.state not in _ALIVE and not desired.job:
        return f"network `{desired.network}` was made anew"
    if container.state == "exited" and desired.job:
        if container.exit != 0:
            return f"it ended with exit code {container.exit}"
        if desired.rerun and container.mark.run != run:
            return 'rerun "always"'
    return ""


def _changed(desired: Definition, image: str, container: Container) -> str:
    if not container.mark.hash:
        return "made by another tool, now adopted"
    if desired.build and not image:
        return "build: the context changed" if container.build not in {"", desired.build} else _NO_BUILD
    if container.reference != desired.image:
        return f"image changed: {short(container.reference)} -> {short(desired.image)}"
    if container.image != image:
        return f"image changed: `{desired.image}` is another one now"
    return "configuration changed"


def _settled(
    desired: Definition, containers: Sequence[Container]
) -> tuple[Container | None, Container | None, tuple[Operation, ...], tuple[Operation, ...]]:
    """(the one that counts, the one prepared to follow it, what to do first, what to do last).

    Reads back where an interrupted replacement stands: `.prev` beside `.next` means that the new one was ready.
    """
    name = desired.name
    names = {container.name: container for container in containers}
    current = names.pop(name, None)
    following = names.pop(name + NEXT, None)
    first: tuple[Operation, ...] = ()
    if current is None and following is not None:
        current, following = following, None
    elif current is None and names:
        current = names.pop(max(names.values(), key=lambda each: (each.state in _ALIVE, each.created)).name)
    if current is not None and current.name != name:
        first = (Rename(name=current.name, to=name), *_introduced(desired, name))
        current = msgspec.structs.replace(current, name=name)
    previous = names.pop(name + PREVIOUS, None)  # its name is needed again, and it serves nobody any more
    return current, following, (*first, *removed([previous] if previous else [])), removed(list(names.values()))


def _tidied(decision: Decision, first: tuple[Operation, ...], last: tuple[Operation, ...]) -> Decision:
    if not first and not last:
        return decision
    change = decision.change
    if change.kind == "none":
        change = Change(kind="update", cause="an interrupted replacement is brought to its end")
    return msgspec.structs.replace(decision, change=change, forward=(*first, *decision.forward, *last))


def _created(desired: Definition, image: str) -> Decision:
    name = desired.name
    cause = "not there" if image or not desired.build else f"not there, {_NO_BUILD}"
    return Decision(
        change=Change(kind="run" if desired.job else "create", cause=cause),
        forward=(Create(name=name), Start(name=name), AwaitReady(name=name)),
    )


def _kept(desired: Definition, current: Container, following: Container | None) -> Decision:
    """It is what is desired, but may not run, or not well."""
    name = current.name
    restored: tuple[Operation, ...] = ()
    tidy: tuple[Operation, ...] = ()
    if following is not None:  # an interrupted swap: the policy may be off, and `.next` is not wanted any more
        again = _introduced(desired, name) if _ran(following) else ()
        tidy = (*again, *removed([following]))
    if current.state != "created" and current.restart != "no" and (following is not None or current.state == "exited"):
        restored = (Policy(name=name, policy=current.restart),)
    awaited = AwaitReady(name=name)

    def kept(kind: ChangeKind, cause: str, *forward: Operation) -> Decision:
        if kind == "none" and tidy:
            kind, cause = "update", "an interrupted replacement is tidied up"
        return Decision(change=Change(kind=kind, cause=cause), forward=(*tidy, *forward))

    if desired.job:
        match current.state:
            case "exited":
                return kept("none", "")
            case "created":
                return kept("run", "prepared, not started yet", Start(name=name), awaited)
            case _:
                return kept("run", "still running", awaited)
    limit = _limited(desired, current)
    match current.state:
        case "exited":
            cause = f"stopped (exit code {current.exit})"
            return kept("start", cause, *limit, *restored, Start(name=name), awaited)
        case "created":
            return kept("create", "prepared, not started yet", *limit, Start(name=name), awaited)
        case "running" if current.health == "starting":
            return kept("start", "still starting", *restored, *limit, awaited)
        case "running" if current.health != "unhealthy":
            check = (awaited,) if desired.readiness or current.text.startswith(_JUST_STARTED) else ()
            if limit:
                return kept("update", "limits changed", *restored, *limit, *check)
            return kept("none", "", *restored, *check)
        case _:
            cause = "unhealthy" if current.state == "running" else f"it is {current.state}"
            return kept("start", cause, *_stopped(current), *limit, *restored, Start(name=name), awaited)


def _alone(desired: Definition, image: str, current: Container, network: str) -> str:
    """Why no other one can run beside *current* for a restart; "" where one can."""
    if unfit(desired, image, current, network=network):
        return "what runs is not what the text says, as far as that is known here"
    if any(mount.anonymous for mount in current.mounts):
        return "it keeps data in an anonymous volume"
    return _shared(desired, current)


def _again(desired: Definition, current: Container, following: Container | None, why: str) -> Decision:
    """The same container, stopped and started: nothing in it is lost."""
    name = current.name
    tidy: tuple[Operation, ...] = ()
    if following is not None:
        tidy = (*(_introduced(desired, name) if _ran(following) else ()), *removed([following]))
    policy = (Policy(name=name, policy=current.restart),) if following is not None and current.restart != "no" else ()
    *slowly, stop = _stopped(current) or (Stop(name=name, grace=0),)
    assert isinstance(stop, Stop)  # noqa: S101  (the last of what stops one)
    anew = Restart(name=name, grace=stop.grace) if current.state in _ALIVE else Start(name=name)
    return Decision(
        change=Change(kind="start", cause=f"in place: {why}", downtime="until it is ready again"),
        forward=(*tidy, *policy, *slowly, anew, AwaitReady(name=name)),
    )


def _limited(desired: Definition, current: Container) -> tuple[Operation, ...]:
    if current.limits is None:
        return ()
    held = current.limits
    differing = {key: value for key, value in desired.limits.items() if held.get(key) != value}
    return (Limit(name=current.name, limits=differing),) if differing else ()


def _replaced(
    desired: Definition, current: Container, following: Container | None, cause: str, *, usable: bool
) -> Decision:
    """usable: *following* is what is desired already, prepared by this run or left by an interrupted one."""
    new, old = desired.name + NEXT, current.name
    shared = _shared(desired, current) if current.state in _ALIVE else ""
    beside = _beside(desired, current)
    waiting = following.state if following is not None and usable else ""
    forward: list[Operation] = []
    if following is not None:
        forward += _placed(desired, old, following, beside=beside, usable=usable)
    if not usable:
        forward.append(Create(name=new, apart=beside))
    if shared:
        forward += [Policy(name=old, policy="no")] if current.restart != "no" else []
        forward += _stopped(current)
    if waiting != "running" and not (desired.job and waiting == "exited"):
        forward.append(Start(name=new))
    forward.append(AwaitReady(name=new))
    if beside:
        forward += [*_introduced(desired, new), *_withdrawn(desired, current)]
    if not shared:
        forward += _stopped(current)
    forward += [Rename(name=old, to=old + PREVIOUS), Rename(name=new, to=old), Remove(name=old + PREVIOUS)]
    kind: ChangeKind = "run" if desired.job else "replace"
    return Decision(
        change=Change(kind=kind, cause=cause + _lost(desired, current), downtime=_downtime(shared)),
        forward=tuple(forward),
        undo=_undone(desired, current, new, beside=beside, again=_ran(following)),
        serving="" if desired.job or current.state == "created" else old,
    )


def _beside(desired: Definition, current: Container) -> bool:
    """Whether the new one starts while the old one serves. A job serves nobody."""
    return current.state in _ALIVE and not desired.job and not _shared(desired, current)


def _placed(
    desired: Definition, old: str, following: Container, *, beside: bool, usable: bool
) -> tuple[Operation, ...]:
    """What makes *following*, found beside *old*, fit for its use, or makes away with it."""
    again = _introduced(desired, old) if beside and _ran(following) else ()
    if not usable:
        return (*again, *removed([following]))
    if not beside:
        return _introduced(desired, following.name) if following.apart else ()
    if following.state == "running" or (following.state == "created" and following.apart):
        return ()
    return (*again, Withdraw(name=following.name, network=desired.network, alias=desired.service))


def _ran(following: Container | None) -> bool:
    """Whether an interrupted run came further than to prepare it, and may have withdrawn the old one already."""
    return following is not None and following.state != "created"


def _introduced(desired: Definition, name: str) -> tuple[Operation, ...]:
    return () if desired.job else (Introduce(name=name, network=desired.network, alias=desired.service),)


def _withdrawn(desired: Definition, current: Container) -> tuple[Operation, ...]:
    """Not where it would come back under another address: that cuts its connections, and the stop alone may not."""
    if current.state != "running" or not current.address:
        return ()
    seconds = min(_LINGER, current.grace)  # who said that it stops at once did not mean to wait for this
    withdraw = Withdraw(name=current.name, network=desired.network, alias=desired.service)
    return (withdraw, Linger(name=current.name, seconds=seconds)) if seconds else (withdraw,)


def _undone(desired: Definition, current: Container, new: str, *, beside: bool, again: bool) -> tuple[Operation, ...]:
    """A job's failed container stays for its output to be read; the next run replaces it.

    again: what is undone goes on from an interrupted run, which may have withdrawn the old one.
    """
    if desired.job:
        return ()
    if beside:
        return (*_introduced(desired, current.name), Remove(name=new))
    if current.state == "created":
        return (Remove(name=new),)
    policy = (Policy(name=current.name, policy=current.restart),) if current.restart != "no" else ()
    named = _introduced(desired, current.name) if again else ()
    return (*policy, *named, Remove(name=new), Start(name=current.name))


def _shared(desired: Definition, current: Container) -> str:
    """What the old and the new container cannot both have, as words for `downtime`; "" where they can run at once."""
    kept = {
        f"{current.chosen[inside]}/{inside.rpartition('/')[2]}" for inside in desired.choose if inside in current.chosen
    }
    if {*desired.fixed_ports, *kept} & set(current.ports):
        return "published port"
    written = {mount.source for mount in current.mounts if mount.writable}
    for source in sorted(set(desired.writable) & written):
        return f"volume `{source}`"
    return ""


def _downtime(shared: str) -> str:
    return f"~1 s: {shared}" if shared else "none"


def _lost(desired: Definition, current: Container) -> str:
    """Anonymous volumes go with their container; somebody may have thought otherwise."""
    held = sorted(mount.target for mount in current.mounts if mount.anonymous)
    return (
        f"; what the old one kept at {', '.join(held)} (anonymous volume) goes with it"
        if held and not desired.job
        else ""
    )


def _stopped(container: Container) -> tuple[Operation, ...]:
    if container.state not in _ALIVE:
        return ()
    if container.grace <= _ONE_CALL:
        return (Stop(name=container.name, grace=int(container.grace)),)
    return (
        Signal(name=container.name, signal=container.signal),
        AwaitEnd(name=container.name, seconds=container.grace),
        Stop(name=container.name, grace=0),
    )


def _gone(container: Container) -> Operation:
    return Remove(name=container.name)


def _base(name: str) -> str:
    return name.removesuffix(NEXT).removesuffix(PREVIOUS)
