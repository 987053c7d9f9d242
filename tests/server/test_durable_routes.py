"""Durable Functions' HTTP API, answer by answer."""

from typing import Any

import httpx
import pytest

BASE = "/runtime/webhooks/durabletask"
JSON = {"Content-Type": "application/json"}
CASE: dict[str, Any] = {"amount": 12}


def start(http: httpx.Client, id: str, name: str = "approve", value: Any = CASE) -> httpx.Response:
    return http.post(f"{BASE}/orchestrators/{name}/{id}", json=value)


def raise_event(http: httpx.Client, id: str, value: Any = None, query: str = "") -> httpx.Response:
    body = {"approved": True} if value is None else value
    return http.post(f"{BASE}/instances/{id}/raiseEvent/Approval{query}", json=body)


def status(http: httpx.Client, id: str, **query: Any) -> httpx.Response:
    return http.get(f"{BASE}/instances/{id}", params=query)


def ended(http: httpx.Client, id: str) -> None:
    """Comes back when the instance has finished."""
    assert http.get(f"/api/v1/instances/{id}/result", params={"wait": 5}).status_code == 200


def test_a_start_is_answered_with_microsofts_own_keys_and_headers(http: httpx.Client) -> None:
    answer = start(http, "keys-1")

    # As in Microsoft's "HTTP API URL discovery", but for the system key that we do not have.
    instance = f"{str(http.base_url).rstrip('/')}{BASE}/instances/keys-1"
    assert answer.status_code == 202
    assert answer.json() == {
        "id": "keys-1",
        "statusQueryGetUri": instance,
        "sendEventPostUri": f"{instance}/raiseEvent/{{eventName}}",
        "terminatePostUri": f"{instance}/terminate?reason={{text}}",
        "rewindPostUri": f"{instance}/rewind?reason={{text}}",
        "purgeHistoryDeleteUri": instance,
        "restartPostUri": f"{instance}/restart",
        "suspendPostUri": f"{instance}/suspend?reason={{text}}",
        "resumePostUri": f"{instance}/resume?reason={{text}}",
    }
    assert answer.headers["location"] == instance
    assert answer.headers["retry-after"] == "10"
    assert http.get(answer.json()["statusQueryGetUri"]).status_code == 202


def test_a_start_without_an_id_gets_one_and_without_a_body_gets_null(http: httpx.Client) -> None:
    answer = http.post(f"{BASE}/orchestrators/slow_to_answer/")  # outer slashes are trimmed

    assert answer.status_code == 202
    assert len(answer.json()["id"]) == 32
    assert status(http, answer.json()["id"]).json()["input"] is None


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("nobody/bad-1", "{}", "UnknownOrchestratorError"),
        ("approve/bad%20id", "{}", "InvalidIdError"),
        ("approve/bad-1", "{", "SerializationError"),
        ("approve/bad-1", '{"a":1,"a":2}', "SerializationError"),
        ("approve/bad-1", '{"a":NaN}', "SerializationError"),
        ("approve/bad-1", '{"a":"\\ud800"}', "SerializationError"),
        ("approve/bad-1", "[" * 300 + "]" * 300, "SerializationError"),
        ("approve/bad-1", "[" * 100_000, "SerializationError"),
        ("approve/bad-1", "[]", "InvalidPayloadError"),
        ("approve/bad-1?timeout=1&pollingInterval=2", "{}", "InvalidPayloadError"),
    ],
)
def test_a_start_that_makes_no_sense_gets_400_and_starts_nothing(
    http: httpx.Client, path: str, body: str, code: str
) -> None:
    answer = http.post(f"{BASE}/orchestrators/{path}", content=body, headers=JSON)

    assert answer.status_code == 400
    problem = answer.json()
    assert problem["code"] == code
    assert problem["Message"] == problem["ExceptionMessage"] != ""
    assert "StackTrace" not in problem and "Traceback" not in answer.text
    assert status(http, "bad-1").status_code == 404


def test_an_unfinished_id_gets_409_and_a_finished_one_is_replaced(http: httpx.Client) -> None:
    start(http, "twice-1")
    assert start(http, "twice-1").status_code == 409

    raise_event(http, "twice-1")
    ended(http, "twice-1")

    assert start(http, "twice-1").status_code == 202
    assert status(http, "twice-1").json()["adjourn"]["execution"] == 2


def test_a_start_may_wait_for_the_end(http: httpx.Client) -> None:
    query = "?timeout=5&pollingInterval=1"

    done = http.post(f"{BASE}/orchestrators/E1_HelloSequence/wait-1{query}", json=21)
    failed = http.post(f"{BASE}/orchestrators/fail/wait-2{query}", json="it")
    late = http.post(f"{BASE}/orchestrators/approve/wait-3?timeout=0.05", json={})

    assert (done.status_code, done.json()) == (200, 42)
    assert (failed.status_code, failed.json()["runtimeStatus"]) == (200, "Failed")
    assert (late.status_code, late.json()["id"]) == (202, "wait-3")


