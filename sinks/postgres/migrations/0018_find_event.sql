-- Finds an event by its id, as it was sent or as its row has it, through the index of eye.event_keys or of eye.rejected_events.
-- Postgres has UUIDv5 in no function of its core: this is SHA-1 (FIPS 180-4) of namespace and name, as RFC 9562 says.
create function eye.uuid_v5(namespace uuid, name text) returns uuid
language plpgsql immutable strict parallel safe as $$
declare
    full_word constant bigint := 4294967295;
    message bytea := uuid_send(namespace) || convert_to(name, 'UTF8');
    length_in_bits constant bigint := 8 * length(message);
    schedule bigint[];
    digest bigint[] := array[1732584193, 4023233417, 2562383102, 271733878, 3285377520];
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; word bigint;
    place int;
begin
    message := message || '\x80' || decode(repeat('00', (119 - length(message) % 64) % 64), 'hex') || int8send(length_in_bits);
    for block in 0..length(message) / 64 - 1 loop
        for t in 0..15 loop
            place := 64 * block + 4 * t;
            schedule[t] := (get_byte(message, place)::bigint << 24) | (get_byte(message, place + 1) << 16)
                | (get_byte(message, place + 2) << 8) | get_byte(message, place + 3);
        end loop;
        for t in 16..79 loop
            word := schedule[t - 3] # schedule[t - 8] # schedule[t - 14] # schedule[t - 16];
            schedule[t] := ((word << 1) | (word >> 31)) & full_word;
        end loop;
        a := digest[1]; b := digest[2]; c := digest[3]; d := digest[4]; e := digest[5];
        for t in 0..79 loop
            if t < 20 then
                f := (b & c) | ((~b) & full_word & d); k := 1518500249;
            elsif t < 40 then
                f := b # c # d; k := 1859775393;
            elsif t < 60 then
                f := (b & c) | (b & d) | (c & d); k := 2400959708;
            else
                f := b # c # d; k := 3395469782;
            end if;
            word := ((((a << 5) | (a >> 27)) & full_word) + f + e + k + schedule[t]) & full_word;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & full_word; b := a; a := word;
        end loop;
        digest := array[(digest[1] + a) & full_word, (digest[2] + b) & full_word, (digest[3] + c) & full_word,
            (digest[4] + d) & full_word, (digest[5] + e) & full_word];
    end loop;
    message := int8send((digest[1] << 32) | digest[2]) || int8send((digest[3] << 32) | digest[4]);
    message := set_byte(message, 6, (get_byte(message, 6) & 15) | 80);
    message := set_byte(message, 8, (get_byte(message, 8) & 63) | 128);
    return encode(message, 'hex')::uuid;
end
$$;

create function eye.row_id(application text, id text) returns uuid
language plpgsql immutable parallel safe as $$
begin
    if id is null or id ~ '^[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}$' then
        return id::uuid;
    end if;
    if application is null then
        raise exception 'id % is no UUID: name the application that sent it as well', quote_literal(id)
            using errcode = 'invalid_parameter_value', hint = 'select * from eye.find_event(id, application)';
    end if;
    return eye.uuid_v5(eye.uuid_v5('3f1a73dd-c786-5b4a-b1f9-475f10bac81a', application), id);
end
$$;

create function eye.find_event(id text, application text default null) returns setof eye.events
language sql stable parallel safe as $$
    select event.*
    from (
        select distinct key.event_id, key.application, key.occurred_at
        from eye.event_keys key
        where key.event_id = eye.row_id(find_event.application, find_event.id)
            and (find_event.application is null or key.application = find_event.application)
    ) found
    join eye.events event on event.event_id = found.event_id
        and event.application = found.application and event.occurred_at = found.occurred_at
$$;

create function eye.find_rejected_event(id text, application text default null) returns setof eye.rejected_events
language sql stable parallel safe as $$
    select rejected.*
    from eye.rejected_events rejected
    where rejected.event_id = eye.row_id(find_rejected_event.application, find_rejected_event.id)
        and (find_rejected_event.application is null or rejected.application = find_rejected_event.application)
$$;

comment on function eye.uuid_v5 is 'UUIDv5 (RFC 9562) of a namespace and a name.';
comment on function eye.row_id is 'The event_id of an event''s row: its id, or a UUIDv5 of application and id where the id is no UUID.';
comment on function eye.find_event is 'The stored events with an id, as sent or as the row has it; an id that is no UUID needs its application.';
comment on function eye.find_rejected_event is 'The rejected events with an id, as sent or as the row has it; an id that is no UUID needs its application.';

-- They read with the rights of whoever calls them.
grant execute on function eye.uuid_v5(uuid, text), eye.row_id(text, text), eye.find_event(text, text),
    eye.find_rejected_event(text, text) to public;
