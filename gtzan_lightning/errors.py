"""The one error whose message is meant for the person at the keyboard."""


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what to do about it."""
