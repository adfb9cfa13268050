"""Errors in the bodies of many servers, and the equivalent status. Shapes as the named servers send them."""

from __future__ import annotations

import json

import pytest

from axolotl_synthetic.teachers.server_errors import ServersError, status_inside


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 401, "message": "No auth credentials found"}}, 401),
        ({"error": {"code": "402", "message": "Insufficient credits"}}, 402),
        ({"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}, 402),
        ({"error": {"type": "authentication_error", "message": "x"}}, 401),
        ([{"error": {"code": 429, "message": "x", "status": "RESOURCE_EXHAUSTED"}}], 429),
        ({"choices": [{"error": {"code": 502, "message": "x"}, "message": {"content": "half"}, "finish_reason": "error"}]}, 502),
        ({"error": {"message": "x"}}, None),
        ({"error": None, "choices": [{"message": {"content": 'It says {"error": {"code": 401}}.'}}]}, None),
        ({"choices": [{"message": {"content": "x"}}], "error": {"code": 401}}, None),
        # Without a code, or with one elsewhere
        ({"error": "Unauthorized"}, 401),
        ({"error": {"message": "Invalid API key"}}, 401),
        ({"code": 401, "message": "no"}, 401),
        ({"code": "401", "msg": "no", "data": None}, 401),
        ({"status": 401, "title": "no"}, 401),
        ({"statusCode": 401, "message": "no"}, 401),
        ({"detail": "Not authenticated"}, 401),
        ({"detail": "Could not validate credentials"}, 401),
        ({"detail": [{"msg": "Unauthorized"}]}, 401),
        ({"message": "Incorrect API key provided"}, 401),
        ({"success": False, "error": "Missing API key"}, 401),
        ({"errors": [{"message": "no", "extensions": {"code": "UNAUTHENTICATED"}}]}, 401),
        ({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, 401),
        ({"error_code": 110, "error_msg": "Access token invalid or no longer valid"}, 401),
        ({"code": "InvalidApiKey", "message": "Invalid API-key provided.", "request_id": "x"}, 401),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}, "choices": None}, 401),
        ({"base_resp": {"status_code": 2049, "status_msg": "invalid api key"}}, 401),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, 402),
        ({"base_resp": {"status_code": 1002, "status_msg": "rate limit"}}, 429),
        ({"code": "Arrearage", "message": "Access denied, your account is in arrears."}, 402),
        ({"error": "Insufficient balance"}, 402),
        ({"detail": "Payment Required"}, 402),
        ({"error": {"message": "余额不足，请充值"}}, 402),
        ({"message": "Forbidden"}, 403),
        ({"code": "AccessDenied.Unpurchased", "message": "no"}, 403),
        ({"code": "Throttling.RateQuota", "message": "no"}, 429),
        ({"error": "Too many requests, please slow down"}, 429),
        ({"detail": "The model is overloaded"}, 503),
        ({"choices": [], "error": "Unauthorized"}, 401),
        ({"choices": None, "message": "Unauthorized"}, 401),
        # No error
        ({"code": 0, "message": "ok"}, None),
        ({"code": 200, "data": {}}, None),
        ({"base_resp": {"status_code": 0, "status_msg": ""}, "choices": [{"message": {"content": "Unauthorized"}}]}, None),
        ({"choices": [{"message": {"content": "The error is Unauthorized, code 401."}}]}, None),
        ({"object": "list", "data": []}, None),
        ({"code": True, "message": "x"}, None),
    ],
)
def test_an_error_within_a_200_stands_for_its_status(body, status):
    assert status_inside(json.dumps(body).encode()) == status


def test_geminis_list_of_one_error_is_read_as_one():
    quota = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    key = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
    error = ServersError(json.dumps([{"error": {"code": 400, "message": "API key not valid.", "details": [quota, key]}}]).encode())
    assert (error.message, error.status, error.wait, error.is_about_the_key) == ("API key not valid.", 400, 34.5, True)


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"[[]]", b'{"error": []}', b'{"error": {"details": 5, "code": []}}', b"\xff" * 900])
def test_an_odd_error_is_read_without_an_error(body):
    assert isinstance(ServersError(body).message, str)
