-- Alarms that survive everything: when one was last seen, where a notification that went past
-- the database came from (so that merging it twice changes nothing), and deliveries by receiver.

alter table alarm add column last_at timestamptz;
update alarm set last_at = coalesce(cleared_at, raised_at);
alter table alarm alter column last_at set default now();
alter table alarm alter column last_at set not null;
comment on column alarm.last_at is 'when it was last found wrong; count says how often';

alter table notification add column origin text unique;
comment on column notification.origin is
    'its key in the spool of jeoul-snmp, for one that was sent while the database was away';

drop index delivery_due;
create index delivery_waiting on delivery (receiver, seq) where sent_at is null;

-- A receiver that is no longer in the settings waits for nothing.
grant delete on delivery to jeoul_snmp;
grant execute on function roles_connected() to jeoul_snmp;
