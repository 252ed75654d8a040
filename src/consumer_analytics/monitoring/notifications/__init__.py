"""The messages to the operator: what they say, how they are kept, and how they go out.

* `message`: what a message says, whichever way it goes;
* `outbox`: the messages as rows, a row for each channel, sent once, kept until they can be;
* `channels`: the ways to send one, a class each.
"""
