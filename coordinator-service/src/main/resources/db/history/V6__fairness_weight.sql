-- The share of a task's fairness key that its submitter asked for.
ALTER TABLE tasks ADD COLUMN fairness_weight float8;
