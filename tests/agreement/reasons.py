"""Why we differ, where we do. Patterns are as narrow as the reason is."""

from table import Reason

REASONS: list = []
