"""Limits for everything that waits for PostgreSQL."""

CONNECT_SECONDS = 3
POOL_SECONDS = 2
# Lists that get no connection to the replica in this time are read from the primary.
REPLICA_POOL_SECONDS = 0.25
LOCK_SECONDS = 5
# For each statement of a transaction, which may wait for several locks.
STATEMENT_SECONDS = 15
# For a statement outside a transaction.
AUTOCOMMIT_STATEMENT_SECONDS = LOCK_SECONDS + 1
# How long a stalled process can keep its locks, for example on an event.
IDLE_IN_TRANSACTION_SECONDS = 2
# How long a working server may take to report that it has cancelled a statement.
GRACE_SECONDS = 2
# Connections that were idle for this long are pinged before use. A ping costs as much as a read.
PING_AFTER_SECONDS = 1
# How long an unresponsive server is not contacted; also the Retry-After of 503 responses.
RETRY_AFTER_SECONDS = 2
