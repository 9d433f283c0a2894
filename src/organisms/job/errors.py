"""The one exception that speaks to the user."""


class UserError(Exception):
    """Something the user can mend. The message is one line: what is wrong, where, and what to do."""
