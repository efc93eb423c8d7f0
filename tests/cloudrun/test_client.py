# SPDX-License-Identifier: Apache-2.0
"""Each method of the client against the whole server: what is asked comes to be, and what the server says comes out."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from fleetflow_tasks.runtimes.cloudrun.access import connect
from fleetflow_tasks.runtimes.cloudrun.client import Client, CloudRunError, Operation
from fleetflow_tasks.testing import eventually
from fleetflow_tasks.testing.cloudrun import OWNER, Server

PARENT = "projects/shop/locations/europe-west1"
API = f"{PARENT}/services/api"
SEED = f"{PARENT}/jobs/seed"
INVOKER = {"role": "roles/run.invoker", "members": ["allUsers"]}


@pytest.fixture
def there() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def client(there: Server) -> Iterator[Client]:
    with closing(connect(there.environ(), "europe-west1")) as made:
        yield made


def service(image: str = "scripted/ready:0ms", **more: Any) -> dict[str, Any]:
    return {"template": {"containers": [{"image": image}]}, **more}


def job(image: str = "scripted/job:0", **more: Any) -> dict[str, Any]:
    return {"template": {"template": {"containers": [{"image": image}], "maxRetries": 0}}, **more}


def ended(client: Client, operation: Operation | None) -> Operation:
    found: list[Operation] = []

    def over() -> bool:
        assert operation is not None
        asked = client.operation(operation.name)
        found.extend([asked] if asked is not None and asked.done else [])
        return bool(found)

    eventually(over, 30)
    return found[-1]


def failure(ask: Any) -> CloudRunError:
    with pytest.raises(CloudRunError) as found:
        ask()
    return found.value


# ---- services


def test_a_service_is_made_changed_and_removed(client: Client) -> None:
    made = ended(client, client.create_service(PARENT, "api", service()))
    before = client.service(API)
    assert before is not None
    changed = ended(client, client.update_service({"name": API, **service("scripted/ready:1ms")}, etag=before["etag"]))
    gone = ended(client, client.delete_service(API))

    assert (made.error, changed.error, gone.error) == (None, None, None)
    assert made.response is not None
    assert made.response["name"] == API
    assert client.service(API) is None
    assert client.delete_service(API) is None


def test_who_holds_an_old_etag_is_told_so(client: Client) -> None:
    ended(client, client.create_service(PARENT, "api", service()))
    body = {"name": API, **service("scripted/ready:1ms")}

    update = failure(lambda: client.update_service(body, etag='"old"'))
    delete = failure(lambda: client.delete_service(API, etag='"old"'))

    assert [(each.code, each.transient, each.answered) for each in (update, delete)] == [("ABORTED", True, True)] * 2


def test_a_name_that_is_taken_is_told_so(client: Client) -> None:
    client.create_service(PARENT, "api", service())

    error = failure(lambda: client.create_service(PARENT, "api", service()))

    assert (error.code, error.transient) == ("ALREADY_EXISTS", False)
    assert error.problem.message.startswith("Cloud Run did not create service `api`: ")


def test_a_rehearsal_changes_nothing(client: Client) -> None:
    operation = client.update_service({"name": API, **service()}, allow_missing=True, validate_only=True)

    assert (operation.done, operation.error, client.service(API)) == (True, None, None)


def test_what_may_not_be_is_refused_with_its_field(client: Client) -> None:
    body = {"template": {"containers": [{"image": "a", "env": [{"name": "PORT", "value": "1"}]}]}}

    error = failure(lambda: client.create_service(PARENT, "api", body))

    assert error.code == "INVALID_ARGUMENT"
    assert "The following reserved env names were provided: PORT" in " ".join([error.answer, *error.details])


def test_a_revision_that_does_not_come_up_is_no_failure_of_the_call(client: Client) -> None:
    operation = ended(client, client.create_service(PARENT, "api", service("scripted/crash:1")))

    assert operation.error is not None
    assert operation.error.code == "INTERNAL"
    assert operation.error.message.startswith("Revision 'api-00001-")


def test_a_list_holds_all_and_the_newest_revision_comes_first(client: Client) -> None:
    for name in ("api", "web", "db"):
        ended(client, client.create_service(PARENT, name, service()))
    ended(client, client.update_service({"name": API, **service("scripted/ready:1ms")}))

    names = sorted(each["name"] for each in client.services(PARENT))
    revisions = [each["name"].rpartition("/")[2][:9] for each in client.revisions(API)]
    newest = client.revisions(API, at_most=1)[0]

    assert names == [f"{PARENT}/services/{name}" for name in ("api", "db", "web")]
    assert revisions == ["api-00002", "api-00001"]
    assert client.revision(newest["name"]) == newest


# ---- jobs


def test_a_job_runs_once_for_each_time_that_it_is_told_to(client: Client) -> None:
    ended(client, client.create_job(PARENT, "seed", job()))
    started = client.run_job(SEED)
    assert started.metadata is not None
    name = started.metadata["name"]
    ended(client, started)

    execution = client.execution(name)
    tasks = client.tasks(name)

    assert execution is not None
    assert (execution["succeededCount"], len(tasks), len(client.executions(SEED))) == (1, 1, 1)
    assert client.executions(SEED, at_most=1) == [execution]


def test_a_job_is_changed_and_removed(client: Client) -> None:
    ended(client, client.create_job(PARENT, "seed", job()))
    before = client.job(SEED)
    assert before is not None
    ended(client, client.update_job({"name": SEED, **job("scripted/job:1")}, etag=before["etag"]))
    after = client.jobs(PARENT)
    ended(client, client.delete_job(SEED))

    assert [each["template"]["template"]["containers"][0]["image"] for each in after] == ["scripted/job:1"]
    assert (client.job(SEED), client.delete_job(SEED)) == (None, None)


def test_an_execution_is_cancelled(client: Client) -> None:
    ended(client, client.create_job(PARENT, "seed", job("scripted/hangs")))
    started = client.run_job(SEED)
    assert started.metadata is not None

    ended(client, client.cancel_execution(started.metadata["name"]))

    execution = client.execution(started.metadata["name"])
    assert execution is not None
    assert execution["cancelledCount"] == 1
    assert client.cancel_execution(f"{SEED}/executions/none") is None


# ---- who may what


@pytest.mark.parametrize("name", [API, SEED])
def test_a_policy_is_read_and_written_with_its_etag(client: Client, name: str) -> None:
    ended(client, client.create_service(PARENT, "api", service()))
    ended(client, client.create_job(PARENT, "seed", job()))

    before = client.policy(name)
    client.set_policy(name, {**before, "bindings": [INVOKER]})
    error = failure(lambda: client.set_policy(name, {**before, "bindings": []}))

    assert client.policy(name)["bindings"] == [INVOKER]
    assert error.code == "ABORTED"


def test_what_we_may_is_told(there: Server, client: Client) -> None:
    ended(client, client.create_service(PARENT, "api", service()))
    there.accounts.add("reader@shop.iam.gserviceaccount.com", "roles/run.viewer")
    environ = there.environ("reader@shop.iam.gserviceaccount.com")

    with closing(connect(environ, "europe-west1")) as reader:
        may = reader.permitted(API, ["run.services.get", "run.services.update"])
        error = failure(lambda: reader.create_service(PARENT, "web", service()))

        assert (sorted(may), reader.account) == (["run.services.get"], "reader@shop.iam.gserviceaccount.com")
        assert (error.code, error.reason) == ("PERMISSION_DENIED", "IAM_PERMISSION_DENIED")
        assert error.facts["permission"] == "run.services.create"


def test_an_account_says_who_it_is_to_a_service_of_its_own(there: Server, client: Client) -> None:
    token = client.identity_token("https://api.example")

    assert there.accounts.who(token).email == OWNER


def test_an_api_that_is_not_enabled_says_which(there: Server, client: Client) -> None:
    there.world.disabled.add("shop")

    error = failure(lambda: client.services(PARENT))

    assert (error.code, error.reason) == ("PERMISSION_DENIED", "SERVICE_DISABLED")
    assert error.facts["service"] == "run.googleapis.com"


# ---- what goes wrong


def test_an_update_whose_answer_was_lost_is_sent_again(there: Server, client: Client) -> None:
    ended(client, client.create_service(PARENT, "api", service()))
    lost = there.faults.lose("Services.UpdateService")

    operation = client.update_service({"name": API, **service("scripted/ready:1ms")})

    assert (lost.met, ended(client, operation).error) == (1, None)
    assert [str(asked) for asked in there.trace].count(f"Services.UpdateService {API}") == 2


def test_an_update_with_its_etag_whose_answer_was_lost_finds_its_own_work(there: Server, client: Client) -> None:
    ended(client, client.create_service(PARENT, "api", service()))
    before = client.service(API)
    assert before is not None
    there.faults.lose("Services.UpdateService")

    error = failure(lambda: client.update_service({"name": API, **service("scripted/ready:1ms")}, etag=before["etag"]))

    after = client.service(API)
    assert after is not None
    assert (error.code, after["generation"]) == ("ABORTED", "2")


def test_a_run_whose_answer_was_lost_is_not_sent_again(there: Server, client: Client) -> None:
    ended(client, client.create_job(PARENT, "seed", job()))
    there.faults.lose("Jobs.RunJob")

    error = failure(lambda: client.run_job(SEED))

    assert (error.code, error.transient, error.answered) == ("UNAVAILABLE", True, False)
    assert len(client.executions(SEED)) == 1


def test_tls_is_spoken_where_the_endpoint_says_so() -> None:
    with Server(tls=True) as there, closing(connect(there.environ(), "europe-west1")) as client:
        assert client.endpoint.startswith("https://")
        assert client.services(PARENT) == []
