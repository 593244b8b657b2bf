"""Links: WebSockets that hosts open to a gateway, each with the bytes of one gRPC connection."""
