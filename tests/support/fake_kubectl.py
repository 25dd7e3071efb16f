"""A kubectl without a cluster, for the commands that documents show.

It accepts only their options, and names of what `deploy/kubernetes` has. `logs` prints the file
KUBECTL_POD_LOG for a pod and KUBECTL_LOG for a selector. `exec` runs the command here, with the
JSON object KUBECTL_POD as environment.
"""

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

import yaml

MANIFESTS: Final = Path(__file__).parents[2] / "deploy" / "kubernetes"
COMPONENT: Final = "app.kubernetes.io/component"
DESCRIBED: Final = """\
    Last State:     Terminated
      Reason:       OOMKilled
      Exit Code:    137
Events:             <none>
"""


def main() -> None:
    arguments = _parser().parse_args()
    [kustomization] = _read("kustomization.yaml")
    assert arguments.n in (None, kustomization["namespace"])
    assert arguments.n or arguments.verb == "apply", "which namespace?"
    for pod in filter(None, [getattr(arguments, "pod", None)]):
        assert pod in _pods(), pod
    if arguments.verb == "exec":
        command, *_ = arguments.command
        os.execvpe(command, arguments.command, json.loads(os.environ["KUBECTL_POD"]))
    sys.stdout.write(_answer(arguments))


def _answer(arguments: argparse.Namespace) -> str:
    match arguments.verb:
        case "logs":
            assert arguments.pod or arguments.selector, "of which pods?"
            log = "KUBECTL_POD_LOG" if arguments.pod else "KUBECTL_LOG"
            return Path(os.environ[log]).read_text(encoding="utf-8")
        case "describe":
            return DESCRIBED
        case "apply":
            assert (Path(arguments.k) / "kustomization.yaml").is_file()
        case "scale" | "rollout":
            kind, _, name = arguments.workload.partition("/")
            assert (kind, name) in {(each["kind"].lower(), _name_of(each)) for each in _workloads()}
    return "NAME  READY\n"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kubectl", allow_abbrev=False)
    parser.add_argument("-n")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("get", "describe", "top"):
        listed = verbs.add_parser(verb)
        listed.add_argument("what", choices=["pods", "rayclusters,rayjobs,pods"])
        _add_selector(listed)
    logs = verbs.add_parser("logs")
    logs.add_argument("pod", nargs="?")
    _add_selector(logs)
    logs.add_argument("--tail", type=int)
    logs.add_argument("--previous", action="store_true")
    executed = verbs.add_parser("exec")
    executed.add_argument("pod")
    executed.add_argument("command", nargs="+")
    deleted = verbs.add_parser("delete")
    deleted.add_argument("what", choices=["pod", "statefulset/collector", *_names_of_rays()])
    deleted.add_argument("pod", nargs="?")
    scaled = verbs.add_parser("scale")
    scaled.add_argument("workload")
    scaled.add_argument("--replicas", type=int, required=True)
    rolled = verbs.add_parser("rollout")
    rolled.add_argument("what", choices=["status"])
    rolled.add_argument("workload")
    verbs.add_parser("apply").add_argument("-k", required=True)
    return parser


def _add_selector(parser: argparse.ArgumentParser) -> None:
    labels = [each["spec"]["template"]["metadata"]["labels"] for each in _workloads()]
    known = [f"{COMPONENT}={each[COMPONENT]}" for each in labels]
    parser.add_argument("-l", dest="selector", choices=known)


def _pods() -> set[str]:
    return {
        f"{_name_of(each)}-{number}"
        for each in _workloads()
        if each["kind"] == "StatefulSet"
        for number in range(each["spec"]["replicas"])
    }


def _workloads() -> list[Any]:
    manifests = [*_read("collector.yaml"), *_read("common/dashboard.yaml")]
    return [each for each in manifests if each["kind"] in ("StatefulSet", "Deployment")]


def _names_of_rays() -> list[str]:
    rays = [*_read("cluster/cluster.yaml"), *_read("cluster/up.yaml")]
    return [f"{each['kind'].lower()}/{_name_of(each)}" for each in rays]


def _read(name: str) -> list[Any]:
    return list(yaml.safe_load_all((MANIFESTS / name).read_text(encoding="utf-8")))


def _name_of(manifest: Any) -> str:
    return str(manifest["metadata"]["name"])


if __name__ == "__main__":
    main()
