"""The books of a running weir, as tests read them. At every reading, for every pipeline and for every exporter and signal:

    received = refused + sent + dropped by reason + in flight (in an exporter: queued)"""
import collections
import threading

import weirtest


class Part:
    """What became of the items of one pipeline, or of one signal in one exporter."""

    def __init__(self):
        self.received = self.refused = self.sent = self.held = 0
        self.dropped = collections.Counter()  # by reason

    def lost(self):
        return sum(self.dropped.values())

    def check(self, name):
        assert self.received == self.refused + self.sent + self.lost() + self.held, (name, vars(self))


class Books:
    """One reading: pipelines by name, exporters by (id, signal). The equation has been checked."""

    KINDS = {"received": "received", "refused": "refused", "sent": "sent", "queued": "held", "in_flight": "held"}

    def __init__(self, weir):
        self.page = weir.metrics()
        self.pipelines, self.exporters = collections.defaultdict(Part), collections.defaultdict(Part)
        for (name, labels), value in self.page.items():
            labels = dict(labels)
            if name.startswith("weir_pipeline_") and name.endswith("_items"):
                self._enter(self.pipelines[labels["pipeline"]], name.removeprefix("weir_pipeline_"), labels, value)
            elif name.startswith("weir_exporter_") and name.endswith("_items"):
                key = labels["exporter"], labels["data_type"]
                self._enter(self.exporters[key], name.removeprefix("weir_exporter_"), labels, value)
        for name, part in [*self.pipelines.items(), *self.exporters.items()]:
            part.check(name)

    def _enter(self, part, figure, labels, value):
        kind = figure.removesuffix("_items")
        if kind == "dropped":
            part.dropped[labels["reason"]] += int(value)
        elif kind in self.KINDS:
            setattr(part, self.KINDS[kind], getattr(part, self.KINDS[kind]) + int(value))

    def figure(self, name):
        return sum(v for (n, _), v in self.page.items() if n == name)

    def held(self):
        """Items that are under way anywhere."""
        return sum(p.held for parts in (self.pipelines, self.exporters) for p in parts.values())

    def exporter(self, name):
        """All signals of an exporter together."""
        return total(p for (n, _), p in self.exporters.items() if n == name)


def total(parts):
    whole = Part()
    for part in parts:
        for kind in ("received", "refused", "sent", "held"):
            setattr(whole, kind, getattr(whole, kind) + getattr(part, kind))
        whole.dropped.update(part.dropped)
    return whole


class Account:
    """One reading of the books of all exporters together. Reading makes a connection, so sockets always has something to
    report."""

    def __init__(self, weir):
        books = Books(weir)
        whole = total(books.exporters.values())
        self.received, self.sent, self.queued, self.refused = whole.received, whole.sent, whole.held, whole.refused
        self.dropped, self.rejected = whole.lost(), whole.dropped["partial_rejected"]
        self.permanent = whole.dropped["permanent_error"]
        self.retries = books.figure("weir_exporter_retries")


def wait_for_account(weir, condition, what, deadline=weirtest.PATIENCE):
    def met():
        account = Account(weir)
        return account if condition(account) else None

    return weirtest.wait_for(met, deadline, what)


def wait_until_quiet(weir, exporters=None, deadline=weirtest.PATIENCE):
    """The books when nothing is under way any more, or nothing in these exporters."""
    def met():
        books = Books(weir)
        held = books.held() if exporters is None else sum(books.exporter(name).held for name in exporters)
        return None if held else books

    return weirtest.wait_for(met, deadline, "nothing is under way")


def nothing_lost(weir, server):
    """Ends weir; everything that it had taken in arrived."""
    before = Account(weir)
    assert before.dropped == 0 and before.refused == 0, vars(before)
    assert weir.stop() == 0
    log = weir.stderr()
    assert "at shutdown" not in log, log
    assert server.items() >= before.received, (server.items(), vars(before))


class Auditor(threading.Thread):
    """Reads the books again and again while a test goes on; stop() tells how often, or what was wrong."""

    def __init__(self, weir, pause=0.2):
        super().__init__(daemon=True)
        self.weir, self.pause, self.over = weir, pause, threading.Event()
        self.readings, self.most_held, self.error = 0, 0, None
        self.start()

    def run(self):
        try:
            while not self.over.wait(self.pause):
                self.most_held = max(self.most_held, Books(self.weir).held())
                self.readings += 1
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def stop(self):
        self.over.set()
        self.join()
        if self.error:
            raise self.error
        assert self.readings, "the books were never read"
        return self.readings
