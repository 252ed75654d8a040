"""Telling people: the outbox, what its messages say, and the ways they go out."""
