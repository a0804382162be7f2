"""One exception tree; each branch knows the exit code the command line gives it."""

from __future__ import annotations


class SagittalError(Exception):
    """Anything Sagittal raises on purpose. ``str(error)`` is one line, fit for stderr."""

    exit_code = 1


class BadInput(SagittalError):
    """The caller's file, value or option cannot be used.

    Args:
        what: the file or option, and what is wrong with it.
        expected: what would have been right.
        fix: what to do about it.
    """

    exit_code = 2

    def __init__(self, what: str, expected: str = "", fix: str = "") -> None:
        self.what, self.expected, self.fix = what, expected, fix
        parts = [what]
        if expected:
            parts.append(f"expected {expected}")
        if fix:
            parts.append(fix)
        super().__init__(" ".join("; ".join(parts).split()))


class MissingExtra(BadInput):
    """A feature needs an optional package that is not installed."""


class Refused(SagittalError):
    """Sagittal could go on but must not: out of specification, out of distribution, unsigned."""

    exit_code = 3

    def __init__(self, reason: str, wanted: str = "", got: str = "") -> None:
        self.reason, self.wanted, self.got = reason, wanted, got
        tail = f"; wanted {wanted}, got {got}" if wanted else ""
        super().__init__(" ".join(f"{reason}{tail}".split()))
