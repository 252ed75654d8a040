"""The files that the orchestrator reads; what they do is in `consumer_analytics.orchestration`."""
