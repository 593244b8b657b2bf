"""What anyone learns who knows only the address: the welcome, the OpenAPI document and its page."""
