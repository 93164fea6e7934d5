"""Requests that hold every shape OTLP has, and their comparison item by item.

Made from protobuf's own descriptors, so that no field is forgotten. An item (span, data point, log record) is known by its bytes
together with those of all that it stands in, so it does not matter how weir joins and cuts requests."""
import base64
import collections
import json
import random

from google.protobuf import json_format

HEX_FIELDS = ("traceId", "spanId", "parentSpanId")
GROUPS = {"trace": ("resource_spans", "scope_spans", "spans"), "metrics": ("resource_metrics", "scope_metrics", "metrics"),
          "logs": ("resource_logs", "scope_logs", "log_records")}
TEXTS = ["", "plain", "Grüße, 世界 🌍", "line\nbreak\t\x01\x7f", "quote\" back\\slash", "x" * 300]


class Generator:
    """Seeded; fills messages from their descriptors."""

    def __init__(self, messages, seed):
        self.messages, self.random = messages, random.Random(seed)

    def _scalar(self, field):
        r, kind = self.random, field.type
        if kind == field.TYPE_STRING:
            return r.choice(TEXTS)
        if kind == field.TYPE_BYTES:
            length = {"trace_id": 16, "span_id": 8, "parent_span_id": 8}.get(field.name, r.choice([0, 1, 2, 3, 50]))
            return r.randbytes(length)
        if kind == field.TYPE_BOOL:
            return r.random() < 0.5
        if kind == field.TYPE_ENUM:
            return r.choice([v.number for v in field.enum_type.values])
        if kind == field.TYPE_DOUBLE:
            return r.choice([0.0, -0.0, 0.1, -1e-310, 1.7976931348623157e308, float("inf"), float("-inf"), float("nan"), r.uniform(-1e6, 1e6)])
        bits = 32 if "32" in {field.TYPE_UINT32: "32", field.TYPE_FIXED32: "32", field.TYPE_INT32: "32",
                              field.TYPE_SINT32: "32"}.get(kind, "64") else 64
        signed = kind in (field.TYPE_INT64, field.TYPE_SINT64, field.TYPE_SFIXED64, field.TYPE_INT32, field.TYPE_SINT32)
        top = 2 ** (bits - 1) - 1 if signed else 2 ** bits - 1
        return r.choice([0, 1, 255, top, top - r.randrange(1000)] + ([-1, -top - 1] if signed else []))

    def fill(self, message, depth=0):
        """Sets most fields; recursion ends soon."""
        chosen = {o.name: self.random.choice(o.fields) for o in message.DESCRIPTOR.oneofs}
        for field in message.DESCRIPTOR.fields:
            if field.containing_oneof and chosen[field.containing_oneof.name] is not field:
                continue
            if self.random.random() < 0.1 or (field.message_type and depth > 4):
                continue
            if field.label == field.LABEL_REPEATED:
                for _ in range(self.random.choice([0, 1, 2])):
                    if field.message_type:
                        self.fill(getattr(message, field.name).add(), depth + 1)
                    else:
                        getattr(message, field.name).append(self._scalar(field))
            elif field.message_type:
                child = getattr(message, field.name)
                child.SetInParent()
                self.fill(child, depth + 1)
            else:
                setattr(message, field.name, self._scalar(field))

    def request(self, name, groups=3, items=8):
        """An Export*ServiceRequest with that many resources and items in each of their two scopes."""
        request = self.messages.request(name)()
        resources, scopes, list_name = GROUPS[name]
        for _ in range(groups):
            group = getattr(request, resources).add()
            self.fill(group.resource, 2)
            group.schema_url = self.random.choice(TEXTS)
            for _ in range(2):
                scope = getattr(group, scopes).add()
                self.fill(scope.scope, 2)
                for number in range(items):
                    item = getattr(scope, list_name).add()
                    self.fill(item)
                    if name == "metrics":  # each kind of data in turn, never without a point
                        self._points(item, number)
        return request

    def _points(self, metric, number):
        kinds = metric.DESCRIPTOR.oneofs_by_name["data"].fields
        data = getattr(metric, kinds[number % len(kinds)].name)
        data.SetInParent()
        while len(data.data_points) < 2:
            self.fill(data.data_points.add(), 2)


def to_json(request):
    """OTLP/JSON: protobuf's, but ids in hex and enums as numbers."""
    return json.dumps(_hex_ids(json_format.MessageToDict(request, use_integers_for_enums=True)), ensure_ascii=False)


def _hex_ids(value):
    if isinstance(value, list):
        return [_hex_ids(v) for v in value]
    if not isinstance(value, dict):
        return value
    return {k: base64.b64decode(v).hex() if k in HEX_FIELDS else _hex_ids(v) for k, v in value.items()}


def _points(metric):
    """The metric again and again, with one of its points each."""
    data = getattr(metric, metric.WhichOneof("data"))
    points = list(data.data_points)
    for point in points:
        del data.data_points[:]
        data.data_points.append(point)
        yield metric


def items(name, requests):
    """Counter of (resource, scope, item) as bytes."""
    resources, scopes, list_name = GROUPS[name]
    found = collections.Counter()
    for request in requests:
        for group in getattr(request, resources):
            for scope in getattr(group, scopes):
                for item in (i for m in getattr(scope, list_name) for i in (_points(m) if name == "metrics" else [m])):
                    found[(group.resource.SerializeToString(deterministic=True), group.schema_url,
                           scope.scope.SerializeToString(deterministic=True), scope.schema_url,
                           item.SerializeToString(deterministic=True))] += 1
    return found


def assert_same_items(name, sent, received):
    """Item by item; says how many differ and shows one of each side."""
    expected, got = items(name, sent), items(name, received)
    missing, extra = expected - got, got - expected
    assert not missing and not extra, (
        f"{name}: {sum(missing.values())} of {sum(expected.values())} items are missing, {sum(extra.values())} were never sent;\n"
        f"  missing:    {next(iter(missing), [None])[-1]}\n  never sent: {next(iter(extra), [None])[-1]}")
