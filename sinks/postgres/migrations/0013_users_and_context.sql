-- Who an event is about, and what its sender says beside the payload. Null where nothing was sent, and in older rows;
-- processes of before this migration go on: they name the columns that they write.
alter table eye.events add column user_id text collate "C";
alter table eye.events add column context jsonb;

comment on column eye.events.user_id is 'The user as the application names them; null where none was sent.';
comment on column eye.events.context is 'What was sent beside the payload (library, page, device, ...); null where nothing was.';

create index events_by_user on eye.events (user_id, occurred_at, event_id) where user_id is not null;
