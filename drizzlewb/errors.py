"""What can go wrong, in three kinds that the command line and the panels tell apart."""


class DrizzlewbError(Exception):
    """Base of every error that drizzlewb raises on purpose; its text is meant for the astronomer."""


class DataError(DrizzlewbError):
    """An input file, or what it holds, cannot be used."""


class ParameterError(DrizzlewbError, ValueError):
    """A parameter has an unknown name or an impossible value."""


class Cancelled(DrizzlewbError):
    """The user asked to stop; nothing half-made is left behind."""
