"""The exporters' books, as tests read them."""
import weirtest


class Account:
    """One reading of the exporter's books. Reading makes a connection, so there is always something to report."""

    def __init__(self, weir):
        figures = weir.metrics()

        def total(name, **labels):
            wanted = set(labels.items())
            return sum(v for (n, series), v in figures.items() if n == name and wanted <= set(series))

        self.received = total("weir_exporter_received_items")
        self.sent = total("weir_exporter_sent_items")
        self.queued = total("weir_exporter_queued_items")
        self.refused = total("weir_exporter_refused_items")
        self.dropped = total("weir_exporter_dropped_items")
        self.retries = total("weir_exporter_retries")
        self.rejected = total("weir_exporter_dropped_items", reason="partial_rejected")
        self.permanent = total("weir_exporter_dropped_items", reason="permanent_error")
        assert self.received == self.sent + self.dropped + self.refused + self.queued, vars(self)


def wait_for_account(weir, condition, what, deadline=weirtest.PATIENCE):
    def met():
        account = Account(weir)
        return account if condition(account) else None

    return weirtest.wait_for(met, deadline, what)
