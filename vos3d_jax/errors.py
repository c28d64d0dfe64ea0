"""The one family of errors that a user can cause and mend."""


class UserError(Exception):
    """What the user gave cannot be used; the message names the thing, what was expected, and the mend.

    Commands print it as one line on stderr and exit with status 2. Raise it where the fact is known.
    """
