-- The earliest time of assignment that the submitter asked for.
ALTER TABLE tasks ADD COLUMN scheduled_at timestamptz;

-- The filter as it was asked for; the one that is used is bounded by the time at which the operation began.
ALTER TABLE bulk_operations ADD COLUMN asked text;

-- The words of the error: its JSON has escapes, and PostgreSQL takes paths, hosts and names of classes for single words.
DROP INDEX tasks_error_words_idx;
ALTER TABLE tasks DROP COLUMN error_words;
ALTER TABLE tasks ADD COLUMN error_text text;
ALTER TABLE tasks ADD COLUMN error_words tsvector GENERATED ALWAYS AS (to_tsvector('simple', error_text)) STORED;
CREATE INDEX tasks_error_words_idx ON tasks USING gin (error_words) WHERE error IS NOT NULL;
