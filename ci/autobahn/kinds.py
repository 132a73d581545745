"""How good a verdict is: the best of several runs is one of the lowest kind."""

KINDS = ["OK", "informational or non-strict", "failed or unimplemented"]


def kind(verdict):
    """The place of its kind in `KINDS`."""
    if verdict == "OK":
        return 0
    return 1 if verdict in ("INFORMATIONAL", "NON-STRICT") else 2
