-- How often the agent reported progress.
ALTER TABLE attempts ADD COLUMN progress_reports integer;

-- The cluster, every few seconds.
CREATE TABLE samples (
    at            timestamptz PRIMARY KEY,
    waiting       bigint      NOT NULL,
    running       bigint      NOT NULL
);

-- Figures of the tasks that ended in a span of time, by what kind says: one group for all, or one for each value; with the most tasks first. Times are counted in
-- buckets, each 5 % longer than the one before, from 1 ms: so those of several spans can be added up.
CREATE FUNCTION figures_of(kind text, starts timestamptz, ends timestamptz, most integer)
RETURNS TABLE (
    value text, count bigint, failed bigint,
    waiting_buckets smallint[], waiting_counts bigint[], running_buckets smallint[], running_counts bigint[])
LANGUAGE sql STABLE AS $$
    WITH ended AS (
        SELECT CASE kind WHEN 'task_type' THEN task_type WHEN 'agent_id' THEN agent_id WHEN 'fairness_key' THEN fairness_key
                   WHEN 'error' THEN left(error, 200) END AS value,
               status = 'failed' AS is_failed,
               -- Of tasks with one attempt: later ones have waited for others to end. A scheduled one waits from its earliest time.
               CASE WHEN attempt = 1 THEN extract(epoch FROM assigned_at - greatest(submitted_at, scheduled_at))::float8 END AS waited,
               -- Of tasks that an agent ended: others may have waited after an attempt that failed.
               CASE WHEN status IN ('completed', 'failed') THEN extract(epoch FROM finished_at - assigned_at)::float8 END AS ran
        FROM tasks WHERE finished_at >= starts AND finished_at < ends AND (kind <> 'error' OR status = 'failed')),
    in_buckets AS (
        SELECT ended.value, is_failed,
               CASE WHEN waited IS NOT NULL THEN least(500, ceil(ln(greatest(waited, 0.001) / 0.001) / ln(1.05::float8)))::smallint END AS waiting,
               CASE WHEN ran IS NOT NULL THEN least(500, ceil(ln(greatest(ran, 0.001) / 0.001) / ln(1.05::float8)))::smallint END AS running
        FROM ended),
    -- Few combinations, which then are added up.
    counted AS (
        SELECT in_buckets.value, waiting, running, count(*) AS count, count(*) FILTER (WHERE is_failed) AS failed
        FROM in_buckets GROUP BY 1, 2, 3),
    added AS (
        SELECT counted.value, waiting, running, GROUPING(waiting, running) AS level, sum(counted.count)::bigint AS count, sum(counted.failed)::bigint AS failed
        FROM counted GROUP BY GROUPING SETS ((counted.value), (counted.value, waiting), (counted.value, running)))
    SELECT added.value,
           sum(added.count) FILTER (WHERE level = 3)::bigint,
           sum(added.failed) FILTER (WHERE level = 3)::bigint,
           coalesce(array_agg(waiting ORDER BY waiting) FILTER (WHERE level = 1 AND waiting IS NOT NULL), '{}'),
           coalesce(array_agg(added.count ORDER BY waiting) FILTER (WHERE level = 1 AND waiting IS NOT NULL), '{}'),
           coalesce(array_agg(running ORDER BY running) FILTER (WHERE level = 2 AND running IS NOT NULL), '{}'),
           coalesce(array_agg(added.count ORDER BY running) FILTER (WHERE level = 2 AND running IS NOT NULL), '{}')
    FROM added GROUP BY added.value ORDER BY 2 DESC, 1 LIMIT most
$$;

-- Figures of whole days, in UTC, that are over.
CREATE TABLE figure_days (
    day             date       NOT NULL,
    kind            text       NOT NULL,
    value           text,
    count           bigint     NOT NULL,
    failed          bigint     NOT NULL,
    waiting_buckets smallint[] NOT NULL,
    waiting_counts  bigint[]   NOT NULL,
    running_buckets smallint[] NOT NULL,
    running_counts  bigint[]   NOT NULL
);
CREATE INDEX ON figure_days (day, kind);
CREATE UNIQUE INDEX ON figure_days (day) WHERE kind = 'all';

CREATE TABLE figure_hours (
    day    date        NOT NULL,
    hour   timestamptz NOT NULL,
    count  bigint      NOT NULL,
    failed bigint      NOT NULL
);
CREATE INDEX ON figure_hours (day);

-- A row for each batch with tasks that ended on an earlier day. A counter would make the writers of a day wait for each other.
CREATE TABLE figure_changes (day date NOT NULL);
CREATE INDEX ON figure_changes (day);

-- Computes the figures of a day, if it has none. Returns false if tasks of that day were written meanwhile.
CREATE FUNCTION roll_up_figures(rolled date) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    grouping text;
    starts timestamptz := rolled::timestamp AT TIME ZONE 'UTC';
    ends timestamptz := (rolled + 1)::timestamp AT TIME ZONE 'UTC';
    before bigint := (SELECT count(*) FROM figure_changes WHERE day = rolled);
    computed figure_days[];
    hours figure_hours[];
BEGIN
    FOREACH grouping IN ARRAY ARRAY['all', 'task_type', 'agent_id', 'fairness_key', 'error'] LOOP
        computed := computed || ARRAY(
            SELECT ROW(rolled, grouping, figures.*)::figure_days
            FROM figures_of(grouping, starts, ends, CASE grouping WHEN 'error' THEN 200 ELSE 10000 END) AS figures);
    END LOOP;
    hours := ARRAY(
        SELECT ROW(rolled, date_trunc('hour', finished_at, 'UTC'), count(*), count(*) FILTER (WHERE status = 'failed'))::figure_hours
        FROM tasks WHERE finished_at >= starts AND finished_at < ends GROUP BY date_trunc('hour', finished_at, 'UTC'));
    -- A writer of tasks that ended on an earlier day first records a change, and deletes the figures of that day. Writers that have begun are waited for here, and seen;
    -- later ones wait until this is committed, and delete the figures. Others that compute figures wait too, and find these.
    LOCK TABLE figure_changes IN SHARE ROW EXCLUSIVE MODE;
    IF before <> (SELECT count(*) FROM figure_changes WHERE day = rolled) THEN
        RETURN false;
    END IF;
    IF EXISTS (SELECT FROM figure_days WHERE day = rolled) THEN
        RETURN true;
    END IF;
    IF cardinality(computed) > 0 THEN
        INSERT INTO figure_days SELECT * FROM unnest(computed);
        INSERT INTO figure_hours SELECT * FROM unnest(hours);
    ELSE
        -- No task ended.
        INSERT INTO figure_days VALUES (rolled, 'all', NULL, 0, 0, '{}', '{}', '{}', '{}');
    END IF;
    RETURN true;
END $$;
