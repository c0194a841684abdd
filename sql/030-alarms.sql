-- Alarms have their ids from jeoul-snmp, which tells them also while this database is away and
-- writes them down here afterwards: rows are absolute states, writing one again changes nothing.

alter table alarm
    add column changed_at        timestamptz,
    add column flapping          boolean not null default false,
    add column acknowledged_at   timestamptz,
    add column acknowledged_by   text,
    add column acknowledged_note text;
update alarm set changed_at = coalesce(cleared_at, raised_at);
alter table alarm alter column changed_at set not null, alter column changed_at set default now();
create index alarm_acknowledged on alarm (uuid) where cleared_at is null and acknowledged_at is not null;

-- uuid: in every copy that goes out; number: the sender's own count, in which a NOC sees gaps.
alter table notification
    add column uuid   uuid not null unique default gen_random_uuid(),
    add column number bigint,
    add column times  integer not null default 1;
update notification set number = seq;
alter table notification alter column number set not null, alter column number set default 0;

-- told: gone, and the protocol knows no receipt; confirmed: the receiver said that it has it.
alter table delivery
    add column state text not null default 'waiting'
        check (state in ('waiting', 'told', 'confirmed', 'dropped'));
update delivery set state = 'told' where sent_at is not null;
create index delivery_waiting on delivery (seq) where state = 'waiting';
drop index delivery_due;
alter table delivery drop column next_try;
