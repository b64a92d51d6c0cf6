"""Time limits for operations that wait for PostgreSQL."""

CONNECT_SECONDS = 3
POOL_SECONDS = 2
# A list is read from the primary if the pool has no connection to the replica within this time.
REPLICA_POOL_SECONDS = 0.25
LOCK_SECONDS = 5
# For each statement inside `transaction()`. A statement may wait for several locks.
STATEMENT_SECONDS = 15
# For each statement outside `transaction()`, including those of `row_locked()`.
AUTOCOMMIT_STATEMENT_SECONDS = LOCK_SECONDS + 1
# How long a transaction can be idle, for example if its process has stalled. Meanwhile, its locks block other requests.
IDLE_IN_TRANSACTION_SECONDS = 2
# How much longer the client waits than PostgreSQL, so that a working server can report a cancelled statement.
GRACE_SECONDS = 2
# Connections that were idle for this long are pinged before use. A ping costs as much as a read.
PING_AFTER_SECONDS = 1
# How long the circuit breaker stays open before a thread probes the server. Also the Retry-After of 503 responses.
RETRY_AFTER_SECONDS = 2
