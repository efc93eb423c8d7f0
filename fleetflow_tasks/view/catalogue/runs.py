# SPDX-License-Identifier: Apache-2.0
"""What a run, a stage or a plan does not allow."""

from fleetflow_tasks.view.catalogue.entry import Chapter, Entry

CHAPTER = Chapter(
    title="Runs and stages",
    about="What cannot be done to a run or a stage as it is just now; nothing was changed where one of these is told.",
    entries=(
        Entry(
            code="ended-then",
            meaning="The same submission was made before, and its run did not succeed; it is not begun anew by itself.",
            example="run 01kpzv4e of shop/prd: it failed then; nothing was tried now",
        ),
        Entry(
            code="job-restart",
            meaning="A restart leaves jobs alone.",
            example="`migrate` is a job, which a restart leaves alone: it runs to its end, once for its content",
        ),
        Entry(
            code="key-reused",
            meaning="An idempotency key stands for one plan, and this is another one.",
            example="the idempotency key belongs to run 01kpzv4e, which had another plan",
        ),
        Entry(
            code="never-begun",
            meaning="The stage's runs still wait, so there is nothing to go back from.",
            example="no run of stage `shop/prd` has begun yet, so there is nothing to go back from",
        ),
        Entry(
            code="never-good",
            meaning="No run of the stage as a whole has succeeded, so there is nothing to go back to.",
            example="no run of stage `shop/prd` as a whole has succeeded yet, so there is nothing to go back to",
        ),
        Entry(
            code="no-canary",
            meaning="No new version is on trial.",
            example="stage `shop/prd` has nothing on trial that could get 50 % of the requests",
        ),
        Entry(
            code="no-cloudrun",
            meaning="Shares of requests are a matter of Cloud Run, and the stage has no service there.",
            example="`--canary 10` means nothing: no service of stage `local` is on Cloud Run",
        ),
        Entry(
            code="no-kubernetes",
            meaning="`--force-conflicts` is a matter of Kubernetes, and the stage has no service there.",
            example="`--force-conflicts` means nothing: no service of stage `local` is on Kubernetes",
        ),
        Entry(
            code="no-rollback",
            meaning="A failed run should be taken back, and that cannot be; what it had done stays.",
            example="not rolled back: no run of stage `shop/prd` as a whole has succeeded yet, so there is nothing "
            "to go back to",
        ),
        Entry(
            code="no-run-of-stage",
            meaning="Nothing was ever deployed under that stage's name.",
            example="no run of stage `prod` is known here",
        ),
        Entry(
            code="no-version-before",
            meaning="The stage has run one version only, or nothing older succeeded.",
            example="stage `shop/prd` has no other version to go back to",
        ),
        Entry(
            code="not-a-version",
            meaning="The run does not say what the stage should be: it failed, or deployed a part.",
            example="run 01kpzv4e is none to go back to: it failed",
        ),
        Entry(
            code="not-as-deployed",
            meaning="Somebody changed the service since it was deployed, so its requests are not shared out anew.",
            example="service `api` is not as the stage's last run has it, so its requests are left alone",
        ),
        Entry(
            code="not-restartable",
            meaning="A runtime from elsewhere offers no restart.",
            example="the runtime `nomad` offers no way to restart what runs",
        ),
        Entry(
            code="not-running",
            meaning="The service does not run.",
            example="`api` does not run, so there is nothing to restart",
        ),
        Entry(
            code="other-engine",
            meaning="The stage was deployed to another Docker Engine; here it would be made a second time.",
            example="stage `shop/prd` is on another engine: `build1`, and here is `ann-laptop`",
        ),
        Entry(
            code="overtaken",
            meaning="A newer run has begun and may have changed what this one did.",
            example="run 01kpzv4e is not the newest of stage `shop/prd` any more",
        ),
        Entry(
            code="promote-busy",
            meaning="The source stage is just being deployed.",
            example="stage `stg` is being deployed just now: what runs there may be half old and half new",
        ),
        Entry(
            code="promote-by-id",
            meaning="An image that no registry knows is promoted by its id, which works on the same engine alone.",
            example="shop/api:2 is known to no registry: it is promoted by its id, `sha256:5c8f`",
        ),
        Entry(
            code="promote-drift",
            meaning="What runs in the source stage is not what its files say; what runs is what counts.",
            example="service `api` of stage `stg` is not what its files say; what runs is promoted",
        ),
        Entry(
            code="promote-left-out",
            meaning="The target stage has no such service.",
            example="service `mail` of stage `stg` is left out: stage `prd` has none of that name",
        ),
        Entry(
            code="promote-local",
            meaning="An image that no registry knows cannot come to another engine.",
            example="shop/api:2 is known to no registry, and stage `prd` is on another engine",
        ),
        Entry(
            code="promote-nothing",
            meaning="Nothing runs in the source stage that the target stage holds.",
            example="stage `stg` runs nothing that stage `prd` holds",
        ),
        Entry(
            code="promote-own-image",
            meaning="A service of the target stage is not in the source stage, and stays at its own version.",
            example="service `db` does not run in stage `stg`: it keeps its own image, `postgres:17`",
        ),
        Entry(
            code="promote-same",
            meaning="Source and target are one stage.",
            example="stage `stg` cannot be promoted to itself",
        ),
        Entry(
            code="promote-unknown-image",
            meaning="It cannot be said which image a service runs, so it cannot be promoted.",
            example="which image service `api` of stage `stg` runs is not known: its image has no digest",
        ),
        Entry(
            code="promote-unread",
            meaning="The source stage cannot be planned on this machine; what runs is promoted all the same.",
            example="stage `stg` cannot be planned here, so nobody can say whether it runs what its files say",
        ),
        Entry(
            code="promote-unwell",
            meaning="A service of the source stage is not well.",
            example="service `api` of stage `stg` is stopped: exit code 143",
        ),
        Entry(
            code="replace-elsewhere",
            meaning="`--replace` is a matter of Kubernetes.",
            example="`--replace api` means nothing: service `api` is on docker",
        ),
        Entry(
            code="rollback-waits",
            meaning="A rollback needs a worker that holds the key of the plan to go back to.",
            example="not rolled back yet: no worker is there with key k1 for queue `docker`",
        ),
        Entry(
            code="run-elsewhere",
            meaning="The run that is named is of another stage.",
            example="run 01kpzv4e is of stage `stg`, not `prd`",
        ),
        Entry(
            code="run-goes-on",
            meaning="The run is still under way.",
            example="run 01kpzv4e is not over: it is running",
        ),
        Entry(
            code="run-lost",
            meaning="Redis lost the run, or was emptied. What is deployed goes on.",
            example="run `01kpzv4e` is not there any more",
        ),
        Entry(
            code="run-not-found",
            meaning="No run begins or ends like that.",
            example="there is no run `01kpzv4e`",
        ),
        Entry(
            code="run-over",
            meaning="The run has ended, so it cannot be cancelled.",
            example="run 01kpzv4e has ended already: it succeeded",
        ),
        Entry(
            code="run-too-short",
            meaning="Too few letters of a run's id.",
            example="`1a` is too short for a run; write at least 4 letters of its id",
        ),
        Entry(
            code="run-went-well",
            meaning="There is nothing to try again.",
            example="run 01kpzv4e succeeded, so nothing of it is left to be done again",
        ),
        Entry(
            code="stage-busy",
            meaning="Another run is at work there, and you asked not to wait.",
            example="stage `shop/prd` is busy with another run",
        ),
        Entry(
            code="step-timeout",
            meaning="A step took longer than its `timeout`.",
            example="not done after 600 s",
        ),
        Entry(
            code="unexplained",
            meaning="A step failed, and the reason did not arrive.",
            example="nobody said why",
            fix="The worker's log has it.",
        ),
        Entry(
            code="url-unknown",
            meaning="A service is to be told the URL of one that is not deployed yet.",
            example="service `web` is to be told the URL of `api`, which is not on cloudrun yet",
        ),
        Entry(
            code="which-run",
            meaning="Several runs begin or end like that.",
            example="2 runs begin or end in `z6b`",
        ),
        Entry(
            code="which-stage",
            meaning="It must be said which stage is meant.",
            example="project `shop` has 2 stages, and none is called `local`",
        ),
    ),
)
