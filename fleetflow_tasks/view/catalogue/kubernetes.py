# SPDX-License-Identifier: Apache-2.0
"""What Kubernetes cannot honour, and what it answers."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Kubernetes",
    about="What runtime `kubernetes` cannot honour, told at plan time as `kubernetes-…` by the field that"
    " it is about; how the cluster is reached; and what it answers. Words of the cluster stand in "
    "the lines below the first one.",
    entries=(
        Entry(
            code="admission-denied",
            meaning="A webhook or policy of the cluster forbids the object.",
            example="webhook `gate.example.org` denies it: images must be signed",
        ),
        Entry(
            code="anonymous",
            meaning="The API server takes us for nobody: no credentials were sent, or none that it knows.",
            example="cannot deploy `api`: the API server knows nobody of us, and lets nobody patch deployments in "
            "namespace `shop-prd`",
        ),
        Entry(
            code="api-broken",
            meaning="The API server sent something that cannot be followed; it is tried again.",
            example="what the API server says cannot be followed (watch pods): ValueError: no JSON",
        ),
        Entry(
            code="api-lost",
            meaning="The API server, or Cloud Run, did not answer. What was sent may have been done; the next "
            "attempt looks, and goes on from there.",
            example="the API server at https://10.0.0.1:6443 did not answer while asked to patch deployment api: "
            "timed out",
        ),
        Entry(
            code="api-refused",
            meaning="The platform refused a request, for a reason that FleetFlow has no word of its own for.",
            example="the API server did not list pods: the server is currently unable to handle the request",
        ),
        Entry(
            code="api-slow",
            meaning="The API server goes on answering and does not come to its end.",
            example="the API server was asked to list pods: not done after 30 s",
        ),
        Entry(
            code="bad-certificate",
            meaning="A certificate or key that the kubeconfig names cannot be used.",
            example="a certificate or key for https://10.0.0.1:6443 cannot be used: no start line",
        ),
        Entry(
            code="bad-credentials",
            meaning="Credentials are named and cannot be used: a file is missing, or Google cannot be reached for a"
            " token.",
            example="no credentials for Kubernetes: `tokenFile` cannot be read: no such file or directory",
        ),
        Entry(
            code="bad-kubeconfig",
            meaning="The kubeconfig is damaged, or names files that are not there.",
            example="the kubeconfig /home/ann/.kube/config is no YAML: did not find expected key",
        ),
        Entry(
            code="claim-cannot-grow",
            meaning="A volume is to be larger, and its storage class does not let claims grow.",
            example="claim `data` of `db` cannot grow: its storage class `standard` does not let claims grow",
        ),
        Entry(
            code="claim-immutable",
            meaning="A claim would have to be made anew, and its data would be lost.",
            example="a claim of `db` cannot be changed: storage class",
        ),
        Entry(
            code="cluster-certificate",
            meaning="The API server's certificate is not signed by whom the kubeconfig trusts.",
            example="the API server at https://10.0.0.1:6443 cannot be trusted: certificate verify failed",
        ),
        Entry(
            code="cluster-older",
            meaning="The cluster does not know `sleep` as what a pod does before it stops.",
            example="cannot deploy `api`: this cluster is older than 1.30, and cannot let a pod wait before it stops",
        ),
        Entry(
            code="cluster-too-old",
            meaning="The cluster is older than what FleetFlow works with.",
            example="the Kubernetes at https://10.0.0.1:6443 is too old: it is 1.20",
        ),
        Entry(
            code="command-missing",
            meaning="Neither the image nor the service names a command.",
            example="its image names no command, and the service neither",
        ),
        Entry(
            code="config-missing",
            meaning="A container cannot be set up, as something that it is to be given is not there.",
            example="it cannot be set up: services have not yet been read at least once",
        ),
        Entry(
            code="configmap-missing",
            meaning="A config map that the service names is not there.",
            example="config map `settings` does not exist in the namespace",
        ),
        Entry(
            code="crashed",
            meaning="The service starts and ends again and again; what it printed last follows.",
            example="its container did not stay up: it ended with exit code 1",
        ),
        Entry(
            code="credential-plugin",
            meaning="The program that the kubeconfig names for credentials failed.",
            example="no credentials for Kubernetes: the plugin `gke-gcloud-auth-plugin` failed: it ended with exit "
            "code 1",
        ),
        Entry(
            code="expired-credentials",
            meaning="The platform does not accept our credentials any more.",
            example="cannot deploy `api`: the API server does not accept our credentials: they are wrong, or they "
            "have expired",
        ),
        Entry(
            code="field-conflict",
            meaning="A field belongs to somebody else who applied it: an autoscaler, an operator, a person with "
            "kubectl.",
            example="cannot deploy `api`: deployment `api` belongs in part to `kubectl`",
        ),
        Entry(
            code="field-refused",
            meaning="The platform does not take a value; it names the field.",
            example="cannot deploy `api`: Deployment `api`: `spec.template.spec.containers[0].image`: Required value",
        ),
        Entry(
            code="forbidden",
            meaning="Our account has no right to do it. The fix is the rule or role to add.",
            example="cannot deploy `api`: `system:serviceaccount:ci:deployer` may not patch deployments in "
            "namespace `shop-prd`",
            fix="[security.md](security.md) lists all rights.",
        ),
        Entry(
            code="foreign-deployment",
            meaning="A deployment of the name that is needed is not FleetFlow's. It is left alone; so it is for "
            "each other kind of object: `foreign-service`, `foreign-ingress`, `foreign-secret`, ...",
            example="a Deployment called `api` is in namespace `shop` already, and it is not ours",
        ),
        Entry(
            code="image-name",
            meaning="The node cannot read the image's name.",
            example="image `ghcr.io/Shop/api` has no name that an image can have",
        ),
        Entry(
            code="image-not-pulled",
            meaning="The image does not come, and the cluster does not say why.",
            example="image `ghcr.io/shop/api:2` cannot be pulled from ghcr.io",
        ),
        Entry(
            code="image-signature",
            meaning="The node wants signed images, and this one is not signed as it should be.",
            example="image `ghcr.io/shop/api:2` is refused: its signature is not valid",
        ),
        Entry(
            code="immutable",
            meaning="Kubernetes does not let the field be changed as long as the object lives.",
            example="`api` cannot be changed in place: selector",
        ),
        Entry(
            code="job-failed",
            meaning="A job ended badly; its exit code or the cluster's reason is in the line.",
            example="cannot run `migrate`: it ended with exit code 1",
        ),
        Entry(
            code="job-timeout",
            meaning="A job ran longer than its `timeout`.",
            example="cannot run `migrate`: it was ended: it ran longer than 600 s",
        ),
        Entry(
            code="key-missing",
            meaning="A Secret or config map lacks the key that a service asks for. On this machine, and with a "
            "Redis that others reach: no key to seal plans with is set.",
            example="secret `shop` has no key `token`",
            fix="For the latter: `export FLEETFLOW_KEY=$(openssl rand -base64 32)`, the same for every worker.",
        ),
        Entry(
            code="kubernetes-address-conflict",
            meaning="Two services want one host and path.",
            example="services `api` and `web`: runtime `kubernetes` has one address `shop.example.org/`",
        ),
        Entry(
            code="kubernetes-environment",
            meaning="A variable's name is none that Kubernetes takes, or all values together are too large.",
            example="service `api`: runtime `kubernetes` takes no variable called `A=B`",
        ),
        Entry(
            code="kubernetes-ingress",
            meaning="An `ingress` cannot be made as the text says it.",
            example="service `migrate`: runtime `kubernetes` has no ingress for a job",
        ),
        Entry(
            code="kubernetes-labels",
            meaning="A label's key or value is none that Kubernetes takes.",
            example="service `api`: runtime `kubernetes` takes no label called `a b`",
        ),
        Entry(
            code="kubernetes-name",
            meaning="A name is longer than what Kubernetes takes for that kind of object.",
            example="service `api`: runtime `kubernetes` takes no name longer than 52 characters for a job; this "
            "one has 60",
        ),
        Entry(
            code="kubernetes-names",
            meaning="Project and stage stand together in a label, which has room for 63 characters.",
            example="the names of project and stage are too long together for runtime `kubernetes`: `shop-production`",
        ),
        Entry(
            code="kubernetes-namespace",
            meaning="The stage's namespace is no name that a namespace can have.",
            example="runtime `kubernetes` cannot have the namespace `Shop`",
        ),
        Entry(
            code="kubernetes-node-port-conflict",
            meaning="Two services want one port of the nodes.",
            example="services `api` and `web`: runtime `kubernetes` has one node port `30080`",
        ),
        Entry(
            code="kubernetes-object-conflict",
            meaning="Two services would make one object.",
            example="services `api` and `api-data`: runtime `kubernetes` has one object "
            "`PersistentVolumeClaim/api-data`",
        ),
        Entry(
            code="kubernetes-options",
            meaning="The `kubernetes` block holds something that cannot be, or not together.",
            example="service `api`: runtime `kubernetes` cannot run as user 0 and not as root",
        ),
        Entry(
            code="kubernetes-ports",
            meaning="Ports of a service cannot be led as the text says, or not on a host.",
            example="service `api`: runtime `kubernetes` opens no port 80 on a host: inside the cluster it is `api:80`",
        ),
        Entry(
            code="kubernetes-replicas",
            meaning="The number of copies does not go together with a volume, a job or `scaling`.",
            example="service `migrate`: runtime `kubernetes` runs a job once, not in several copies",
        ),
        Entry(
            code="kubernetes-restart",
            meaning="Kubernetes starts a service again whenever it ends, and a job as `retries` says.",
            example='service `api`: runtime `kubernetes` starts what ends again, always: `restart "no"` cannot be kept',
        ),
        Entry(
            code="kubernetes-scaling",
            meaning="A service cannot scale as the text says.",
            example="service `api`: runtime `kubernetes` cannot scale to zero copies",
        ),
        Entry(
            code="kubernetes-secrets",
            meaning="A secret's `ref` names no key of a Secret.",
            example="service `api`: runtime `kubernetes` cannot read secret `TOKEN` from `token`: that names no "
            "Secret and key",
        ),
        Entry(
            code="kubernetes-service",
            meaning="Others depend on a service that has no port, so it gets no address.",
            example="service `api`: runtime `kubernetes` gives no address to a service without `port`: `web` cannot"
            " reach it",
        ),
        Entry(
            code="kubernetes-version",
            meaning="The stage's `version` is older than what objects are made for.",
            example="runtime `kubernetes` makes nothing for version `1.20`",
        ),
        Entry(
            code="kubernetes-volumes",
            meaning="A volume is none that pods can have.",
            example="service `api`: runtime `kubernetes` cannot mount the host's path `/srv`: pods move between hosts",
        ),
        Entry(
            code="limit-range",
            meaning="The namespace limits what a pod or claim may ask for.",
            example="the namespace sets limits: maximum memory usage per Container is 1Gi, but limit is 2Gi",
        ),
        Entry(
            code="namespace-terminating",
            meaning="The namespace is being removed, and takes nothing new.",
            example="namespace `shop-prd` is being removed, and is not gone yet",
        ),
        Entry(
            code="no-cluster",
            meaning="What the kubeconfig names does not answer, or is no Kubernetes.",
            example="no Kubernetes answers at https://10.0.0.1:6443: connection refused",
        ),
        Entry(
            code="no-context",
            meaning="The kubeconfig chooses no cluster, and neither does the stage.",
            example="no Kubernetes cluster is chosen: the kubeconfig has no current context",
        ),
        Entry(
            code="no-kubeconfig",
            meaning="There is no kubeconfig, and this is no pod of a cluster.",
            example="no Kubernetes cluster is known: there is no kubeconfig",
        ),
        Entry(
            code="no-namespace",
            meaning="The namespace is not there, and our account may not make it.",
            example="namespace `shop-prd` is not there, and we may not make it",
        ),
        Entry(
            code="no-room",
            meaning="No node has as much free as the pod asks for.",
            example="no node can take its pod (3 looked at): 3 Insufficient cpu; it asks for cpu 4",
        ),
        Entry(
            code="no-service-account",
            meaning="This is a pod, and it was given no service account to speak with.",
            example="this pod has no service account: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt cannot "
            "be read: No such file or directory",
        ),
        Entry(
            code="no-such-node",
            meaning="No node is as `node_selector` or an affinity wants it.",
            example="no node can take its pod (3 looked at): 3 node(s) didn't match Pod's node affinity/selector",
        ),
        Entry(
            code="node-port-taken",
            meaning="A pod wants a port of its node that another pod has.",
            example="no node can take its pod (1 looked at): 1 node(s) didn't have free ports for the requested pod"
            " ports",
        ),
        Entry(
            code="node-unready",
            meaning="The node cannot set the pod up: mostly its network plugin.",
            example='the node cannot set its pod up: plugin type="bridge" failed',
        ),
        Entry(
            code="nodes-tainted",
            meaning="Nodes have a taint that the pod does not tolerate.",
            example="no node can take its pod (1 looked at): 1 node(s) had untolerated taint {a: b}",
        ),
        Entry(
            code="not-alive",
            meaning="The health check fails again and again, so the cluster ends the container and starts it anew.",
            example="its health check fails, so it is ended and started again: port 8080 was refused",
        ),
        Entry(
            code="not-healthy",
            meaning="The container runs, and its health check fails.",
            example="its health check fails: GET /health was answered with 500",
        ),
        Entry(
            code="out-of-memory",
            meaning="The container needs more memory than it may have.",
            example="its container needs more memory than its limit",
        ),
        Entry(
            code="pod-lost",
            meaning="A pod's node gave it up: it is drained, full or gone. The cluster makes another one, so "
            "nothing is to be done.",
            example="pod api-5c8 was given up by its node (Evicted)",
        ),
        Entry(
            code="pod-security",
            meaning="The namespace enforces a Pod Security Standard that the pod does not meet.",
            example="the namespace allows only `restricted` pods: allowPrivilegeEscalation != false",
        ),
        Entry(
            code="pods-refused",
            meaning="The cluster refuses to make the service's pods.",
            example="the cluster refuses its pods: unknown runtime class",
        ),
        Entry(
            code="priority-class-missing",
            meaning="The priority class that the service names is not there.",
            example="priority class `high` does not exist",
        ),
        Entry(
            code="quota",
            meaning="A quota of the namespace, or of the Google Cloud project, is used up.",
            example="quota `small` is used up: it asks for requests.cpu=4, used are 2 of 4",
        ),
        Entry(
            code="read-only",
            meaning="The container cannot be made, as something must be written where nothing can.",
            example="what it is to write is read-only",
        ),
        Entry(
            code="registry-untrusted",
            meaning="The node does not trust the registry's certificate.",
            example="image `registry:5000/api:2` cannot be pulled: the node does not trust registry:5000",
        ),
        Entry(
            code="rights-missing",
            meaning="Before anything is changed, `flow up` and `flow doctor` ask whether all rights are there; "
            "these are not.",
            example="stage `prd` cannot be deployed: rights are missing in namespace `shop-prd`",
        ),
        Entry(
            code="runs-as-root",
            meaning="The service must not run as root, and its image would.",
            example="its image would run as root, which `run_as_non_root` forbids",
        ),
        Entry(
            code="service-account-missing",
            meaning="The service account that the service names is not there.",
            example="service account `api` does not exist",
        ),
        Entry(
            code="service-ended",
            meaning="A service ended by itself, without an error; it should stay.",
            example="it ends by itself, with exit code 0",
        ),
        Entry(
            code="socks-not-installed",
            meaning="The cluster is behind a SOCKS proxy, and the Python module for it is missing.",
            example="https://10.0.0.1:6443 cannot be reached through socks5://127.0.0.1:1080: Python module `socks`"
            " is missing",
        ),
        Entry(
            code="storage-class",
            meaning="The storage class of a volume is not there, or there is no default.",
            example="storage class `fast` of `db` does not exist",
        ),
        Entry(
            code="unknown-context",
            meaning="The stage or the kubeconfig names a context that does not exist.",
            example="unknown Kubernetes context `prod`",
        ),
        Entry(
            code="unknown-field",
            meaning="The cluster is older than a field that it is sent.",
            example="cannot deploy `api`: this cluster does not know the field `spec.template.spec.hostUsers`",
        ),
        Entry(
            code="unschedulable",
            meaning="No node takes the pod, for a reason that FleetFlow has no word of its own for.",
            example="no node can take its pod (3 looked at): 3 node(s) were unschedulable",
        ),
        Entry(
            code="volume-elsewhere",
            meaning="The volume is in another zone than the nodes that have room.",
            example="no node can take its pod (3 looked at): 3 node(s) had volume node affinity conflict",
        ),
        Entry(
            code="volume-in-use",
            meaning="Another node still holds the volume.",
            example="volume `pvc-1` is still held by another node: Volume is already used by pod(s) api-5c8",
        ),
        Entry(
            code="volume-lost",
            meaning="What a claim was bound to is gone.",
            example="volume `data` has lost what it was bound to; its data may be gone",
        ),
        Entry(
            code="volume-not-bound",
            meaning="The pod waits for a claim that has no volume.",
            example="no node can take its pod (3 looked at): pod has unbound immediate PersistentVolumeClaims",
        ),
        Entry(
            code="volume-not-mounted",
            meaning="The node cannot mount a volume.",
            example="volume `data` cannot be mounted: mount failed: exit status 32",
        ),
        Entry(
            code="volume-not-provided",
            meaning="No volume is made for a claim.",
            example="volume `data` is not there: failed to provision volume: no space",
        ),
        Entry(
            code="webhook-broken",
            meaning="A webhook that must be asked does not answer; nothing of its kind can be made until it does.",
            example="webhook `gate.example.org` does not answer: connection refused",
        ),
    ),
)
