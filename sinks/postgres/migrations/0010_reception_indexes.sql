-- Finds events by when they were received: the ledger and retention ask for that. Rows come nearly in that order,
-- so a summary of each range of pages is enough, which costs writers next to nothing.
create index events_by_reception on eye.events using brin (received_at) with (autosummarize = on);
