"""What ends a run from outside; the fixture `killer` raises it."""


class Killed(BaseException):
    """As if the process were killed: nothing in the solver catches it."""
