-- When a clock on the wall shows this: of two such instants the first, and of a time that is not there
-- what it would be by the offset before the gap.  PostgreSQL takes the second of two, and clocks
-- go back by half an hour on Lord Howe and by two at Troll: so the offset of three hours before is tried.
create function local_instant(wall timestamp, zone text) returns timestamptz
language sql immutable parallel safe as $$
    select case when first_of at time zone zone = wall then least(first_of, second_of) else second_of end
    from (select wall at time zone zone as second_of,
            (wall at time zone 'UTC') - ((((wall at time zone zone) - interval '3 hours') at time zone zone)
                - (((wall at time zone zone) - interval '3 hours') at time zone 'UTC')) as first_of) both_of
$$;
grant execute on function local_instant(timestamp, text) to jeoul_web, jeoul_billing, jeoul_meter, jeoul_provision, jeoul_snmp;
