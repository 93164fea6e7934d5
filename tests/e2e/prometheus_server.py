"""A real Prometheus of Debian, with the remote-write receiver and native histograms switched on, and what tests ask of it."""
import json
import os
import urllib.parse
import urllib.request

import weirtest


class Prometheus(weirtest.Process):
    """Scrapes the given configurations of jobs (lists of Prometheus' own YAML, as JSON) every second."""

    def __init__(self, stage, jobs=(), rules=(), arguments=()):
        self.port = weirtest.free_port()
        folder = os.path.join(stage.folder, f"prometheus.{self.port}")
        os.makedirs(folder)
        config = {"global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
                  "rule_files": list(rules), "scrape_configs": list(jobs)}
        path = os.path.join(folder, "prometheus.yml")
        with open(path, "w", encoding="utf-8") as f:
            json.dump(config, f)  # which is YAML
        super().__init__(stage, [
            "prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", "--web.enable-remote-write-receiver",
            "--enable-feature=native-histograms,exemplar-storage", "--log.level=warn", *arguments])
        weirtest.wait_for(lambda: self._is_ready() or not self.is_running(), what="Prometheus is ready")
        assert self.is_running(), f"Prometheus ended:\n{self.stderr()}"

    def _is_ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=5) as answer:
                return answer.status == 200
        except OSError:
            return False

    @property
    def write_url(self):
        return f"http://127.0.0.1:{self.port}/api/v1/write"

    def ask(self, path, **parameters):
        """The `data` of an answer of its API; ValueError with its words when it does not like the question."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urllib.parse.urlencode(parameters, doseq=True)}"
        try:
            with urllib.request.urlopen(url, timeout=weirtest.PATIENCE) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as refusal:
            raise ValueError(f"{parameters}: {refusal.read().decode()}") from None

    def query(self, expression, **more):
        """[(labels, value)] now, as an instant vector; a scalar is one without labels."""
        data = self.ask("query", query=expression, **more)
        if data["resultType"] == "scalar":
            return [({}, float(data["result"][1]))]
        return [(sample["metric"], float(sample["value"][1])) for sample in data["result"] if "value" in sample]


def start(stage, **more):
    weirtest.need_programs("prometheus")
    return stage.keep(server := Prometheus(stage, **more), server.kill)