def test_the_status_of_a_waiting_instance(http: httpx.Client) -> None:
    start(http, "status-1")

    answer = status(http, "status-1")

    assert answer.status_code == 202
    assert answer.headers["retry-after"] == "5"
    assert answer.headers["location"].endswith(f"{BASE}/instances/status-1")
    body = answer.json()
    assert body["name"] == "approve"
    assert body["instanceId"] == "status-1"
    assert body["runtimeStatus"] == "Running"
    assert body["input"] == CASE
    assert body["customStatus"] == {"step": "waiting"}
    assert body["output"] is None
    assert body["createdTime"].endswith("Z") and "." not in body["createdTime"]
    assert body["adjourn"]["waitingFor"] == ["Approval"]
    assert body["adjourn"]["attributes"] == {"customer": "ann", "amount": 12}
    assert "historyEvents" not in body


def test_the_status_of_finished_ones(http: httpx.Client) -> None:
    start(http, "over-1")
    raise_event(http, "over-1")
    ended(http, "over-1")
    start(http, "over-2", "fail", "it")
    ended(http, "over-2")
    start(http, "over-3")
    http.post(f"{BASE}/instances/over-3/terminate?reason=no%20more")

    done, failed, stopped = (status(http, f"over-{n}") for n in (1, 2, 3))

    assert [one.status_code for one in (done, failed, stopped)] == [200, 200, 200]
    assert (done.json()["runtimeStatus"], done.json()["output"]) == ("Completed", "approved")
    assert failed.json()["runtimeStatus"] == "Failed"
    assert "it is broken" in failed.json()["output"]
    assert (stopped.json()["runtimeStatus"], stopped.json()["output"]) == ("Terminated", "no more")
    asked = status(http, "over-2", RETURNinternalServerErrorOnFailure="TRUE")
    assert asked.status_code == 500
    assert status(http, "over-9").status_code == 404


def test_the_names_and_booleans_of_a_query_may_have_any_letter_case(http: httpx.Client) -> None:
    start(http, "case-1")

    assert status(http, "case-1", SHOWINPUT="False").json()["input"] is None
    assert status(http, "case-1", showhistory="TRUE").json()["historyEvents"]
    assert status(http, "case-1", showInput="maybe").status_code == 400


def test_history_is_told_in_durable_tasks_words(http: httpx.Client) -> None:
    start(http, "hist-1", "E1_HelloSequence", 21)
    ended(http, "hist-1")

    shown = status(http, "hist-1", showHistory="true", showHistoryOutput="true").json()
    hidden = status(http, "hist-1", showHistory="true", showInput="false").json()

    rows = shown["historyEvents"]
    assert [row["EventType"] for row in rows] == [
        "ExecutionStarted",
        "TaskCompleted",
        "ExecutionCompleted",
    ]
    assert rows[0]["FunctionName"] == "E1_HelloSequence" and rows[0]["Input"] == 21
    assert rows[1]["FunctionName"] == "double" and rows[1]["Result"] == 42
    assert rows[1]["ScheduledTime"] <= rows[1]["Timestamp"]
    assert rows[2]["OrchestrationStatus"] == "Completed" and rows[2]["Result"] == 42
    assert not any("Result" in row or "Input" in row for row in hidden["historyEvents"])


def test_the_history_of_one_that_waits_keeps_its_open_rows(http: httpx.Client) -> None:
    start(http, "hist-2")
    http.post(f"{BASE}/instances/hist-2/suspend?reason=lunch")

    rows = status(http, "hist-2", showHistory="true").json()["historyEvents"]

    assert [row["EventType"] for row in rows] == [
        "ExecutionStarted",
        "TimerCreated",
        "ExecutionSuspended",
    ]
    assert "FireAt" in rows[1] and rows[2]["Reason"] == "lunch"


def test_what_an_orchestrator_sends_and_starts_is_in_its_history(http: httpx.Client) -> None:
    start(http, "hist-3", "pass_on", "hist-4")
    ended(http, "hist-3")
    ended(http, "hist-4")

    rows = status(http, "hist-3", showHistory="true").json()["historyEvents"]
    theirs = status(http, "hist-4", showHistory="true").json()["historyEvents"]

    plain = [{name: row[name] for name in row if name != "Timestamp"} for row in rows[1:3]]
    assert plain == [
        {
            "EventType": "SubOrchestrationInstanceCreated",
            "Name": "E1_HelloSequence",
            "InstanceId": "hist-4",
            "Input": 4,
        },
        {
            "EventType": "EventSent",
            "InstanceId": "hist-4",
            "Name": "Hurry",
            "Input": {"please": True},
        },
    ]
    assert [row["Name"] for row in theirs if row["EventType"] == "EventRaised"] == ["Hurry"]


