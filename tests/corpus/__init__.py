"""A recorded corpus of requests and answers, replayed against real servers; tests/README.md says how."""
