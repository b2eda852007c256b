"""A controller for ClusterRedistribution as a user of kopf would write it: one asynchronous handler for creation and for
changes of the spec, which calls and returns what to write into status. kopf itself remembers in an annotation what was
handled. It writes nothing before the call: that is the framework's way, and a crash in between calls twice.

It stands beside the operator in benches/side_by_side and is no product."""

import datetime
import os
import ssl
import uuid

import aiohttp
import kopf


@kopf.on.startup()
async def startup(settings: kopf.OperatorSettings, memo: kopf.Memo, **_):
    # No Event for each log line: the other candidates write none either.
    settings.posting.enabled = False
    context = ssl.create_default_context(cafile=os.environ["DWS_CA"])
    memo.session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=context),
        timeout=aiohttp.ClientTimeout(total=60),
        headers={"X-Auth-Token": os.environ["DWS_TOKEN"]},
    )


@kopf.on.cleanup()
async def cleanup(memo: kopf.Memo, **_):
    await memo.session.close()


@kopf.on.create("clusterredistributions.dws.huaweicloud.com")
@kopf.on.update("clusterredistributions.dws.huaweicloud.com", field="spec")
async def redistribute(body, spec, patch, memo: kopf.Memo, logger, **_):
    url = f"{os.environ['DWS_URL']}/v2/{spec['projectID']}/clusters/{spec['clusterID']}/redistribution"
    request = {"redis_mode": spec["redisMode"], "parallel_jobs": spec["parallelJobs"]}
    claimed = now()
    async with memo.session.post(url, json=request) as answer:
        await answer.read()
        code, request_id = answer.status, answer.headers.get("X-Request-Id", "")
        retry_after = answer.headers.get("Retry-After")
    if code == 429:
        raise kopf.TemporaryError("throttled by the cloud", delay=float(retry_after or 60))
    logger.info("delivered: %s", code)

    generation = body["metadata"]["generation"]
    delivered = code < 300
    patch.status["observedGeneration"] = generation
    patch.status["statusCode"] = code
    patch.status["attempt"] = {
        "id": uuid.uuid4().hex,
        "uid": body["metadata"]["uid"],
        "generation": generation,
        "state": "Answered",
        "holder": os.environ.get("HOSTNAME", "kopf"),
        "region": "lab",
        "endpoint": os.environ["DWS_URL"],
        "credentials": "Namespace/dws-redistribution-credentials",
        "claimedTime": claimed,
        "finishedTime": now(),
        "statusCode": code,
        "requestID": request_id,
        "message": f"The cloud answered {code}",
    }
    patch.status["conditions"] = [
        {
            "type": kind,
            "status": "True" if delivered else "False",
            "observedGeneration": generation,
            "reason": "Delivered" if delivered else "Rejected",
            "message": f"The cloud answered {code}",
            "lastTransitionTime": now(),
        }
        for kind in ("Delivered", "Ready")
    ]


def now():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
