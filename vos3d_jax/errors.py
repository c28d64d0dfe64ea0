"""The one family of errors that a user can cause and mend, and what helps to say the mend."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """What the user gave cannot be used; the message names the thing, what was expected, and the mend.

    Commands print it as one line on stderr and exit with status 2. Raise it where the fact is known.
    """


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns "did you mean NAME?" for the one of `names` that is most like `name`, "" if none is."""
    near = difflib.get_close_matches(name, list(names), n=1)
    return f"did you mean {near[0]}?" if near else ""
