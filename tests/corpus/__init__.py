"""A recorded corpus of requests and answers, replayed against real servers; CONTRIBUTING.md says how."""
