"""How long anything waits for PostgreSQL."""

CONNECT_SECONDS = 3
POOL_SECONDS = 2
# Lists that get no connection to the replica are read from the primary.
REPLICA_POOL_SECONDS = 0.25
LOCK_SECONDS = 5
# For each statement of a transaction, which may wait for several locks. What no client waits for any longer must end.
STATEMENT_SECONDS = 15
# For a statement outside a transaction
AUTOCOMMIT_STATEMENT_SECONDS = LOCK_SECONDS + 1
IDLE_IN_TRANSACTION_SECONDS = 30
# How long a working server may take to report that it has ended a statement.
GRACE_SECONDS = 2
# A connection that was idle this long is pinged before use; pinging each time would cost as much as a read.
PING_AFTER_SECONDS = 1
# How long an unresponsive server is left alone, and how long clients are told to wait.
RETRY_AFTER_SECONDS = 2
