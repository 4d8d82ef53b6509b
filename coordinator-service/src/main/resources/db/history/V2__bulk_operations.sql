ALTER TABLE tasks
    -- Units of named limits, as JSON.
    ADD COLUMN uses text,
    -- The task that this one repeats.
    ADD COLUMN retry_of text;

CREATE TABLE bulk_operations (
    id          text        COLLATE "C" PRIMARY KEY,
    kind        text        NOT NULL,
    filter      text        NOT NULL,
    -- Tasks per second.
    rate        integer     NOT NULL,
    caller      text        NOT NULL,
    state       text        NOT NULL DEFAULT 'running',
    -- Tasks that the filter matched when it began.
    total       bigint,
    done        bigint      NOT NULL DEFAULT 0,
    -- Those that had ended, or were not failed, when their turn came.
    skipped     bigint      NOT NULL DEFAULT 0,
    -- Where a page of the history ended that is done.
    cursor      text,
    error       text,
    created_at  timestamptz NOT NULL,
    updated_at  timestamptz NOT NULL,
    -- The coordinator that works on it, until the lease expires.
    owner       text,
    lease_until timestamptz
);
