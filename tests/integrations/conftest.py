"""Turns off Haystack's telemetry before the first import of Haystack."""

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
