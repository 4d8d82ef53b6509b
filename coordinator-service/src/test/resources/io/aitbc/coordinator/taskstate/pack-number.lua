-- Packs a number by the function that the scripts share.
-- ARGV   1 the number
-- Returns it in base 36, in 4 and in 9 digits
return { base36(ARGV[1], 4), base36(ARGV[1], 9) }
