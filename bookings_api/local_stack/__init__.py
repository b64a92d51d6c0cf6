"""Runs PostgreSQL, Valkey and an SMTP sink as child processes, for scripts/run and the tests.

    processes       child processes that end when their parent ends
    servers         `LocalStack`, which starts and stops the three servers
    system_calls    system calls that exist only on Linux
    __main__        `python -m bookings_api.local_stack`, which scripts/run calls

The server programs come from Python wheels. The launchers in these wheels are not used, because they leave servers
running. As root, the launchers also create users and change the permissions of parent directories.
"""
