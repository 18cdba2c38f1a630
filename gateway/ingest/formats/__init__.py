"""The formats of senders that already exist: pure functions from a request's parts to events, and from verdicts to an answer."""