def test_an_event_is_accepted_and_its_repetition_too_even_after_the_end(http: httpx.Client) -> None:
    start(http, "event-1")

    first = raise_event(http, "event-1", query="?eventId=click-81")
    ended(http, "event-1")
    again = raise_event(http, "event-1", query="?EVENTID=click-81")
    other = raise_event(http, "event-1", query="?eventId=click-82")

    assert (first.status_code, again.status_code, other.status_code) == (202, 202, 410)


def test_an_event_is_refused_in_durable_functions_order(http: httpx.Client) -> None:
    start(http, "event-2")
    start(http, "event-3")
    http.post(f"{BASE}/instances/event-3/terminate")

    def post(id: str, content: str, headers: dict[str, str]) -> httpx.Response:
        path = f"{BASE}/instances/{id}/raiseEvent/Approval"
        return http.post(path, content=content, headers=headers)

    plain = {"Content-Type": "text/plain"}
    assert post("event-none", "{", plain).status_code == 404
    assert post("event-3", "{", plain).status_code == 410
    assert post("event-2", '{"approved":true}', plain).status_code == 400
    assert post("event-2", "{", JSON).status_code == 400
    unfit = post("event-2", '{"approved":"perhaps"}', JSON)
    assert (unfit.status_code, unfit.json()["code"]) == (400, "InvalidPayloadError")
    charset = {"Content-Type": "application/json; charset=utf-8"}
    assert post("event-2", '{"approved":true}', charset).status_code == 202


def test_suspend_resume_and_terminate(http: httpx.Client) -> None:
    def post(action: str, id: str = "control-1") -> int:
        return http.post(f"{BASE}/instances/{id}/{action}?Reason=because").status_code

    assert post("suspend", "control-none") == 404
    start(http, "control-1")
    assert post("resume") == 409
    assert post("suspend") == 202
    assert status(http, "control-1").json()["runtimeStatus"] == "Suspended"
    assert post("suspend") == 409
    assert post("resume") == 202
    assert post("terminate") == 202
    assert [post(action) for action in ("terminate", "suspend", "resume")] == [410, 410, 410]
    assert status(http, "control-1").json()["output"] == "because"


def test_a_list_is_filtered_and_paged(http: httpx.Client) -> None:
    for number in range(5):
        start(http, f"list-{number}")
    http.post(f"{BASE}/instances/list-0/terminate")

    def listed(**query: Any) -> list[str]:
        answer = http.get(f"{BASE}/instances/", params={"instanceIdPrefix": "list-", **query})
        assert answer.status_code == 200
        return [one["instanceId"] for one in answer.json()]

    assert listed() == [f"list-{number}" for number in range(5)]
    assert listed(RUNTIMESTATUS="terminated,nonsense") == ["list-0"]
    assert listed(runtimeStatus=["Running", "Terminated"]) == listed()
    assert listed(runtimeStatus="Canceled") == []
    assert listed(createdTimeFrom="2999-01-01T00:00:00Z") == []
    assert listed(createdTimeTo="2999-01-01") == listed()
    assert "input" in http.get(f"{BASE}/instances").json()[0]

    first = http.get(f"{BASE}/instances", params={"instanceIdPrefix": "list-", "top": 3})
    token = first.headers["x-ms-continuation-token"]
    second = http.get(
        f"{BASE}/instances",
        params={"instanceIdPrefix": "list-", "top": 3},
        headers={"x-ms-continuation-token": token},
    )
    assert [one["instanceId"] for one in second.json()] == ["list-3", "list-4"]
    assert "x-ms-continuation-token" not in second.headers


@pytest.mark.parametrize(
    ("query", "token"),
    [("top=x", ""), ("createdTimeFrom=soon", ""), ("", "x"), ("", "9" * 30), ("", "-1")],
)
def test_a_list_asked_for_badly_gets_400(http: httpx.Client, query: str, token: str) -> None:
    headers = {"x-ms-continuation-token": token} if token else {}

    assert http.get(f"{BASE}/instances?{query}", headers=headers).status_code == 400
    assert http.get("/healthz").status_code == 200


@pytest.mark.slow
def test_a_wrong_route_and_a_wrong_method_get_404(http: httpx.Client) -> None:
    assert http.get(f"{BASE}/nothing").status_code == 404
    assert http.get(f"{BASE}/orchestrators/approve").status_code == 404
    assert http.put(f"{BASE}/instances/x").status_code == 404
    assert http.get(f"{BASE}/nothing").json()["code"] == "NotFound"


@pytest.mark.slow
def test_what_we_cannot_do_yet_says_so(http: httpx.Client) -> None:
    start(http, "later-1")

    assert http.post(f"{BASE}/instances/later-1/rewind").status_code == 501
    assert http.post(f"{BASE}/instances/later-1/restart").status_code == 501
    assert http.delete(f"{BASE}/instances/later-1").status_code == 501
