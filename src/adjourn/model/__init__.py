"""Values only: ids, events, commands, status, retry, failure, codec. No IO, no clock."""
