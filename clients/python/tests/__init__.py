"""Tests of the Python client against running servers."""
