#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CloudKitty's hashmap module, as Debian ships it, rates points that it is handed.

peer_hashmap.py PRICES FOLDER: PRICES is a JSON object of a price for each service (a flat mapping of the service, as
CloudKitty's guide makes them).  Standard input: a line for each hour, {"at": SECONDS, "usage": {SERVICE:
[[QUANTITY, RESOURCE, ACCOUNT], ...]}}.  Says "ready", and at the end one JSON object: how many points, what they cost
together, and CPU time in ns of process() alone and of making the points.  No API, queue, collector or storage of
CloudKitty's is in it: only what must be done for each point."""
import datetime
import decimal
import json
import sys
import time

from oslo_config import cfg

from cloudkitty import dataframe, db
from cloudkitty.rating import hash as hashmap
from cloudkitty.rating.hash.db import api as prices_api


def price_list(prices, folder):
    cfg.CONF([], project="cloudkitty", default_config_files=[])
    cfg.CONF.set_override("connection", f"sqlite:///{folder}/hashmap.db", "database")
    prices_of = prices_api.get_instance()
    prices_of.get_migration().upgrade("head")
    for service, price in prices.items():
        row = prices_of.create_service(service)
        prices_of.create_mapping(cost=price, map_type="flat", service_id=row.service_id)
    assert db.get_session() is not None


def main():
    prices, folder = json.loads(sys.argv[1]), sys.argv[2]
    price_list(prices, folder)
    rater = hashmap.HashMap(tenant_id=None)
    print("ready", flush=True)
    count, rated, made, total = 0, 0, 0, decimal.Decimal(0)
    for line in sys.stdin:
        hour = json.loads(line)
        start = datetime.datetime.fromtimestamp(hour["at"], datetime.timezone.utc)
        begun = time.process_time_ns()
        frame = dataframe.DataFrame(start, start + datetime.timedelta(hours=1), usage={
            service: [dataframe.DataPoint("unit", qty, 0, {"id": resource, "project_id": account}, {})
                      for qty, resource, account in points] for service, points in hour["usage"].items()})
        between = time.process_time_ns()
        answer = rater.process(frame)
        rated += time.process_time_ns() - between
        made += between - begun
        for _, point in answer.iterpoints():
            count, total = count + 1, total + point.price
    print(json.dumps({"points": count, "total": str(total), "rate_ns": rated, "make_ns": made}))


if __name__ == "__main__":
    main()
