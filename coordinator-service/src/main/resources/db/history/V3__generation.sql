-- Changes when the history is to be read again from the beginning of the topic: for a new database, and for a rebuild.
CREATE TABLE history_generation (id bigint NOT NULL);
INSERT INTO history_generation VALUES ((random() * 1e15)::bigint);
