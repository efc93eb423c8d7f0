# SPDX-License-Identifier: Apache-2.0
"""The store, its key and its workers."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Redis, plans and workers",
    about="The store that runs are kept in, the key that plans are sealed with, and the workers that "
    "carry them out. `flow doctor` tells most of them before they are in the way.",
    entries=(
        Entry(
            code="clock-skew",
            meaning="This machine's clock and that of Redis differ. Runs do not mind.",
            example="the clock here is 12 s ahead of that of Redis",
        ),
        Entry(
            code="hint-unsent",
            meaning="The run is stored, and the message that wakes workers was lost; they look by themselves, too.",
            example="the run is stored, but its first steps could not be announced; a worker finds them in a moment",
        ),
        Entry(
            code="key-file",
            meaning="The file that the key of `flow up` is kept in is damaged.",
            example="the key file `/home/ann/.local/state/fleetflow/key` holds no key",
        ),
        Entry(
            code="key-readable",
            meaning="Others on this machine can read the key, and with it the passwords in plans.",
            example="the key file `/home/ann/.local/state/fleetflow/key` can be read by others",
        ),
        Entry(
            code="key-too-short",
            meaning="A key of a few characters can be guessed.",
            example="the key has 8 characters, at least 32 are needed",
        ),
        Entry(
            code="newer-schema",
            meaning="A plan was made by a newer FleetFlow than the one that is to carry it out.",
            example="the plan has schema 9, this FleetFlow knows up to 7",
        ),
        Entry(
            code="no-redis",
            meaning="No Redis is named, and none can be started on this machine.",
            example="no Redis is named, and none can be started here",
        ),
        Entry(
            code="no-worker",
            meaning="Nobody serves the queue that a step needs, so it would wait for ever.",
            example="no worker serves the queue `docker`",
        ),
        Entry(
            code="no-workers",
            meaning="No worker is there at all; `flow up` does not need one.",
            example="no worker is there",
        ),
        Entry(
            code="not-durable",
            meaning="The run is stored in memory alone at this moment.",
            example="the run is stored, but it would be lost if its Redis lost power, or failed over, in this moment",
        ),
        Entry(
            code="other-key",
            meaning="Workers cannot open plans that are sealed here.",
            example="workers of queue `docker` hold another key: they could not open this plan",
        ),
        Entry(
            code="other-version",
            meaning="Workers are of another version than this one; they understand its plans all the same.",
            example="workers of queue `docker` are of another version than 1.4.0, which is here: build1 (1.3.2)",
        ),
        Entry(
            code="plan-altered",
            meaning="A sealed plan was changed by somebody without the key. It is not carried out.",
            example="the plan of run 01kpzv4e was altered after it was sealed",
        ),
        Entry(
            code="plan-elsewhere",
            meaning="A plan lies where another run's plan should. It is not carried out.",
            example="the plan of run 01kpzv4e of shop/prd was sealed for run 01kpzaaa of shop/stg",
        ),
        Entry(
            code="plan-forgotten",
            meaning="The run is kept, and its plan is not any more.",
            example="the plan of run 01kpzv4e is not there any more",
        ),
        Entry(
            code="plan-not-whole",
            meaning="The plan to go back to would deploy only a part of its stage.",
            example="the plan of run 01kpzv4e does not deploy its stage as a whole",
        ),
        Entry(
            code="plan-other-key",
            meaning="This process has another key than the one that sealed the plan.",
            example="the plan of run 01kpzv4e was sealed with another key",
        ),
        Entry(
            code="plan-unsealed",
            meaning="What lies where a plan should is no sealed plan. It is not carried out.",
            example="what should be a plan is none, or is not sealed",
        ),
        Entry(
            code="redis-auth",
            meaning="Redis wants a password, or another one.",
            example="Redis at redis://redis.internal:6379/0 does not accept the password, or wants one",
        ),
        Entry(
            code="redis-certificate",
            meaning="The certificate of Redis is not to be trusted, or is for another host.",
            example="the certificate of Redis at rediss://redis.internal:6379/0 is for another host",
        ),
        Entry(
            code="redis-certificate-file",
            meaning="A file that the address names is no certificate or key.",
            example="a file that the address of Redis at rediss://redis.internal:6379/0 names cannot be read as a "
            "certificate or key",
        ),
        Entry(
            code="redis-client-certificate",
            meaning="Redis wants a certificate of whoever connects.",
            example="Redis at rediss://redis.internal:6379/0 ended the TLS handshake: it wants a certificate of "
            "ours, or another one",
        ),
        Entry(
            code="redis-cluster",
            meaning="The Redis is a node of a Redis Cluster.",
            example="Redis at redis://redis.internal:6379/0 is part of a Redis Cluster, which FleetFlow does not "
            "support",
        ),
        Entry(
            code="redis-evicts",
            meaning="Redis drops keys when its memory is full, and runs with them. Nothing is begun there.",
            example="Redis at redis://redis.internal:6379/0 may throw runs away: its maxmemory-policy is allkeys-lru",
        ),
        Entry(
            code="redis-forgets",
            meaning="Redis writes nothing to disk and has no replica.",
            example="Redis at redis://redis.internal:6379/0 keeps runs in memory alone",
        ),
        Entry(
            code="redis-full",
            meaning="Little of Redis' memory is left; what runs may end, and nothing new begins.",
            example="Redis at redis://redis.internal:6379/0 is full: nothing new is begun, what runs can still end",
        ),
        Entry(
            code="redis-loading",
            meaning="Redis has just been started and reads its file.",
            example="Redis at redis://redis.internal:6379/0 is still loading its data",
        ),
        Entry(
            code="redis-may-evict",
            meaning="Redis would drop keys if it had a limit of memory; it has none.",
            example="Redis at redis://redis.internal:6379/0 would throw runs away if it had a limit: its "
            "maxmemory-policy is allkeys-lru",
        ),
        Entry(
            code="redis-no-master",
            meaning="The Sentinels know no primary: a failover is under way, or the name is another one.",
            example="the Sentinels at sentinel://s1,s2/0 name no Redis to write to",
        ),
        Entry(
            code="redis-no-tls",
            meaning="The address says TLS, and what answers speaks none.",
            example="Redis at rediss://redis.internal:6379/0 does not answer in TLS",
        ),
        Entry(
            code="redis-not-started",
            meaning="The Redis that `flow up` starts for itself did not come up.",
            example="the embedded Redis did not start: Can't open the append-only file",
        ),
        Entry(
            code="redis-old",
            meaning="Redis is older than 7.0.",
            example="Redis at redis://redis.internal:6379/0 is 6.2.14, and FleetFlow needs 7.0",
        ),
        Entry(
            code="redis-replica",
            meaning="The address leads to a replica.",
            example="Redis at redis://redis.internal:6379/0 is a replica, and cannot be written to",
        ),
        Entry(
            code="redis-rights",
            meaning="The Redis user lacks commands or keys.",
            example="the Redis user at redis://redis.internal:6379/0 lacks rights that FleetFlow needs",
        ),
        Entry(
            code="redis-silent",
            meaning="The Redis that `flow up` started earlier is stopped or stuck.",
            example="the embedded Redis in /home/ann/.local/state/fleetflow/redis lives, and has not answered for 10 s",
        ),
        Entry(
            code="redis-unlike",
            meaning="Something answers as Redis does and is not quite one.",
            example="what answers at redis://redis.internal:6379/0 lacks something that every Redis 7 and Valkey has",
        ),
        Entry(
            code="redis-unreachable",
            meaning="Nothing answers at that address.",
            example="Redis at redis://redis.internal:6379/0 does not answer",
        ),
        Entry(
            code="redis-url",
            meaning="The address is none of a Redis.",
            example="FLEETFLOW_REDIS_URL is no address of a Redis: it begins with http://",
        ),
        Entry(
            code="runtime-not-installed",
            meaning="A runtime's Python module is missing.",
            example="the runtime `docker` is not installed: Python module `docker` is missing",
        ),
        Entry(
            code="runtime-unfit",
            meaning="The package that brings a runtime is not made for this FleetFlow.",
            example="the runtime `nomad` of package `fleetflow-nomad` cannot be used: it has no `connect`",
        ),
        Entry(
            code="state-damaged",
            meaning="Somebody else wrote under FleetFlow's keys in Redis.",
            example="what lies in Redis under FleetFlow's keys is not what FleetFlow wrote there",
        ),
        Entry(
            code="state-folder",
            meaning="The folder for keys and the embedded Redis cannot be used.",
            example="the state folder cannot be found: there is no home folder to look in",
        ),
        Entry(
            code="state-folder-shared",
            meaning="Others may write to the folder in which the key lies.",
            example="the state folder `/srv/state` is not yours alone: others may write to it",
        ),
        Entry(
            code="too-many-keys",
            meaning="`FLEETFLOW_KEY` holds more than the new and the old key.",
            example="FLEETFLOW_KEY holds 3 keys, and two are the most",
        ),
        Entry(
            code="worker-silent",
            meaning="A worker has given no sign of life for a while.",
            example="last sign of life of build1:4711: 120 s ago",
        ),
        Entry(
            code="worker-too-old",
            meaning="Workers cannot read plans of this version.",
            example="the workers of queue `docker` are too old for this plan",
        ),
    ),
)
