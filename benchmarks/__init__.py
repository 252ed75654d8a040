"""The benchmark: ours, the floor and what else one would use, on the same work in turn."""
