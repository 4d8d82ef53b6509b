-- A projection of tasks.events. A task and its attempts stay in the partition of the day on which the first event of the task happened, so that a day is forgotten as a whole.

CREATE TABLE tasks (
    day             date        NOT NULL,
    task_id         text        COLLATE "C" NOT NULL,
    -- Of the latest event, which decides about the status.
    sequence        integer     NOT NULL,
    status          text        NOT NULL,
    attempt         integer     NOT NULL,
    -- Of the current or last attempt.
    agent_id        text,
    -- Of the latest event that names an agent; likewise for error and result.
    agent_sequence  integer,
    -- All agents that have or had an attempt.
    agents          text[]      NOT NULL DEFAULT '{}',
    assigned_at     timestamptz,
    finished_at     timestamptz,
    not_before      timestamptz,
    reason          text,
    error           text,
    error_sequence  integer,
    error_words     tsvector    GENERATED ALWAYS AS (to_tsvector('simple', error)) STORED,
    result          text,
    result_bytes    integer,
    result_sequence integer,
    -- The following are known with the event that carries the task.
    submitted_at    timestamptz,
    priority        text,
    task_type       text,
    agent_type      text,
    capabilities    text[]      NOT NULL DEFAULT '{}',
    fairness_key    text,
    -- Each as key=value.
    labels          text[]      NOT NULL DEFAULT '{}',
    requirements    text,
    max_attempts    integer,
    timeout_seconds integer,
    task_data       text,
    task_data_bytes integer,
    PRIMARY KEY (task_id, day)
) PARTITION BY RANGE (day);

CREATE INDEX ON tasks (submitted_at, task_id);
CREATE INDEX ON tasks (finished_at, task_id);
CREATE INDEX ON tasks (status, finished_at, task_id);
CREATE INDEX ON tasks (status, submitted_at, task_id);
CREATE INDEX ON tasks (fairness_key, submitted_at, task_id);
CREATE INDEX ON tasks (task_type, submitted_at, task_id);
CREATE INDEX ON tasks USING gin (labels, agents, capabilities);
CREATE INDEX ON tasks USING gin (error_words) WHERE error IS NOT NULL;

CREATE TABLE attempts (
    day         date        NOT NULL,
    task_id     text        COLLATE "C" NOT NULL,
    attempt     integer     NOT NULL,
    sequence    integer     NOT NULL,
    agent_id    text        NOT NULL,
    -- completed, cancelled, or why it did not succeed; null while it runs.
    outcome     text,
    assigned_at timestamptz,
    started_at  timestamptz,
    finished_at timestamptz,
    error       text,
    -- When the next attempt was due.
    not_before  timestamptz,
    PRIMARY KEY (task_id, day, attempt)
) PARTITION BY RANGE (day);

CREATE FUNCTION add_history_day(added date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
BEGIN
    -- Coordinators add the same day at the same time.
    PERFORM pg_advisory_xact_lock(hashtext('add_history_day'));
    FOREACH parent IN ARRAY ARRAY['tasks', 'attempts'] LOOP
        EXECUTE format(
            'CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
            parent || to_char(added, '_YYYYMMDD'), parent, added, added + 1);
    END LOOP;
END $$;

-- Drops the days before a date, and returns how many there were.
CREATE FUNCTION drop_history_days(before date) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    partition record;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('add_history_day'));
    FOR partition IN
        SELECT child.relname AS name, parent.relname AS parent
        FROM pg_inherits
        JOIN pg_class child ON child.oid = inhrelid
        JOIN pg_class parent ON parent.oid = inhparent
        WHERE inhparent IN ('tasks'::regclass, 'attempts'::regclass)
          AND to_date(right(child.relname, 8), 'YYYYMMDD') < before
    LOOP
        EXECUTE format('DROP TABLE %I', partition.name);
        IF partition.parent = 'tasks' THEN
            dropped := dropped + 1;
        END IF;
    END LOOP;
    RETURN dropped;
END $$;
