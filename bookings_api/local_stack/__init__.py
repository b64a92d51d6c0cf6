"""PostgreSQL, Valkey and an SMTP sink from wheels, as child processes for scripts/run and the tests.

    processes    child processes that cannot outlive us
    servers      `LocalStack`, which starts and stops the three servers
    __main__     `python -m bookings_api.local_stack`, which scripts/run calls

Linux only. The wheels' Python starters are not used, because as root they change the machine (useradd, chmod of parent
directories), and they leave servers behind.
"""
