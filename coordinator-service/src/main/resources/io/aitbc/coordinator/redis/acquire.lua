-- Takes an exclusive claim.
-- Guarantee: a claim has one holder until it is released or expires.
-- ARGV   1 its key, 2 the holder, 3 expiry in ms, in case the holder dies
-- Returns 1 if the caller holds it now, else 0
return { acquire(ARGV[1], ARGV[2], ARGV[3]) and 1 or 0 }
