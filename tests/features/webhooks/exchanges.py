"""What the endpoints of webhooks are asked by the test of /openapi.json."""

from tests.proxy.http.described import Exchange

_V1 = "/v1/webhook_endpoints"
_ADMIN = "/admin/webhook_endpoints"
_NEW = {"name": "mine", "url": "https://hooks.example.org/", "event_types": ["voice.clone.ready"]}

EXCHANGES = (
    Exchange("list_webhook_event_types", "GET", "/v1/webhook_event_types"),
    Exchange("create_webhook_endpoint", "POST", _V1, _NEW),
    Exchange("create_webhook_endpoint_of", "POST", f"{_ADMIN}?account=bob", _NEW),
    Exchange("list_webhook_endpoints", "GET", _V1),
    Exchange("list_webhook_endpoints_of", "GET", _ADMIN),
    *(
        Exchange(f"{name}{of}", verb, f"{root}/hook_1{path}", body, 404)
        for root, of in ((_V1, ""), (_ADMIN, "_of"))
        for name, verb, path, body in (
            ("get_webhook_endpoint", "GET", "", None),
            ("update_webhook_endpoint", "POST", "", {"is_on": True}),
            ("delete_webhook_endpoint", "DELETE", "", None),
            ("rotate_webhook_secret", "POST", "/rotate_secret", {}),
            ("test_webhook_endpoint", "POST", "/test", {}),
            ("list_webhook_deliveries", "GET", "/deliveries", None),
        )
    ),
    Exchange("resend_webhook_delivery", "POST", "/v1/webhook_deliveries/dlv_1/resend", status=404),
    Exchange("resend_webhook_delivery_of", "POST", "/admin/webhook_deliveries/dlv_1/resend", status=404),
)
