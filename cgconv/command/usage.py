"""What every command shares: the one exception that ends it before it starts. It must not know any command."""

__all__ = ["UsageError"]


class UsageError(Exception):
    """The command cannot start as it was given. The text is one line for the user."""
