-- The earliest time of assignment that the submitter asked for.
ALTER TABLE tasks ADD COLUMN scheduled_at timestamptz;

-- The filter as it was asked for; the one that is used is bounded by the time at which the operation began.
ALTER TABLE bulk_operations ADD COLUMN asked text;
