# SPDX-License-Identifier: Apache-2.0
"""What an Event is about: the object that it names, and of a ReplicaSet, which comes and goes, its Deployment."""

from fleetflow_tasks.runtimes.kubernetes.events import TELLING, of_sets, subject


def about(kind: str, name: str) -> str:
    return subject({"involvedObject": {"kind": kind, "name": name, "uid": "u1"}})


def test_an_event_is_about_the_object_that_it_names() -> None:
    assert about("Pod", "api-6c9f8-x2x4z") == "u1"
    assert subject({}) == ""


def test_what_is_said_of_a_replica_set_is_found_with_its_deployment() -> None:
    assert about("ReplicaSet", "api-6c9f8") == of_sets("api")
    assert about("ReplicaSet", "api-v2-6c9f8") == of_sets("api-v2") != of_sets("api")


def test_what_says_only_that_all_is_well_stays_at_the_server() -> None:
    left_out = TELLING.replace("reason!=", "").split(",")

    assert {"Scheduled", "Pulled", "Created", "Started", "SuccessfulCreate", "ScalingReplicaSet"} <= set(left_out)
    assert not {"Pulling", "TriggeredScaleUp", "WaitForFirstConsumer", "FailedBinding"} & set(left_out)
