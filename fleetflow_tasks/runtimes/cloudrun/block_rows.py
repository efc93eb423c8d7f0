# SPDX-License-Identifier: Apache-2.0
"""The larger words of `cloudrun { … }`: what is mounted, the way into a private network, the platform's questions."""

from fleetflow_tasks.config.schema import PORT_LIMITS, Row


def _probe(name: str, doc: str, example: str, *, slowest: int) -> Row:
    """slowest: seconds between two questions that the platform allows at most."""
    return Row(
        name=name,
        kind="block",
        doc=doc,
        example=example,
        rows=(
            Row(name="http", doc="Path that must be answered with 2xx or 3xx."),
            Row(
                name="tcp",
                doc="The port must take a connection; what `startup` asks where it says nothing.",
                type="bool",
                default="false",
            ),
            Row(name="grpc", doc='Name of a service of the gRPC health protocol; `""` asks for the whole server.'),
            Row(
                name="port",
                doc="Port inside the container.",
                type="int",
                low=PORT_LIMITS[0],
                high=PORT_LIMITS[1],
                default="the service's own",
            ),
            Row(name="delay", doc="Time before the first question.", type="seconds", low=0, high=slowest, default="0"),
            Row(
                name="interval",
                doc="Time between two questions, whole seconds.",
                type="seconds",
                low=1,
                high=slowest,
                default="10",
            ),
            Row(
                name="timeout",
                doc="Time that one answer may take, at most `interval`.",
                type="seconds",
                low=1,
                high=slowest,
                default="1",
            ),
            Row(name="retries", doc="Failures in a row that count.", type="int", low=1, high=1000, default="3"),
        ),
    )


MEMORY = Row(
    name="memory",
    kind="block",
    many=True,
    emptied=True,
    into="memory_volumes",
    doc="A folder held in memory, shared by nobody; what is in it counts against the instance's memory.",
    example='memory "/cache" size="256Mi"',
    positional=("target",),
    rows=(
        Row(name="target", doc="Absolute path inside the container.", required=True),
        Row(name="size", doc="What it may hold.", type="bytes", low=1, default="half of the instance's memory"),
    ),
)

NFS = Row(
    name="nfs",
    kind="block",
    many=True,
    emptied=True,
    into="nfs_volumes",
    doc="A folder of an NFS server, reached through `vpc`.",
    example='nfs "10.0.0.2:/share" "/data" read_only=#true',
    positional=("source", "target"),
    rows=(
        Row(name="source", doc="Server and path, `server:/path`.", required=True),
        Row(name="target", doc="Absolute path inside the container.", required=True),
        Row(name="read_only", doc="Nothing may be written.", type="bool", default="false"),
    ),
)

SECRET_FILE = Row(
    name="secret_file",
    kind="block",
    many=True,
    emptied=True,
    into="secret_files",
    doc="A secret of Secret Manager as a file.",
    example='secret_file "projects/p/secrets/tls/versions/3" "/etc/tls/key.pem"',
    positional=("ref", "target"),
    rows=(
        Row(name="ref", doc="The secret, as `ref` of `secrets` has it.", required=True),
        Row(name="target", doc="Absolute path of the file; its folder holds nothing else.", required=True),
    ),
)

STARTUP = _probe(
    "startup",
    "What must be answered before an instance gets requests; within 240 s.",
    'startup http="/health" interval=2 retries=30',
    slowest=240,
)

LIVENESS = _probe(
    "liveness",
    "What must go on being answered, or the instance is started again: `http` or `grpc`.",
    'liveness http="/health" interval=30',
    slowest=3600,
)

VPC = Row(
    name="vpc",
    kind="block",
    doc="Its way into a private network: a subnet of it, or a connector.",
    example='vpc network="default" subnet="run" egress="all-traffic"',
    rows=(
        Row(name="network", doc="Name of the network."),
        Row(name="subnet", doc="Name of the subnet that gives it addresses.", default="the network's name"),
        Row(name="tags", kind="values", doc="Tags for the network's firewall."),
        Row(name="connector", doc="A Serverless VPC Access connector, in place of `network`."),
        Row(
            name="egress",
            doc="What goes through it.",
            choices=("private-ranges-only", "all-traffic"),
            default="private-ranges-only",
        ),
    ),
)
