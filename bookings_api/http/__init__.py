"""Shared by all routes: authentication, blueprint, parser, fields, problems, pagination, conditional requests."""
