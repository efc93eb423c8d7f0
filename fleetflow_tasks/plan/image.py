# SPDX-License-Identifier: Apache-2.0
"""The grammar of image references, and which image a service means by `image` and `version`.

    [registry[:port]/]path[/path…][:tag][@algorithm:hex]

The tag is what follows the last `:` behind the last `/`: `registry:5000/x` has none. The first part is a registry only
if it holds a `.` or a `:`, or is `localhost`; else it belongs to the path (`library/redis`).
"""

import re
from collections.abc import Iterable

from msgspec.structs import replace

from fleetflow_tasks.config.model import Data

_PART = re.compile(r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*")
_REGISTRY = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\])(?::[0-9]+)?")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")
_LONG = re.compile(r"(sha256:[0-9a-f]{12}|sha512:[0-9a-f]{12})[0-9a-f]+")
_DIGEST_RULE = "a digest is `sha256:` and 64 hexadecimal digits"
_TAG_RULE = "a tag is up to 128 letters, digits, `_`, `.` and `-`, and begins with none of the last two"
CONTENT = "b"  # before a content's hash in a tag: one of digits alone reads like a number in many a tool
_CONTENT_LENGTH = 12  # digits; as many as `docker` shows of an id
_LONGEST = 255  # characters of registry and path together, as registries have it


class Reference(Data, frozen=True, kw_only=True):
    """registry, tag, digest: empty where the text has none. path: without the registry."""

    path: str
    registry: str = ""
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        return f"{self.registry}/{self.path}" if self.registry else self.path

    @property
    def floating(self) -> bool:
        """What it names may change any day: the tag `latest`, or none at all, and no digest."""
        return not self.digest and self.tag in {"", "latest"}

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


class ImageError(ValueError):
    """The text names no image. Its message is complete, its `fix` is empty where nobody can know.

    field: the node that is to blame, `image` or `version`.
    """

    def __init__(self, message: str, fix: str = "", *, field: str = "image") -> None:
        super().__init__(message)
        self.fix = fix
        self.field = field


def parse(text: str) -> Reference:
    """Raises ImageError."""
    if "://" in text:
        scheme, _, rest = text.partition("://")
        raise ImageError(f"image `{text}` begins as an address of the web does", f"leave `{scheme}://` out: `{rest}`")
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise ImageError(f"image `{text}` has a digest that is none", _DIGEST_RULE)
    name, colon, tag = _cut_tag(name)
    if colon and not _TAG.fullmatch(tag):
        raise ImageError(f"image `{text}` has a tag that is none", _TAG_RULE)
    registry, path = _cut_registry(name)
    if registry and not _REGISTRY.fullmatch(registry):
        raise ImageError(f"image `{text}` names a registry that is none: `{registry}`")
    _check_path(text, path)
    if len(name) > _LONGEST:
        raise ImageError(f"image name of {len(name)} characters, {_LONGEST} are allowed: `{name[:40]}…`")
    return Reference(registry=registry, path=path, tag=tag, digest=digest)


def short(text: str) -> str:
    """*text* for people's eyes: of a digest, or of a bare image id, the first twelve digits, as `docker` shows them."""
    return _LONG.sub(r"\1", text)


def pinned(text: str, digests: Iterable[str]) -> str:
    """*text* with the digest under which its own registry knows the image; "" where none of *digests* is of its name.

    digests: of one image, each as `name@sha256:…`. Any of them that has the name means that image.
    """
    reference = parse(text)
    if reference.digest:
        return text
    known = (parse(each) for each in sorted(digests))
    found = next((each.digest for each in known if each.digest and _in_full(each) == _in_full(reference)), "")
    return f"{text}@{found}" if found else ""


def is_id(text: str) -> bool:
    """Whether *text* is no name but an image's own id, which only the engine knows that has the image."""
    return _DIGEST.fullmatch(text) is not None


def named(service: str, image: str | None, version: str | None) -> Reference:
    """The image that *service* means: a tag of its own, else the version, else `latest`; without image, the service's name.

    A version that is a digest (`sha256:…`) pins the image. Raises ImageError, also where tag or digest and version differ.
    """
    reference = parse(image if image is not None else service)
    said = reference.tag or reference.digest
    if version is None:
        return reference if said else _with(reference, "latest")
    if not said:
        return _with(reference, version)
    if version not in {reference.tag, reference.digest}:
        kind = "tag" if reference.tag else "digest"
        raise ImageError(
            f"image `{reference}` has the {kind} `{said}`, but the version is `{version}`",
            f'keep one of the two: `image "{reference.name}"` with the version, or the image alone',
            field="version",
        )
    return reference


def built(project: str, service: str, image: str | None, version: str | None, content: str) -> Reference:
    """The image that *service* is built as: without image `{project}-{service}`; without tag or version, its content is it.

    content: the hash of all that goes in. So the same content is the same image in every stage, and another content is
    another one. Raises ImageError.
    """
    reference = parse(image if image is not None else _fitting(f"{project}-{service}"))
    digest = reference.digest or (version if version and is_id(version) else "")
    if digest:
        raise ImageError(
            f"it is built, so the digest `{short(digest)}` cannot be chosen",
            "leave out the digest, or `build`",
        )
    tag = f"{CONTENT}{content[:_CONTENT_LENGTH]}"
    return named(service, str(reference), version or reference.tag or tag)


def is_pushable(reference: Reference) -> bool:
    """Whether the name means a registry's: Docker Hub takes none without a user's name before it."""
    return bool(reference.registry) or "/" in reference.path


def _fitting(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def _with(reference: Reference, version: str) -> Reference:
    if version.startswith(("sha256:", "sha512:")):
        if _DIGEST.fullmatch(version):
            return replace(reference, digest=version)
        raise ImageError(f"version `{version}` is no digest", _DIGEST_RULE, field="version")
    if _TAG.fullmatch(version):
        return replace(reference, tag=version)
    raise ImageError(f"version `{version}` is no tag of an image", _TAG_RULE, field="version")


def _in_full(reference: Reference) -> str:
    """The name with what Docker leaves out of it: `redis` is `docker.io/library/redis`."""
    if reference.registry not in {"", "docker.io", "index.docker.io"}:
        return reference.name
    return f"docker.io/{reference.path if '/' in reference.path else f'library/{reference.path}'}"


def _cut_tag(name: str) -> tuple[str, str, str]:
    slash = name.rfind("/")
    last, colon, tag = name[slash + 1 :].partition(":")
    return name[: slash + 1] + last, colon, tag


def _cut_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if slash and ("." in first or ":" in first or first == "localhost"):
        return first, rest
    return "", name


def _check_path(text: str, path: str) -> None:
    if all(_PART.fullmatch(part) for part in path.split("/")):
        return
    if not text:
        raise ImageError("the image is empty", 'name one, such as `image "postgres"`, or leave the node out')
    lower = text.replace(path, path.lower(), 1)
    if all(_PART.fullmatch(part) for part in path.lower().split("/")):
        raise ImageError(f"image `{text}` holds capital letters", f"image names are lower case: `{lower}`")
    raise ImageError(
        f"image `{text}` is no image name", "a name is lower-case letters and digits, joined by `.`, `_`, `-` and `/`"
    )
