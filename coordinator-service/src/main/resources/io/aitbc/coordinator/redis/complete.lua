-- Prepended to the scripts that grant, settle or end: they fail while agents' assignments are unknown.
if not mark then
  return redis.error_reply('REBUILDING assignments are being restored from Kafka')
end
