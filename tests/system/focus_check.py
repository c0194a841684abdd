# SPDX-License-Identifier: Apache-2.0
"""The hard rules of FOCUS 1.0, 1.1 and 1.2 over an export and its metadata; knows nothing of how it was made.

Run by hand: focus_check.py FILE.csv FILE.metadata.json
"""
import csv
import json
import re
import sys
from collections import defaultdict
from decimal import Decimal
from fractions import Fraction

STRING, DECIMAL, TIME, JSON = "STRING", "DECIMAL", "DATETIME", "JSON"
# column: (type, first version, null allowed)
COLUMNS = {
    "BilledCost": (DECIMAL, 10, False), "BillingAccountId": (STRING, 10, False), "BillingAccountName": (STRING, 10, True),
    "BillingAccountType": (STRING, 12, True), "BillingCurrency": (STRING, 10, False), "BillingPeriodEnd": (TIME, 10, False),
    "BillingPeriodStart": (TIME, 10, False), "ChargeCategory": (STRING, 10, False), "ChargeClass": (STRING, 10, True),
    "ChargeDescription": (STRING, 10, True), "ChargeFrequency": (STRING, 10, False), "ChargePeriodEnd": (TIME, 10, False),
    "ChargePeriodStart": (TIME, 10, False), "CommitmentDiscountCategory": (STRING, 10, True),
    "CommitmentDiscountId": (STRING, 10, True), "CommitmentDiscountName": (STRING, 10, True),
    "CommitmentDiscountQuantity": (DECIMAL, 11, True), "CommitmentDiscountStatus": (STRING, 10, True),
    "CommitmentDiscountType": (STRING, 10, True), "CommitmentDiscountUnit": (STRING, 11, True),
    "ConsumedQuantity": (DECIMAL, 10, True), "ConsumedUnit": (STRING, 10, True), "ContractedCost": (DECIMAL, 10, False),
    "ContractedUnitPrice": (DECIMAL, 10, True), "EffectiveCost": (DECIMAL, 10, False), "InvoiceId": (STRING, 12, True),
    "InvoiceIssuerName": (STRING, 10, False), "ListCost": (DECIMAL, 10, False), "ListUnitPrice": (DECIMAL, 10, True),
    "PricingCategory": (STRING, 10, True), "PricingCurrency": (STRING, 12, True),
    "PricingCurrencyContractedUnitPrice": (DECIMAL, 12, True), "PricingCurrencyEffectiveCost": (DECIMAL, 12, True),
    "PricingCurrencyListUnitPrice": (DECIMAL, 12, True), "PricingQuantity": (DECIMAL, 10, True), "PricingUnit": (STRING, 10, True),
    "ProviderName": (STRING, 10, False), "PublisherName": (STRING, 10, False), "ResourceId": (STRING, 10, True),
    "ResourceName": (STRING, 10, True), "ResourceType": (STRING, 10, True), "ServiceCategory": (STRING, 10, False),
    "ServiceName": (STRING, 10, False), "ServiceSubcategory": (STRING, 11, False), "SkuId": (STRING, 10, True),
    "SkuMeter": (STRING, 11, True), "SkuPriceDetails": (JSON, 11, True), "SkuPriceId": (STRING, 10, True),
    "SubAccountId": (STRING, 10, True), "SubAccountName": (STRING, 10, True), "SubAccountType": (STRING, 12, True),
    "Tags": (JSON, 10, True),
}
VALUES = {
    "ChargeCategory": {"Usage", "Purchase", "Tax", "Credit", "Adjustment"},
    "ChargeClass": {"Correction"},
    "ChargeFrequency": {"One-Time", "Recurring", "Usage-Based"},
    "PricingCategory": {"Standard", "Dynamic", "Committed", "Other"},
    "CommitmentDiscountCategory": {"Spend", "Usage"},
    "CommitmentDiscountStatus": {"Used", "Unused"},
}
SUBCATEGORIES = {
    "Compute": {"Containers", "End User Computing", "Quantum Compute", "Serverless Compute", "Virtual Machines", "Other (Compute)"},
    "Storage": {"Backup Storage", "Block Storage", "File Storage", "Object Storage", "Storage Platforms", "Other (Storage)"},
    "Networking": {"Application Networking", "Content Delivery", "Network Connectivity", "Network Infrastructure", "Network Routing",
                   "Network Security", "Other (Networking)"},
    "Management and Governance": {"Architecture", "Compliance", "Cost Management", "Data Governance", "Disaster Recovery",
                                  "Endpoint Management", "Observability", "Support", "Other (Management and Governance)"},
    "Other": {"Other (Other)"},
}
TIMES = {"Year", "Month", "Day", "Hour", "Minute", "Second", "Millisecond", "Microsecond"}
SIZES = {p + s for s in ("B", "b") for p in ("", "K", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")}
NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?")


class Broken(AssertionError):
    pass


def need(holds, row, what):
    if not holds:
        raise Broken(f"{what}: {({k: v for k, v in row.items() if v} if isinstance(row, dict) else row)}")


def unit_holds(text):
    """"GB", "GB-Hours", "1000 Requests", "GB/Hour"."""
    m = re.fullmatch(r"(?:[1-9][0-9]* )?([^/]+)(?:/(?:[1-9][0-9]* )?([A-Za-z]+))?", text)
    if not m or (m[2] and m[2] not in TIMES | {t + "s" for t in TIMES}):
        return False
    words = m[1].split("-")
    for word in words[:-1]:
        if not (word in SIZES or word[:1].isupper() or not word[:1].isascii()):
            return False
    last = words[-1]
    if len(words) > 1 and last.rstrip("s") in TIMES:
        return last in {t + "s" for t in TIMES}
    return last in SIZES or last[:1].isupper() or not last[:1].isascii()


def flat_object(text):
    pairs = []
    value = json.loads(text, object_pairs_hook=lambda p: (pairs.append([k for k, _ in p]), dict(p))[1])
    return isinstance(value, dict) and len(pairs) == 1 and len(set(pairs[0])) == len(pairs[0]) and \
        all(v is None or isinstance(v, (str, int, float, bool)) for v in value.values())


def value(row, column):
    return Fraction(Decimal(row[column])) if row.get(column) else None


def row_check(row, version):
    for name, (kind, since, null) in COLUMNS.items():
        if since > version:
            continue
        text = row[name]
        need(text is not None, row, f"{name} has no field")
        need(text or null, row, f"{name} is null")
        if not text:
            continue
        need(text not in ("N/A", "NULL", "null", "-"), row, f"{name} stands in for null")
        need(kind != DECIMAL or NUMBER.fullmatch(text), row, f"{name} is no number: {text}")
        need(kind != TIME or re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text), row, f"{name} is no time: {text}")
        need(kind != JSON or flat_object(text), row, f"{name} is no flat object: {text}")
        need(name not in VALUES or text in VALUES[name], row, f"{name} has no such value: {text}")
    need(row["BillingPeriodStart"] < row["BillingPeriodEnd"] and row["ChargePeriodStart"] < row["ChargePeriodEnd"], row, "times")
    need(re.fullmatch("[A-Z]{3}", row["BillingCurrency"]), row, "currency")
    need(row["ServiceCategory"] in SUBCATEGORIES, row, "service category")
    need(version < 11 or row["ServiceSubcategory"] in SUBCATEGORIES[row["ServiceCategory"]], row, "service subcategory")
    pairs_check(row, version)
    category_check(row, version)
    cost_check(row)


def pairs_check(row, version):
    for unit, quantity in (("PricingUnit", "PricingQuantity"), ("ConsumedUnit", "ConsumedQuantity"),
                           *([("CommitmentDiscountUnit", "CommitmentDiscountQuantity")] if version > 10 else [])):
        need(bool(row[unit]) == bool(row[quantity]), row, f"{unit} without {quantity} or so")
        need(not row[unit] or unit_holds(row[unit]), row, f"{unit} is no unit: {row[unit]}")
    for name, identity in (("ResourceName", "ResourceId"), ("SubAccountName", "SubAccountId"),
                           ("CommitmentDiscountName", "CommitmentDiscountId"), ("BillingAccountName", "BillingAccountId")):
        need(row[identity] or not row[name], row, f"{name} without its id")
        need(not row[name] or row[name] != row[identity], row, f"{name} repeats its id")
    need(bool(row["ResourceType"]) == bool(row["ResourceId"]), row, "resource type")
    need(bool(row["SkuId"]) or not row["SkuPriceId"], row, "price without sku")
    for column in ("CommitmentDiscountCategory", "CommitmentDiscountType"):
        need(bool(row[column]) == bool(row["CommitmentDiscountId"]), row, column)


def category_check(row, version):
    category, correction = row["ChargeCategory"], row["ChargeClass"] == "Correction"
    pricing = ["PricingQuantity", "PricingUnit", "ListUnitPrice", "ContractedUnitPrice", "SkuId", "SkuPriceId", "PricingCategory"]
    if category == "Tax":
        need(not any(row[c] for c in pricing), row, "tax has a price")
    if category in ("Usage", "Purchase") and not correction:
        need(all(row[c] for c in pricing), row, "no price")
        need(version < 12 or row["PricingCurrency"], row, "no pricing currency")
    need(not (category == "Purchase" and row["ChargeFrequency"] == "Usage-Based"), row, "purchase by usage")
    unused = row["CommitmentDiscountStatus"] == "Unused"
    if category == "Usage" and not unused and not correction:
        need(row["ConsumedQuantity"], row, "usage of nothing")
    if category != "Usage" or unused:
        need(not row["ConsumedQuantity"], row, "consumed, but no usage")
    need(bool(row["CommitmentDiscountStatus"]) == bool(category == "Usage" and row["CommitmentDiscountId"]), row, "status")
    if row["PricingCategory"] == "Committed":
        need(row["CommitmentDiscountId"], row, "committed to nothing")


def cost_check(row):
    correction = row["ChargeClass"] == "Correction"
    for price, cost in (("ListUnitPrice", "ListCost"), ("ContractedUnitPrice", "ContractedCost")):
        if row[price]:
            need(value(row, price) >= 0, row, f"{price} below zero")
            need(correction or value(row, price) * value(row, "PricingQuantity") == value(row, cost), row, f"{cost} is no product")
    if row["ChargeCategory"] in ("Credit", "Adjustment"):
        need(len({value(row, c) for c in ("BilledCost", "EffectiveCost", "ListCost", "ContractedCost")}) == 1, row, "costs differ")


def sums_check(rows, payable):
    """Rule 13 and 14: what is billed is what is payable; what was committed is used up or not."""
    invoices, bought, used = defaultdict(Fraction), defaultdict(Fraction), defaultdict(Fraction)
    for row in rows:
        invoices[row["InvoiceId"] or None] += value(row, "BilledCost")
        if row["CommitmentDiscountId"] and row["ChargeCategory"] == "Purchase":
            bought[row["CommitmentDiscountId"]] += value(row, "BilledCost")
        elif row["CommitmentDiscountId"]:
            used[row["CommitmentDiscountId"]] += value(row, "EffectiveCost")
    for number, amount in payable.items():
        need(invoices.get(number) == amount, number, f"billed {invoices.get(number)}, payable {amount}")
    need(set(payable) == set(invoices) - {None}, sorted(map(str, set(payable) ^ set(invoices) - {None})), "invoices")
    need(bought == used, {k: (str(bought.get(k)), str(used.get(k))) for k in bought.keys() | used.keys()}, "commitments")


def names_check(rows):
    sku_of, resources = {}, {}
    for row in rows:
        if row["SkuPriceId"]:
            need(sku_of.setdefault(row["SkuPriceId"], row["SkuId"]) == row["SkuId"], row, "a price of two skus")
        if row["ResourceId"]:
            kinds = resources.setdefault(row["ResourceId"], set())
            kinds.add(row["BillingAccountId"])


def header_check(names, metadata):
    version = {"1.0": 10, "1.1": 11, "1.2": 12}[metadata["FocusVersion"]]
    wanted = {name for name, (_, since, _) in COLUMNS.items() if since <= version}
    focus = [n for n in names if not n.startswith("x_")]
    need(set(focus) == wanted and len(names) == len(set(names)), sorted(set(focus) ^ wanted), "columns")
    need(names[:len(focus)] == focus, names, "own columns stand between those of FOCUS")
    need(all(re.fullmatch("[A-Z][A-Za-z]*", n) for n in focus), focus, "names")
    defined = {c["ColumnName"]: c for c in metadata["ColumnDefinition"]}
    need(list(defined) == names, sorted(set(defined) ^ set(names)), "metadata")
    for name, (kind, _, _) in COLUMNS.items():
        need(name not in defined or defined[name]["DataType"] == kind, defined.get(name), "type")
    need("ProviderTagPrefixes" in defined["Tags"], defined["Tags"], "tags")
    need(metadata["SchemaId"] and metadata["DataGenerator"] and
         re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", metadata["CreationDate"]), metadata, "metadata")
    return version, defined


def lengths_check(rows, defined):
    for row in rows:
        for name, text in row.items():
            column = defined[name]
            need(len(text.encode()) <= column.get("StringMaxLength", 1 << 30), row, f"{name} is too long")
            if column["DataType"] == DECIMAL and text:
                digits = text.lstrip("-").replace(".", "")
                need(len(digits) <= column["NumericPrecision"] and len(text.partition(".")[2]) <= column["NumberScale"], row, name)


def check(text, metadata, payable=None):
    """payable: invoice number -> what is payable of it; answers the rows."""
    need(text.endswith("\r\n") and '""' not in re.sub(r'"(?:[^"]|"")*"', "", text), text[-80:], "no RFC 4180, or empty text for null")
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    rows = list(reader)
    version, defined = header_check(list(reader.fieldnames), metadata)
    for row in rows:
        need(None not in row, row, "too many fields")
        row_check(row, version)
    lengths_check(rows, defined)
    names_check(rows)
    if payable is not None and version >= 12:
        sums_check(rows, payable)
    return rows


if __name__ == "__main__":
    with open(sys.argv[1], newline="", encoding="utf-8") as f, open(sys.argv[2], encoding="utf-8") as m:
        print(f"{len(check(f.read(), json.load(m)))} rows keep the rules")
