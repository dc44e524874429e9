"""Writes what is made of others in monitoring: `just monitoring`.

    deploy/monitoring/dashboard.json                         of deploy/tools/dashboard.py
    deploy/k8s/components/monitoring/prometheusrule.yaml     of deploy/monitoring/alerts.yaml

Both are kept in the tree, so that Grafana, compose and kustomize can take them as they are; tests
hold them to their sources.
"""

from __future__ import annotations

import sys
from pathlib import Path

from deploy.tools.dashboard import dashboard

DEPLOY = Path(__file__).parents[1]
ALERTS = DEPLOY / "monitoring/alerts.yaml"
DASHBOARD = DEPLOY / "monitoring/dashboard.json"
PROMETHEUS_RULE = DEPLOY / "k8s/components/monitoring/prometheusrule.yaml"

_HEAD = """\
# Made of deploy/monitoring/alerts.yaml by `just monitoring`: change it there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: headgate
  labels:
    app.kubernetes.io/name: headgate
spec:
"""


def main() -> int:
    """Writes both and says so."""
    for file, text in (
        (DASHBOARD, dashboard()),
        (PROMETHEUS_RULE, prometheus_rule(ALERTS.read_text())),
    ):
        file.write_text(text)
        print(f"monitoring: wrote {file.relative_to(DEPLOY.parent)}")
    return 0


def prometheus_rule(alerts: str) -> str:
    """The rules of a Prometheus rule file as the operator's resource."""
    groups = alerts[alerts.index("groups:") :]
    indented = "".join(f"  {line}" if line.strip() else line for line in groups.splitlines(True))
    return _HEAD + indented


if __name__ == "__main__":
    sys.exit(main())
