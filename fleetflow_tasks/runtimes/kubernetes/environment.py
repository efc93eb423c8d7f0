# SPDX-License-Identifier: Apache-2.0
"""A service's variables: an immutable ConfigMap and Secret, each named by what it holds, and the `env` that reads them.

Named by content and never changed: pods of the old version keep the old values however often they start again, a
change of a value rolls the pods like any other change, and a rollback brings the old values back. `env` names each
variable, since `envFrom` leaves out in silence what it cannot take.
"""

from base64 import b64encode
from typing import Any

from fleetflow_tasks.runtimes.kubernetes.kinds import CONFIG_MAP, SECRET
from fleetflow_tasks.runtimes.kubernetes.manifests import Source, manifest
from fleetflow_tasks.runtimes.kubernetes.names import digest

CONFIG = "env"
SECRETS = "secrets"
_HASH = 10  # hex digits in a name


def env(made_from: Source) -> list[dict[str, Any]]:
    """Each variable and where its value stands, sorted by name. A secret beats a plain value of its name."""
    service = made_from.service
    config, secret = _name(made_from, CONFIG), _name(made_from, SECRETS)
    found = {name: _config_ref(config, name) for name in service.environment}
    found |= {name: _secret_ref(secret, name) for name in service.secrets}
    found |= {name: _secret_ref(*reference(ref)) for name, ref in service.secret_refs.items()}
    return [{"name": name, "valueFrom": found[name]} for name in sorted(found)]


def objects(made_from: Source) -> list[dict[str, Any]]:
    """The ConfigMap and the Secret, where they would hold anything."""
    contents = ((CONFIG_MAP, CONFIG, config_data(made_from)), (SECRET, SECRETS, secret_data(made_from)))
    return [
        manifest(made_from, kind, _name(made_from, half), data=data, immutable=True)
        for kind, half, data in contents
        if data
    ]


def reference(ref: str) -> tuple[str, str]:
    """`secret/key` in two."""
    name, _, key = ref.partition("/")
    return name, key


def config_data(made_from: Source) -> dict[str, str]:
    """What no secret of the same name hides."""
    service = made_from.service
    hidden = service.secrets.keys() | service.secret_refs.keys()
    return {name: value for name, value in sorted(service.environment.items()) if name not in hidden}


def secret_data(made_from: Source) -> dict[str, str]:
    """In base64, as the API keeps it: `stringData` can only be written, and would look changed each time."""
    service = made_from.service
    own = service.secrets.keys() - service.secret_refs.keys()
    return {name: b64encode(service.secrets[name].reveal().encode()).decode() for name in sorted(own)}


def _name(made_from: Source, half: str) -> str:
    data = config_data(made_from) if half == CONFIG else secret_data(made_from)
    return f"{made_from.service.name}-{half}-{digest(data)[:_HASH]}"


def _config_ref(name: str, key: str) -> dict[str, Any]:
    return {"configMapKeyRef": {"name": name, "key": key}}


def _secret_ref(name: str, key: str) -> dict[str, Any]:
    return {"secretKeyRef": {"name": name, "key": key}}
