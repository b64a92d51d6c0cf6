"""PostgreSQL, Valkey and an SMTP sink from wheels, run as child processes: for scripts/run and the tests only.

    processes    start a child that cannot outlive us, wait for it, stop it
    servers      the three servers, and `LocalStack`, which starts and stops them together
    command      `python -m bookings_api.local_stack`, which is scripts/run

Linux only. The wheels' own Python starters are not used: as root they change the machine (useradd, chmod of
parent directories) and they leave servers behind.
"""
