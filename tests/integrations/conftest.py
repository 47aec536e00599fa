"""Haystack's telemetry is off, before anything imports it."""

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
