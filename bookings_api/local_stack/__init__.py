"""PostgreSQL, Valkey and an SMTP sink, run from wheels as child processes for scripts/run and the tests.

    processes    child processes that end with their parent
    servers      `LocalStack`, which starts and stops the three servers
    __main__     `python -m bookings_api.local_stack`, which scripts/run calls

The wheels' own Python launchers are not used, because they leave servers running and, as root, change the machine
(useradd, chmod of parent directories).
"""
