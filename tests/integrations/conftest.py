"""Turns off Haystack's telemetry before anything imports it."""

import os

os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"
