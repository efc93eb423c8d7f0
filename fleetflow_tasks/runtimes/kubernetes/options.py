# SPDX-License-Identifier: Apache-2.0
"""What `kubernetes { … }` of a service may say: the rows that the language reads, and the same, typed.

Named as people know them from kubectl, Helm and Compose. Each field is honoured in the manifests.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from fleetflow_tasks.config.model import Data
from fleetflow_tasks.config.schema import Row

ServiceType = Literal["ClusterIP", "NodePort", "LoadBalancer", "Headless"]
AccessMode = Literal["ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"]
Strategy = Literal["rolling", "recreate"]
Effect = Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"]

_ANNOTATION = Row(name="NAME", doc="An annotation and its value.")

TOLERATION = Row(
    name="toleration",
    kind="block",
    many=True,
    into="tolerations",
    doc="A taint of nodes that does not keep its pods away.",
    example='toleration "dedicated" value="batch" effect="NoSchedule"',
    positional=("key",),
    rows=(
        Row(name="key", doc="The taint's key.", default="every key"),
        Row(name="value", doc="The taint's value.", default="every value"),
        Row(
            name="effect",
            doc="The taint's effect.",
            choices=("NoSchedule", "PreferNoSchedule", "NoExecute"),
            default="every effect",
        ),
        Row(name="seconds", doc="How long a pod stays under `NoExecute`.", type="int", low=0, default="for ever"),
    ),
)

SCHEMA: tuple[Row, ...] = (
    Row(
        name="service_type",
        doc="How its Service is reached: inside the cluster, at a port of each node, by a load balancer; `Headless` gives each pod's own address.",
        choices=("ClusterIP", "NodePort", "LoadBalancer", "Headless"),
        default="ClusterIP",
        example='service_type "LoadBalancer"',
    ),
    Row(
        name="node_port",
        doc="Port of every node, with `NodePort` or `LoadBalancer` and one port.",
        type="int",
        low=1,
        high=65535,
        default="the cluster chooses",
        example="node_port 30080",
    ),
    Row(
        name="service_annotations",
        kind="map",
        doc="Annotations of its Service.",
        rows=(_ANNOTATION,),
        example='service_annotations { "external-dns.alpha.kubernetes.io/hostname" "shop.example.org" }',
    ),
    Row(name="ingress_class", doc="Who serves its Ingress.", default="the cluster's", example='ingress_class "nginx"'),
    Row(
        name="ingress_annotations",
        kind="map",
        doc="Annotations of its Ingress.",
        rows=(_ANNOTATION,),
        example='ingress_annotations { "cert-manager.io/cluster-issuer" "letsencrypt" }',
    ),
    Row(
        name="annotations",
        kind="map",
        doc="Annotations of its pods.",
        rows=(_ANNOTATION,),
        example='annotations { "prometheus.io/scrape" "true" }',
    ),
    Row(
        name="service_account",
        kind="block",
        doc="Who its pods are towards the cluster and its cloud.",
        example='service_account create=#true { annotations { "iam.gke.io/gcp-service-account" "api@p.iam.gserviceaccount.com" } }',
        positional=("name",),
        rows=(
            Row(name="name", doc="Its name.", default="the service's, with `create`; else the namespace's `default`"),
            Row(name="create", doc="Make it; else it must be there.", type="bool", default="false"),
            Row(
                name="annotations", kind="map", doc="Its annotations, as workload identity wants.", rows=(_ANNOTATION,)
            ),
            Row(
                name="automount",
                doc="Mount its token, for a service that calls the cluster's API.",
                type="bool",
                default="false",
            ),
        ),
    ),
    Row(
        name="image_pull_secrets",
        kind="values",
        doc="Secrets with credentials of the image's registry.",
        example='image_pull_secrets "registry"',
    ),
    Row(
        name="node_selector",
        kind="map",
        doc="Labels of the nodes that it may run on.",
        rows=(Row(name="NAME", doc="A label and its value."),),
        example='node_selector { "kubernetes.io/arch" "arm64" }',
    ),
    TOLERATION,
    Row(
        name="tolerations",
        kind="list",
        doc="Several of them; empty: none.",
        rows=(TOLERATION,),
        example='tolerations { toleration "gpu" }',
    ),
    Row(name="priority_class", doc="Its pods' PriorityClass.", example='priority_class "high"'),
    Row(name="run_as_user", doc="Number of the user that it runs as.", type="int", low=0, default="the image's"),
    Row(name="run_as_group", doc="Number of its group.", type="int", low=0, default="the image's"),
    Row(name="run_as_non_root", doc="Refuse to run it as root.", type="bool", default="false"),
    Row(name="fs_group", doc="Group that its volumes belong to.", type="int", low=0, default="the volumes' own"),
    Row(name="read_only", doc="Its own file system cannot be written.", type="bool", default="false"),
    Row(name="privileged", doc="All rights on the node's kernel.", type="bool", default="false"),
    Row(name="cap_add", kind="values", doc="Kernel capabilities to add.", example='cap_add "NET_ADMIN"'),
    Row(name="cap_drop", kind="values", doc="Kernel capabilities to take away.", example='cap_drop "ALL"'),
    Row(
        name="restricted",
        doc="Keep the Pod Security Standard `restricted`: no root, no capabilities, no more rights than at the start.",
        type="bool",
        default="false",
    ),
    Row(name="working_dir", doc="Folder that the command starts in.", default="the image's"),
    Row(
        name="stop_grace",
        doc="Time between the signal that asks it to end and SIGKILL.",
        type="seconds",
        low=0,
        default="30 s",
    ),
    Row(
        name="stop_delay",
        doc="Pause before that signal, until no more requests come; added to `stop_grace`.",
        type="seconds",
        low=0,
        default="3 s where it has a TCP port; 0 for a stage with `version` below 1.30",
        example="stop_delay 10",
    ),
    Row(
        name="pre_stop",
        kind="values",
        doc="Command inside before that signal, in place of the pause; it takes its time from `stop_grace`.",
        example='pre_stop "nginx" "-s" "quit"',
    ),
    Row(
        name="storage_class",
        doc="Who makes its volumes.",
        default="the cluster's own choice",
        example='storage_class "fast"',
    ),
    Row(
        name="access_mode",
        doc="Who may mount its volumes at once; with `ReadWriteMany` its copies share them, else each has its own.",
        choices=("ReadWriteOnce", "ReadWriteMany", "ReadOnlyMany", "ReadWriteOncePod"),
        default="ReadWriteOnce",
    ),
    Row(
        name="strategy",
        doc="Whether new pods start beside the old ones or after them.",
        choices=("rolling", "recreate"),
        default="rolling; recreate where only one pod may write a shared volume",
    ),
    Row(
        name="max_surge",
        doc="How many more pods there may be meanwhile: a number or percent.",
        default="25%",
        example='max_surge "100%"',
    ),
    Row(
        name="backoff_limit",
        doc="How often the cluster begins a failed job again.",
        type="int",
        low=0,
        high=1000,
        default="0",
    ),
    Row(
        name="pdb",
        doc="Let maintenance of nodes take only one of several pods at a time.",
        type="bool",
        default="true",
        example="pdb #false",
    ),
)


class Account(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """name: "" means the service's own with `create`, else the namespace's default."""

    name: str = ""
    create: bool = False
    annotations: Mapping[str, str] = {}
    automount: bool = False


class Toleration(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """key, value, effect: "" for every one. seconds: None for ever."""

    key: str = ""
    value: str = ""
    effect: Effect = ""
    seconds: int | None = None


class Options(Data, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """stop_grace, stop_delay: seconds. max_surge: a number or percent, "" for ours. Empty and None: not said."""

    service_type: ServiceType = "ClusterIP"
    node_port: int | None = None
    service_annotations: Mapping[str, str] = {}
    ingress_class: str = ""
    ingress_annotations: Mapping[str, str] = {}
    annotations: Mapping[str, str] = {}
    service_account: Account = Account()
    image_pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = {}
    tolerations: tuple[Toleration, ...] = ()
    priority_class: str = ""
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool = False
    fs_group: int | None = None
    read_only: bool = False
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    restricted: bool = False
    working_dir: str = ""
    stop_grace: float | None = None
    stop_delay: float | None = None
    pre_stop: tuple[str, ...] = ()
    storage_class: str = ""
    access_mode: AccessMode | None = None
    strategy: Strategy | None = None
    max_surge: str = ""
    backoff_limit: int = 0
    pdb: bool = True


def read(options: Mapping[str, object]) -> Options:
    """Raises msgspec.ValidationError where they cannot be; its text names the field."""
    return msgspec.convert(options, Options, strict=False)
