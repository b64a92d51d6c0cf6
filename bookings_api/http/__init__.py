"""HTTP code shared by all routes: authentication, parsing, problems, pagination, conditional requests, rate limits."""
